"""Rows that an activity test stands on, with defaults; written as the catalogue's routes would."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from activities.payment_attempts import CardChoice
from activities.subscription_starts import CreateSubscription
from models.base import new_id
from models.billable_metrics import BillableMetric
from models.customers import Consumer, Customer
from models.database import Database
from models.features import Feature
from models.fees import Fee
from models.plans import Plan, PlanLine, PlanVersion
from models.prices import Price
from models.products import Product
from models.test_clocks import TestClock

START = datetime(2026, 1, 31, 9, tzinfo=UTC)
IN_SCOPE = {"supplyScope": "IN_SCOPE"}
TRANSITION = {"effectiveDate": "end_of_current_period", "proration": "none"}
CARD = CardChoice(
    gateway_method_id="pm_test", brand="visa", last4="4242", exp_month=12, exp_year=2040, save=True
)


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A merchant with one plan, one customer and a clock at START."""

    merchant_id: str
    customer_id: str
    plan_id: str
    metric_id: str
    clock_id: str

    def subscription(self, **changes: object) -> CreateSubscription:
        """A subscription of the plan, on the clock from its start."""
        values: dict[str, object] = {
            "merchant_id": self.merchant_id,
            "customer_id": self.customer_id,
            "plan_id": self.plan_id,
            "name": "Pro",
            "started_at": START,
            "test_clock_id": self.clock_id,
            "auto_charge": True,
        }
        return CreateSubscription(**{**values, **changes})  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class PlanShape:
    """What the plan of a shop charges."""

    fee: str | None = "49.00"
    unit_price: str | None = "0.002"
    currency: str = "USD"
    tax_percent: str = "10"
    tax_behavior: str = "exclusive"
    cadence: str = "P1M"
    """Of the plan and of its fee."""
    anchor: datetime | None = None
    billing_version: int = 1
    is_obligation: bool = False
    fee_term: str = "in_advance"
    allowance: dict[str, object] | None = None
    """What is included of the usage, as a template."""
    usage_cadence: str | None = None
    """How often usage is billed; None: with the plan."""


async def open_shop(database: Database, merchant_id: str, shape: PlanShape | None = None) -> Shop:
    """A shop of this merchant."""
    shape = shape or PlanShape()
    shop = Shop(
        merchant_id=merchant_id,
        customer_id=new_id("cus"),
        plan_id=new_id("plan"),
        metric_id=new_id("bm"),
        clock_id=new_id("tc"),
    )
    product_id, version_id = new_id("prod"), new_id("pver")
    rows: list[list[object]] = [
        [
            Product(id=product_id, merchant_id=merchant_id, name="API", description=""),
            TestClock(
                id=shop.clock_id, merchant_id=merchant_id, current_time=START, target_time=START
            ),
        ],
        _customer(shop),
        _plan(shop, shape, product_id, version_id),
        _prices(shop, shape, product_id),
    ]
    async with database.transaction() as session:
        for batch in rows:
            for row in batch:
                session.add(row)
                await session.flush()
        for position, price in enumerate(rows[-1]):
            if isinstance(price, Price):
                session.add(
                    PlanLine(
                        plan_version_id=version_id,
                        key=f"line-{position}",
                        merchant_id=merchant_id,
                        price_id=price.id,
                        position=position,
                    )
                )
    return shop


async def next_customer(database: Database, shop: Shop, **columns: object) -> Shop:
    """The same shop with another customer, who has these columns."""
    other = replace(shop, customer_id=new_id("cus"))
    async with database.transaction() as session:
        for row in _customer(other):
            for name, value in columns.items() if isinstance(row, Customer) else ():
                setattr(row, name, value)
            session.add(row)
            await session.flush()
    return other


def _customer(shop: Shop) -> list[object]:
    consumer_id = new_id("org")
    return [
        Consumer(
            id=consumer_id,
            merchant_id=shop.merchant_id,
            name="Ada",
            email=f"{shop.customer_id}@example.com",
        ),
        Customer(id=shop.customer_id, merchant_id=shop.merchant_id, consumer_id=consumer_id),
    ]


def _plan(shop: Shop, shape: PlanShape, product_id: str, version_id: str) -> list[object]:
    return [
        Plan(
            id=shop.plan_id,
            merchant_id=shop.merchant_id,
            product_id=product_id,
            name="Pro",
            currency=shape.currency,
            billing_cadence=shape.cadence,
            billing_anchor=shape.anchor,
            billing_version=shape.billing_version,
            default_tax_rate=Decimal(shape.tax_percent),
            tax_behavior=shape.tax_behavior,
            version_transition=TRANSITION,
            default_version_id=version_id,
        ),
        PlanVersion(id=version_id, merchant_id=shop.merchant_id, plan_id=shop.plan_id, number=1),
    ]


def _prices(shop: Shop, shape: PlanShape, product_id: str) -> list[object]:
    rows: list[object] = []
    if shape.fee is not None:
        fee = Fee(
            id=new_id("fee"),
            merchant_id=shop.merchant_id,
            product_id=product_id,
            name="Platform",
            description="",
        )
        price = _price(shop, shape.fee, fee_id=fee.id, obligation=shape.is_obligation)
        price.payment_term, price.billing_cadence = shape.fee_term, shape.cadence
        rows += [fee, price]
    if shape.unit_price is not None:
        metric = BillableMetric(
            id=shop.metric_id,
            merchant_id=shop.merchant_id,
            product_id=product_id,
            name="Tokens",
            description="",
            unit="token",
            aggregation="SUM",
            event_type="tokens.used",
            value_property="$.tokens",
        )
        price = _price(shop, shape.unit_price, metric_id=metric.id)
        price.billing_cadence = shape.usage_cadence
        rows.append(metric)
        if shape.allowance is not None:
            feature = _feature(shop, product_id)
            price.feature_id, price.entitlement_template = feature.id, shape.allowance
            rows.append(feature)
        rows.append(price)
    return rows


def _feature(shop: Shop, product_id: str) -> Feature:
    return Feature(
        id=new_id("feat"),
        merchant_id=shop.merchant_id,
        product_id=product_id,
        key="tokens",
        name="Tokens",
        type="metered",
    )


def _price(
    shop: Shop,
    unit_price: str,
    *,
    fee_id: str | None = None,
    metric_id: str | None = None,
    obligation: bool = False,
) -> Price:
    return Price(
        id=new_id("price"),
        merchant_id=shop.merchant_id,
        fee_id=fee_id,
        billable_metric_id=metric_id,
        invoice_display_name="Fee" if fee_id else "Tokens",
        model="standard",
        properties={"unitPrice": unit_price},
        payment_term="in_advance" if fee_id else "in_arrears",
        billing_cadence="P1M" if fee_id else None,
        is_obligation=obligation,
        tax=IN_SCOPE,
    )
