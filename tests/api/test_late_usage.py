"""Usage that arrives, or is voided, after its period was billed: the next invoice tells it."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from activities.invoices import DraftInvoice, InvoiceActivities
from activities.subscription_rolls import RollPeriod
from activities.subscriptions import SubscriptionActivities
from billing.ids import derived_id
from models.base import wall_now
from tests.api.in_process import InProcess, Shop, accepted

Client = httpx2.AsyncClient
START = datetime(2026, 1, 31, tzinfo=UTC)
# Anchored on the 31st: the periods begin on 31 January, 28 February, 31 March, 30 April.
PERIODS = [
    START,
    datetime(2026, 2, 28, tzinfo=UTC),
    datetime(2026, 3, 31, tzinfo=UTC),
    datetime(2026, 4, 30, tzinfo=UTC),
]
_keys = count(1)


class Meter:
    """A subscription on a clock whose tokens cost 0.50 each, plus 10 %; closed by hand."""

    def __init__(self, shop: Shop, client: Client, commands: InProcess) -> None:
        self.shop, self.client, self.commands = shop, client, commands
        self.metric = self.customer = self.subscription = ""

    async def open(self, *, metric: dict[str, Any] | None = None, **price: Any) -> "Meter":
        product = await self.shop.product()
        self.metric, price_id = await self.shop.metric_price(product, "0.50", **price)
        if metric is not None:
            accepted(await self.client.patch(f"/v0/billableMetrics/{self.metric}", json=metric))
        plan = await self.shop.plan(product, price_id)
        clock = await self.shop.clock(START.isoformat())
        made = await self.shop.subscribe(plan, startedAt=START.isoformat(), testClockId=clock)
        self.customer, self.subscription = made["customerId"], made["id"]
        return self

    async def use(self, tokens: int, period: int = 0, **subject: str) -> str:
        """Reports usage in the period, a day after it began."""
        answer = await self.client.post(
            "/v0/events",
            json={
                "type": "completion",
                "source": "test",
                **(subject or {"subject": self.customer}),
                "idempotencyKey": f"late-{next(_keys)}",
                "timestamp": (PERIODS[period] + timedelta(days=1)).isoformat(),
                "data": {"tokens": tokens},
            },
        )
        return str(accepted(answer)["id"])

    async def void(self, event_id: str, reason: str = "Twice") -> httpx2.Response:
        return await self.client.post(f"/v0/events/{event_id}/void", json={"reason": reason})

    async def close(self, number: int) -> dict[str, Any]:
        """Closes the period; its invoice with its lines."""
        await self.commands.close_period(self.shop.merchant_id, self.subscription, number)
        return await self.invoice(number)

    async def invoice(self, number: int) -> dict[str, Any]:
        invoice_id = derived_id("inv", self.subscription, number)
        path = f"/v2/invoices/{invoice_id}"
        answer: dict[str, Any] = accepted(
            await self.client.get(path, params={"expand": "lineItems"})
        )
        return answer

    async def begin_close(self, number: int) -> DraftInvoice:
        """Ends the period without drafting its invoice."""
        activities = SubscriptionActivities(self.commands.database)
        rolled = await activities.roll_period(
            RollPeriod(
                merchant_id=self.shop.merchant_id,
                subscription_id=self.subscription,
                sequence_number=number,
                now=PERIODS[number + 1],
            )
        )
        assert rolled.closing is not None
        return DraftInvoice(
            merchant_id=self.shop.merchant_id,
            invoice_id=rolled.closing.invoice_id,
            now=rolled.closing.grace_period_end,
        )

    async def unbilled(self) -> list[dict[str, Any]]:
        path = f"/v0/subscriptions/{self.subscription}/lateUsage"
        found: list[dict[str, Any]] = accepted(await self.client.get(path))["data"]
        return found


@pytest.fixture
def meter(shop: Shop, living: Client, commands: InProcess) -> Meter:
    return Meter(shop, living, commands)


def lines(invoice: dict[str, Any]) -> list[tuple[str, str, float, str]]:
    """Name, day on which the period began, quantity, price of each line."""
    return [
        (
            line["invoiceDisplayName"],
            line["periodStart"][:10],
            line["quantity"],
            line["totalPrice"],
        )
        for line in invoice["lineItems"]["lineItems"]
    ]


async def test_late_usage_is_a_line_of_the_next_invoice(meter: Meter) -> None:
    """10 tokens billed (5.00); 4 come late: 2.00 beside the next period's 6 (3.00); tax 0.50."""
    await meter.open()
    await meter.use(10)
    first = await meter.close(0)
    assert (first["subtotal"], first["totalTax"]) == ("5.00", "0.50")
    await meter.use(4)
    await meter.use(6, period=1)
    live = await meter.invoice(1)
    stored = await meter.close(1)
    for invoice in (live, stored):
        assert lines(invoice) == [
            ("Tokens", "2026-02-28", 6, "3"),
            ("Tokens (late usage)", "2026-01-31", 4, "2"),
        ]
        assert (invoice["subtotal"], invoice["totalTax"]) == ("5.00", "0.50")
        assert invoice["periodStart"][:10] == "2026-01-31"
    assert lines(await meter.invoice(0)) == lines(first)


async def test_late_usage_under_the_merchants_own_name_counts(meter: Meter) -> None:
    """The customer is linked by its external id, so its events are its own, late ones too."""
    await meter.open()
    external_id = f"ada-{next(_keys)}"
    path = f"/v0/customers/{meter.customer}"
    accepted(await meter.client.patch(path, json={"externalId": external_id}))
    await meter.use(10)
    await meter.close(0)
    await meter.use(4, externalSubject=external_id)
    assert lines(await meter.close(1))[1] == ("Tokens (late usage)", "2026-01-31", 4, "2")
    assert len(lines(await meter.close(2))) == 1


async def test_each_late_event_is_billed_once(meter: Meter) -> None:
    await meter.open()
    await meter.use(10)
    await meter.close(0)
    await meter.use(4)
    await meter.close(1)
    assert lines(await meter.invoice(2)) == [("Tokens", "2026-03-31", 0, "0")]
    await meter.use(1)
    await meter.use(2, period=1)
    assert lines(await meter.close(2)) == [
        ("Tokens", "2026-03-31", 0, "0"),
        ("Tokens (late usage)", "2026-01-31", 1, "0.5"),
        ("Tokens (late usage)", "2026-02-28", 2, "1"),
    ]
    assert lines(await meter.invoice(3)) == [("Tokens", "2026-04-30", 0, "0")]


async def test_only_the_oldest_open_invoice_looks_back(meter: Meter) -> None:
    """Two invoices are open: the late 4 tokens stand on the first of them only."""
    await meter.open()
    await meter.use(10)
    await meter.close(0)
    await meter.use(4)
    closing = await meter.begin_close(1)
    assert len(lines(await meter.invoice(1))) == 2
    assert len(lines(await meter.invoice(2))) == 1
    activities = InvoiceActivities(meter.commands.database)
    for _time in range(2):
        await activities.draft_invoice(closing)
    await activities.finalize_invoice(closing)
    assert (await meter.invoice(1))["subtotal"] == "2.00"
    assert lines(await meter.close(2)) == [("Tokens", "2026-03-31", 0, "0")]


async def test_a_cheaper_band_gives_back_and_what_is_left_is_carried(meter: Meter) -> None:
    """100 at 5 are 500; with a late one 101 at 3 are 303: 197 come off, over two invoices.

    The first of them owes 20 x 5 = 100, which the credit takes; the second 30 x 5 = 150, of which
    it takes the other 97: 53 are left, and 5.30 of tax.
    """
    tiers = [{"upTo": "100", "unitPrice": "5"}, {"upTo": None, "unitPrice": "3"}]
    await meter.open(model="volume", properties={"tiers": tiers})
    await meter.use(100)
    assert (await meter.close(0))["subtotal"] == "500.00"
    await meter.use(1)
    await meter.use(20, period=1)
    second = await meter.close(1)
    assert (second["grandTotal"], second["status"]) == ("0.00", "PAID")
    assert lines(second)[1] == ("Tokens (late usage)", "2026-01-31", 1, "-100")
    await meter.use(30, period=2)
    third = await meter.close(2)
    assert lines(third)[1] == ("Tokens (late usage)", "2026-01-31", 0, "-97")
    assert (third["subtotal"], third["totalTax"]) == ("53.00", "5.30")
    assert lines(await meter.close(3)) == [("Tokens", "2026-04-30", 0, "0")]


async def test_a_voided_event_counts_no_more(meter: Meter) -> None:
    """10 + 6 tokens, 6 voided before the close: 5.00. Then 10 voided: 5.00 back from 8 x 0.50."""
    await meter.open()
    billed = await meter.use(10)
    voided = await meter.use(6)
    answer = await meter.void(voided)
    assert answer.status_code == 200, answer.text
    again = await meter.void(voided, "Another reason")
    assert again.json() == answer.json()
    assert answer.json()["reason"] == "Twice"
    assert (await meter.close(0))["subtotal"] == "5.00"
    await meter.void(billed)
    await meter.use(18, period=1)
    second = await meter.close(1)
    assert lines(second) == [
        ("Tokens", "2026-02-28", 18, "9"),
        ("Tokens (late usage)", "2026-01-31", -10, "-5"),
    ]
    assert (second["subtotal"], second["totalTax"]) == ("4.00", "0.40")
    window = {"from": PERIODS[0].isoformat(), "to": PERIODS[1].isoformat()}
    reading = await meter.client.get(f"/v0/billableMetrics/{meter.metric}/meter", params=window)
    assert Decimal(str(reading.json()["totalValue"])) == 0


async def test_what_is_voided_exists_and_has_a_reason(
    meter: Meter, stranger_client: Client
) -> None:
    await meter.open()
    event = await meter.use(1)
    path = f"/v0/events/{event}/void"
    assert (await stranger_client.post(path, json={"reason": "x"})).status_code == 404
    assert (await meter.client.post(path, json={})).status_code == 400
    assert (await meter.client.post(path, json={"reason": ""})).status_code == 400
    assert (await meter.void(f"evt_{'0' * 32}")).status_code == 404
    assert (await meter.void("evt_x")).status_code == 404


async def test_late_usage_can_be_ignored(meter: Meter) -> None:
    await meter.open(metric={"lateUsage": "ignore"})
    await meter.use(10)
    await meter.close(0)
    await meter.use(4)
    assert lines(await meter.close(1)) == [("Tokens", "2026-02-28", 0, "0")]


async def test_after_the_last_invoice_late_usage_is_listed(meter: Meter) -> None:
    await meter.open()
    await meter.use(10)
    await meter.close(0)
    await meter.use(4)
    (expected,) = await meter.unbilled()
    assert expected["invoiceId"] == derived_id("inv", meter.subscription, 1)
    await meter.close(1)
    assert await meter.unbilled() == []
    path = f"/v0/subscriptions/{meter.subscription}/termination"
    accepted(await meter.client.post(path, json={"reason": "End"}))
    closing = DraftInvoice(
        merchant_id=meter.shop.merchant_id,
        invoice_id=derived_id("inv", meter.subscription, 2),
        now=wall_now(),
    )
    activities = InvoiceActivities(meter.commands.database)
    await activities.draft_invoice(closing)
    await activities.finalize_invoice(closing)
    await meter.use(2)
    (left,) = await meter.unbilled()
    assert (left["invoiceId"], left["quantity"], left["totalAmount"]) == (None, "2", "1.1")
    # Once its events may be gone, a period is not read again: the reading would have fallen.
    async with meter.commands.database.transaction() as session:
        connection = await session.connection()
        own = {"id": meter.shop.merchant_id}
        await connection.execute(
            text("UPDATE merchants SET usage_deleted_before = '2026-03-01' WHERE id = :id"), own
        )
        await connection.execute(text("DELETE FROM usage_events WHERE merchant_id = :id"), own)
    await meter.use(1)
    assert await meter.unbilled() == []


async def test_what_is_owed_as_a_credit_is_not_told_again(meter: Meter, operator: Client) -> None:
    """10 tokens billed, 5.00 + 0.50, and voided after the end: the last invoice owes nothing.

    5.50 are the customer's credit, and no correction waits any more; 2 late tokens are one again.
    """
    await meter.open()
    billed = await meter.use(10)
    await meter.close(0)
    path = f"/v0/subscriptions/{meter.subscription}/termination"
    accepted(await meter.client.post(path, json={"reason": "End"}))
    await meter.void(billed)
    (waiting,) = await meter.unbilled()
    assert (waiting["quantity"], waiting["totalAmount"]) == ("-10", "-5.5")
    last = derived_id("inv", meter.subscription, 1)
    await meter.commands.issue(meter.shop.merchant_id, last, wall_now())
    told = {"subscriptionId": meter.subscription}
    (credit,) = accepted(await operator.get("/internal/v1/credits", params=told))["data"]
    assert (credit["status"], credit["total"]) == ("standing", "5.50")
    assert await meter.unbilled() == []
    await meter.use(2)
    (late,) = await meter.unbilled()
    assert (late["quantity"], late["totalAmount"]) == ("2", "1.1")


async def test_events_that_arrive_while_a_draft_is_made_are_not_lost(meter: Meter) -> None:
    """Whatever each draft saw, the three invoices bill all 40 tokens, each once."""
    await meter.open()
    senders = [meter.use(1) for _ in range(20)]
    await asyncio.gather(meter.close(0), *senders)
    senders = [meter.use(1) for _ in range(20)]
    await asyncio.gather(meter.close(1), *senders)
    await meter.close(2)
    billed = [line for number in range(3) for line in lines(await meter.invoice(number))]
    assert sum(quantity for _, _, quantity, _ in billed) == 40
    assert sum(Decimal(price) for _, _, _, price in billed) == 20
