"""Many subscriptions to one plan of five prices, with usage, all on the same period.

A fee, and a metric by the unit, by graduated bands, by volume and by the package; nothing is due
before the first period ends, so nobody has to pay a page.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx2
import psycopg
from sqlmodel import col, select

from activities.customers import DescribedCustomer
from activities.subscription_starts import CreateSubscription
from activities.subscriptions import SubscriptionActivities
from models.database import Database
from models.subscriptions import Subscription

BANDS = [
    {"upTo": "10000", "unitPrice": "0.003"},
    {"upTo": "50000", "unitPrice": "0.002"},
    {"upTo": None, "unitPrice": "0.001"},
]
MODELS: dict[str, dict[str, Any]] = {
    "standard": {"unitPrice": "0.002"},
    "graduated": {"tiers": BANDS},
    "volume": {"tiers": BANDS},
    "package": {"packageSize": "1000", "unitPrice": "1.50"},
}
SPREAD = timedelta(days=27)
FILL = """
INSERT INTO usage_events (
    id, timestamp, created_at, checksum, merchant_id, type, subject, source, idempotency_key,
    quantity, properties
)
SELECT md5(kind || subject || n)::uuid,
       CAST(%(start)s AS timestamptz) + n * (CAST(%(spread)s AS interval) / %(count)s),
       now(), 0, %(merchant)s, kind, subject, 'bench', kind || subject || n, 1 + n %% 4000,
       jsonb_build_object('amount', 1 + n %% 4000)
FROM unnest(%(subjects)s::text[]) AS subject, unnest(%(kinds)s::text[]) AS kind,
     generate_series(1, %(count)s) AS n
"""
PATH = "INSERT INTO usage_quantity_paths VALUES (%s, %s, '$.amount') ON CONFLICT DO NOTHING"


@dataclass(frozen=True)
class Sold:
    """Who subscribes to what; without a clock they live in wall time."""

    merchant_id: str
    customers: list[str]
    subscriptions: list[str]
    clock_id: str | None


@dataclass(frozen=True)
class Plan:
    """What is sold, and on which test clock."""

    merchant_id: str
    plan_id: str
    clock_id: str | None


async def catalogue(
    client: httpx2.AsyncClient, merchant_id: str, *, clock_at: datetime | None
) -> Plan:
    """The plan, through the API; and a test clock, if one is asked for."""
    merchant = {"merchantId": merchant_id}

    async def made(path: str, **body: Any) -> Any:
        answer = await client.post(path, json=body)
        return answer.raise_for_status().json()

    product = await made("/v0/products", name="Bench", description="Bench", **merchant)
    owned = {**merchant, "productId": product["id"], "name": "Bench", "description": "Bench"}
    fee = await made("/v0/fees", **owned)
    shown = {"invoiceDisplayName": "Bench", "paymentTerm": "in_arrears"}
    prices = [
        await made(
            "/v0/prices", feeId=fee["id"], billingCadence="P1M",
            properties={"unitPrice": "10"}, **shown,
        )
    ]  # fmt: skip
    for model, properties in MODELS.items():
        metric = await made(
            "/v0/billableMetrics", unit="unit", aggregation="SUM", eventType=model,
            valueProperty="$.amount", **owned,
        )  # fmt: skip
        prices.append(
            await made(
                "/v0/prices", billableMetricId=metric["id"], model=model, properties=properties,
                **shown,
            )
        )  # fmt: skip
    lines = [price["id"] for price in prices]
    plan = await made("/v0/plans", currency="USD", defaultTaxRate=19, prices=lines, **owned)
    if clock_at is None:
        return Plan(merchant_id, plan["id"], None)
    clock = await made("/v0/testClocks", currentTime=clock_at.isoformat())
    return Plan(merchant_id, plan["id"], clock["id"])


async def subscribed(
    database: Database, plan: Plan, start: datetime, count: int, *, first: int = 0
) -> Sold:
    """So many new customers, numbered on, each with a subscription from the same instant."""
    starting = SubscriptionActivities(database)
    made = [
        await starting.create_subscription(_subscription(plan, start, number))
        for number in range(first, first + count)
    ]
    ids = [each.subscription_id for each in made]
    async with database.transaction() as session:
        rows = await session.exec(
            select(Subscription.id, Subscription.customer_id).where(
                col(Subscription.merchant_id) == plan.merchant_id
            )
        )
        customers = dict(rows.all())
    return Sold(plan.merchant_id, [customers[each] for each in ids], ids, plan.clock_id)


def _subscription(plan: Plan, start: datetime, number: int) -> CreateSubscription:
    return CreateSubscription(
        merchant_id=plan.merchant_id,
        plan_id=plan.plan_id,
        name="Bench",
        started_at=start,
        test_clock_id=plan.clock_id,
        described_customer=DescribedCustomer(
            name="Bench",
            email=f"bench.{number}@example.com",
            address={"country": "DE", "zipCode": "10115"},
        ),
    )


def use(url: str, sold: Sold, start: datetime, *, events_per_metric: int) -> None:
    """Usage of every metric by every customer, over the weeks after the start."""
    with psycopg.connect(url, autocommit=True) as connection:
        for kind in MODELS:
            connection.execute(PATH, [sold.merchant_id, kind])
        values = {
            "merchant": sold.merchant_id,
            "kinds": list(MODELS),
            "subjects": sold.customers,
            "start": start,
            "spread": SPREAD,
            "count": events_per_metric,
        }
        connection.execute(FILL, values)
        connection.execute("VACUUM ANALYZE")
