"""Explanations over HTTP: every line of a mixed invoice can be rated by hand, for good."""

from datetime import timedelta
from fractions import Fraction

import httpx2
import pytest
from sqlalchemy import text

from api.temporal_links import TemporalUi
from models.database import Database
from tests.api import by_hand
from tests.api.in_process import accepted
from tests.api.mixed import START, UI, Mixed, a_mixed_invoice

Client = httpx2.AsyncClient


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


async def test_a_deal_is_rated_by_hand(mixed: Mixed) -> None:
    """A tenth off everything from 14 February on; 30 units waived, at least 80 packages' units."""
    await mixed.open()
    deal = f"/v0/subscriptions/{mixed.subscription}/adjustments"
    for kind, value, price, since in (
        ("percentageDiscount", "0.1", None, START + timedelta(days=14)),
        ("usageDiscount", "30", "volume", START),
        ("minimumQuantity", "80", "package", START),
        ("maximumQuantity", "100", "graduated", START),
    ):
        target = {} if price is None else {"targetPriceIds": [mixed.prices[price]]}
        term = {"type": kind, kind: value, "effectiveFrom": since.isoformat(), **target}
        accepted(await mixed.client.post(deal, json=term))
    await a_mixed_invoice(mixed)
    for number in (0, 1):
        told = await mixed.explained(number)
        assert told["agrees"] is True
        _, stored = await mixed.stored(number)
        for name, amounts in by_hand.recompute(told).items():
            assert amounts.price == Fraction(stored[name]["totalPrice"]), stored[name]
    first = {line["displayName"]: line["steps"] for line in (await mixed.explained(0))["lines"]}
    volume, package = first["volume"], first["package"]
    assert (volume["measuredQuantity"], volume["pricedQuantity"]) == ("99", "69")
    assert (package["measuredQuantity"], package["pricedQuantity"]) == ("60", "80")
    assert first["Discount"]["discount"]["share"]["numerator"] == "1"
    assert first["Discount"]["discount"]["share"]["denominator"] == "20"
    kinds = {line["kind"] for line in told["lines"]}
    assert kinds == {"fee", "metric", "adjustment", "manual"}


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
    cut = credit["cut"]
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
