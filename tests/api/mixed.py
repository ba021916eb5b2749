"""A subscription whose invoices hold a line of every kind; it asserts nothing."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx2

from billing.ids import derived_id
from tests.api.in_process import InProcess, Shop, accepted

Client = httpx2.AsyncClient
UI = "http://ui.test"
ADMIN_KEY = "adm_" + "m" * 40
START = datetime(2026, 1, 31, tzinfo=UTC)
FEBRUARY_END = datetime(2026, 2, 28, tzinfo=UTC)
# Seventeen days, and an odd hour, into a cycle of thirty-one.
ENDED = datetime(2026, 3, 17, 5, 43, 21, tzinfo=UTC)
_keys = count(1)
BANDS = {
    "tiers": [
        {"upTo": "100", "unitPrice": "0.07"},
        {"upTo": "200", "unitPrice": "0.03"},
        {"upTo": None, "unitPrice": "0.02", "flatAmount": "1.75"},
    ]
}
STEPS = {
    "tiers": [
        {"upTo": "10", "unitPrice": "1", "flatAmount": "2.50"},
        {"upTo": "100", "unitPrice": "0.333", "flatAmount": "1.25"},
        {"upTo": None, "unitPrice": "0.1"},
    ]
}
SHARE = {"percentage": "0.0275", "minCharge": "5", "maxCharge": "40"}
MODELS: dict[str, dict[str, Any]] = {
    "standard": {"unitPrice": "0.0123"},
    "volume": BANDS,
    "graduated": STEPS,
    "package": {"packageSize": "25", "unitPrice": "3.10"},
    "percentage": SHARE,
}


class Mixed:
    """A subscription with a price of every model and a monthly fee in arrears."""

    def __init__(self, shop: Shop, client: Client, commands: InProcess, operator: Client) -> None:
        self.shop, self.client, self.commands, self.operator = shop, client, commands, operator
        self.customer = self.subscription = ""
        self.prices: dict[str, str] = {}

    async def open(self, **plan: Any) -> "Mixed":
        product = await self.shop.product()
        for model, properties in MODELS.items():
            metric = await self.shop.post(
                "/v0/billableMetrics",
                merchantId=self.shop.merchant_id,
                productId=product,
                name=model,
                description="d",
                unit="unit",
                aggregation="SUM",
                eventType=f"{model}.used",
                valueProperty="$.amount",
            )
            price = await self.shop.post(
                "/v0/prices",
                billableMetricId=metric["id"],
                model=model,
                properties=properties,
                paymentTerm="in_arrears",
                invoiceDisplayName=model,
            )
            self.prices[model] = price["id"]
        terms = {"paymentTerm": "in_arrears", "billingCadence": "P1M", "quantity": 3}
        fee = await self.shop.fee_price(product, "19.99", **terms)
        members = {"defaultTaxRate": 19} | plan
        plan_id = await self.shop.plan(product, fee, *self.prices.values(), **members)
        self.clock = await self.shop.clock(START.isoformat())
        made = await self.shop.subscribe(
            plan_id, startedAt=START.isoformat(), testClockId=self.clock
        )
        self.customer, self.subscription = made["customerId"], made["id"]
        return self

    async def use(self, model: str, amount: str, day: datetime) -> None:
        event = {
            "type": f"{model}.used",
            "source": "test",
            "subject": self.customer,
            "idempotencyKey": f"mixed-{next(_keys)}",
            "timestamp": day.isoformat(),
            "data": {"amount": amount},
        }
        accepted(await self.client.post("/v0/events", json=event))

    async def write(self, unit_price: float, quantity: float = 1) -> str:
        body = {
            "displayName": "Written",
            "currency": "USD",
            "quantity": quantity,
            "unitPrice": unit_price,
            "subscriptionId": self.subscription,
        }
        return str((await self.shop.post("/v2/invoices/lineItems", **body))["id"])

    async def end(self) -> None:
        """Ends the subscription amid its second period, and issues that period's invoice."""
        moved = {"currentTime": ENDED.isoformat()}
        accepted(await self.client.patch(f"/v0/testClocks/{self.clock}", json=moved))
        path = f"/v0/subscriptions/{self.subscription}/termination"
        accepted(await self.client.post(path, json={"reason": "Enough"}))
        await self.commands.issue(self.shop.merchant_id, self.invoice_id(1), ENDED)

    def invoice_id(self, number: int) -> str:
        return derived_id("inv", self.subscription, number)

    async def explained(self, number: int) -> Any:
        path = f"/internal/v1/invoices/{self.invoice_id(number)}/explanation"
        return accepted(await self.operator.get(path))

    async def stored(self, number: int) -> tuple[Any, dict[str, Any]]:
        """The invoice and its lines, as merchants see them."""
        path = f"/v2/invoices/{self.invoice_id(number)}"
        invoice = accepted(await self.client.get(path, params={"expand": "lineItems"}))
        return invoice, {line["eventId"]: line for line in invoice["lineItems"]["lineItems"]}


async def a_mixed_invoice(mixed: Mixed) -> None:
    """All models, an early end, usage of the first period that came late, charges and credits."""
    february, march = START + timedelta(days=3), FEBRUARY_END + timedelta(days=3)
    for model, amount in zip(MODELS, ("1000.5", "99", "57", "60", "12"), strict=True):
        await mixed.use(model, amount, february)
    await mixed.commands.close_period(mixed.shop.merchant_id, mixed.subscription, 0)
    for model, amount in zip(MODELS, ("17.25", "3", "60.125", "1", "900.40"), strict=True):
        await mixed.use(model, amount, february)
    for model, amount in zip(MODELS, ("333.33", "100", "104.5", "51", "1200"), strict=True):
        await mixed.use(model, amount, march)
        await mixed.use(model, "0.000001", march)
    await mixed.write(12.345, quantity=2)
    await mixed.write(-7.77)
    await mixed.write(-1000)
    await mixed.end()
