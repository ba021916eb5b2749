"""Explanations over HTTP: every line of a mixed invoice can be rated by hand, for good."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import count
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from api.app import create_app
from api.temporal_links import TemporalUi
from billing.ids import derived_id
from models.database import Database
from settings import Settings
from tests.api import by_hand
from tests.api.in_process import InProcess, Shop, accepted
from tests.api.test_internal import ADMIN_KEY
from tests.conftest import client_of

Client = httpx2.AsyncClient
START = datetime(2026, 1, 31, tzinfo=UTC)
FEBRUARY_END = datetime(2026, 2, 28, tzinfo=UTC)
# Seventeen days, and an odd hour, into a cycle of thirty-one.
ENDED = datetime(2026, 3, 17, 5, 43, 21, tzinfo=UTC)
UI = "http://ui.test"
_keys = count(1)
BANDS = {"tiers": [{"upTo": "100", "unitPrice": "0.07"}, {"upTo": None, "unitPrice": "0.03"}]}
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


@pytest.fixture
async def operator(database: Database) -> AsyncIterator[Client]:
    """Whoever holds the installation's key, where Temporal has a page."""
    settings = Settings(admin_key=ADMIN_KEY, temporal_ui_url=UI)
    async with client_of(create_app(settings, database=database), ADMIN_KEY) as opened:
        yield opened


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


@pytest.fixture
def mixed(shop: Shop, living: Client, commands: InProcess, operator: Client) -> Mixed:
    return Mixed(shop, living, commands, operator)


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


@pytest.mark.parametrize("behavior", ["exclusive", "inclusive"])
async def test_every_line_of_a_mixed_invoice_is_rated_by_hand(mixed: Mixed, behavior: str) -> None:
    await mixed.open(taxBehavior=behavior)
    await a_mixed_invoice(mixed)
    for number in (0, 1):
        told = await mixed.explained(number)
        assert (told["isStored"], told["agrees"]) == (True, True)
        invoice, stored = await mixed.stored(number)
        recomputed = by_hand.recompute(told)
        assert recomputed.keys() == stored.keys()
        for name, amounts in recomputed.items():
            line = stored[name]
            assert amounts == by_hand.Amounts(
                Fraction(line["totalPrice"]),
                Fraction(line["totalTax"]),
                Fraction(line["totalAmount"]),
            ), line
        subtotal, tax = by_hand.due(told, recomputed)
        assert subtotal == Fraction(invoice["subtotal"]) == Fraction(told["subtotal"]["amount"])
        assert tax == Fraction(invoice["totalTax"]) == Fraction(told["totalTax"]["amount"])
        assert subtotal + tax == Fraction(invoice["grandTotal"]) == Fraction(told["grandTotal"])
    kinds = [line["kind"] for line in told["lines"]]
    assert kinds == ["fee"] + ["metric"] * 10 + ["manual"] * 3
    assert invoice["grandTotal"] == "0.00"


async def test_the_parts_say_where_the_units_fell(mixed: Mixed) -> None:
    """57 units: 10 in the first band and 47 in the second, each with its flat amount."""
    await mixed.open()
    await mixed.use("graduated", "57", START + timedelta(days=3))
    await mixed.use("package", "60", START + timedelta(days=3))
    await mixed.use("percentage", "12", START + timedelta(days=3))
    live = await mixed.explained(0)
    assert (live["isStored"], live["agrees"]) == (False, True)
    assert "drafted" not in live["workflows"]
    lines = {line["displayName"]: line["steps"] for line in live["lines"]}
    assert lines["graduated"]["parts"] == [
        {
            "kind": "band",
            "units": "10",
            "unitPrice": "1",
            "above": "0",
            "upTo": "10",
            "amount": "10",
        },
        {"kind": "flat", "above": "0", "upTo": "10", "amount": "2.5"},
        {
            "kind": "band",
            "units": "47",
            "unitPrice": "0.333",
            "above": "10",
            "upTo": "100",
            "amount": "15.651",
        },
        {"kind": "flat", "above": "10", "upTo": "100", "amount": "1.25"},
    ]
    assert lines["package"]["parts"] == [
        {"kind": "packages", "units": "3", "unitPrice": "3.1", "amount": "9.3"}
    ]
    assert lines["percentage"]["parts"] == [
        {"kind": "share", "units": "12", "unitPrice": "0.0275", "amount": "0.33"},
        {"kind": "least_charge", "amount": "4.67"},
    ]
    usage = lines["graduated"]["usage"]
    assert (usage["reading"], usage["eventCount"], usage["aggregation"]) == ("57", 1, "SUM")
    assert live["usageWatermark"]


async def test_a_stub_a_correction_and_a_cut_are_told(mixed: Mixed) -> None:
    """The fee runs from 28 February, 00:00, to 17 March, 05:43:21, of a cycle of 31 days."""
    await mixed.open()
    await a_mixed_invoice(mixed)
    told = await mixed.explained(1)
    fee = told["lines"][0]
    proration = fee["steps"]["proration"]
    assert fee["window"]["seconds"] == str(17 * 86400 + 5 * 3600 + 43 * 60 + 21)
    assert proration["cycle"]["seconds"] == str(31 * 86400)
    exact = Fraction(int(proration["numerator"]), int(proration["denominator"]))
    assert exact == Fraction(fee["window"]["seconds"]) / (31 * 86400)
    assert fee["steps"]["price"]["planVersionNumber"] == 1
    assert fee["steps"]["tax"]["source"] == "plan"
    late = {line["displayName"]: line for line in told["lines"] if "late" in line["displayName"]}
    volume = late["volume (late usage)"]["steps"]
    assert volume["usage"]["reading"] == "102"
    assert volume["usage"]["eventCount"] == 2
    assert volume["correction"]["billedQuantity"] == "99"
    assert volume["correction"]["invoiceId"] == mixed.invoice_id(0)
    assert volume["correction"]["amount"] == "6.93"
    assert volume["owedAmount"] == "-3.87"
    assert volume["tax"]["source"] == "corrected_line"
    credit = told["lines"][-1]["steps"]
    (cut,) = credit["adjustments"]
    assert cut["before"] == "-1190"
    assert Fraction(cut["carried"]) == -1000 - Fraction(told["lines"][-1]["totalPrice"])
    assert told["walletCharge"] == "0.00"
    close = told["workflows"]["subscription"]
    assert close["url"] == f"{UI}/namespaces/default/workflows/subscription%2F{mixed.subscription}"


async def test_an_explanation_outlives_a_change_of_everything(
    mixed: Mixed, database: Database
) -> None:
    await mixed.open()
    await a_mixed_invoice(mixed)
    before = await mixed.explained(1)
    async with database.transaction() as session:
        connection = await session.connection()
        own = {"merchant": mixed.shop.merchant_id}
        for statement in (
            "UPDATE prices SET model = 'standard', properties = '{\"unitPrice\": \"9\"}'",
            "UPDATE plans SET default_tax_rate = 50",
            "UPDATE customers SET tax_rates = '{\"default\": 7}'",
            "DELETE FROM usage_events",
        ):
            await connection.execute(text(f"{statement} WHERE merchant_id = :merchant"), own)
    assert await mixed.explained(1) == before


async def test_an_altered_line_does_not_agree(mixed: Mixed, database: Database) -> None:
    await mixed.open()
    await a_mixed_invoice(mixed)
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.execute(
            text(
                "UPDATE invoice_lines SET total_price = total_price + 0.01"
                " WHERE merchant_id = :merchant AND kind = 'fee'"
            ),
            {"merchant": mixed.shop.merchant_id},
        )
    told = await mixed.explained(1)
    assert told["agrees"] is False
    assert [line["agrees"] for line in told["lines"]].count(False) == 1


async def test_a_line_from_before_origins_were_kept_says_so(
    mixed: Mixed, database: Database
) -> None:
    await mixed.open()
    await a_mixed_invoice(mixed)
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.execute(
            text("UPDATE invoice_lines SET origin = NULL WHERE merchant_id = :merchant"),
            {"merchant": mixed.shop.merchant_id},
        )
    told = await mixed.explained(0)
    assert all("steps" not in line and not line["agrees"] for line in told["lines"])


async def test_only_an_operator_asks(mixed: Mixed, living: Client) -> None:
    await mixed.open()
    path = f"/internal/v1/invoices/{mixed.invoice_id(0)}/explanation"
    assert (await living.get(path)).status_code == 404
    assert (await mixed.operator.get("/internal/v1/invoices/inv_0/explanation")).status_code == 404


def test_a_link_leads_to_the_run() -> None:
    """Ids hold slashes; each part of the path is one part."""
    ui = TemporalUi(f"{UI}/", "billing prod")
    assert ui.history("invoice-close/sub_1/3", "0f-1") == (
        f"{UI}/namespaces/billing%20prod/workflows/invoice-close%2Fsub_1%2F3/0f-1/history"
    )
    assert TemporalUi(None, "default").history("payment/inv_1") is None
