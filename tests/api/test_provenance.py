"""What an invoice's lines bring along: the contract's trace of each amount, and their items."""

from fractions import Fraction
from typing import Any

import httpx2
import pytest

from tests.api.by_hand import significant
from tests.api.in_process import Shop, accepted
from tests.api.mixed import START, Mixed, a_mixed_invoice

Client = httpx2.AsyncClient


def is_discount(step: Any) -> bool:
    return bool(step["op"] == "scale")


async def traced(mixed: Mixed, number: int) -> list[Any]:
    path = f"/v2/invoices/{mixed.invoice_id(number)}"
    shown = accepted(await mixed.client.get(path, params={"expand": "lineProvenance"}))
    lines: list[Any] = shown["lineItems"]["lineItems"]
    listed = accepted(
        await mixed.client.get(f"{path}/lineItems", params={"expand": "lineProvenance"})
    )
    assert listed["lineItems"] == lines
    return lines


def follow(trace: Any) -> Fraction:
    """The amount at the end of the steps, each worked out from its own parameters."""
    amount = Fraction(0)
    before = None
    for step in trace["steps"]:
        params = step["params"]
        assert step["source"] in trace["sources"]
        if step["on"] == "quantity":
            assert step["in"] == trace["inputs"]["quantity"]["value"]
            continue
        assert step["in"] == (trace["inputs"]["amount"]["value"] if is_discount(step) else before)
        before = step["out"]
        match step["op"]:
            case "evaluate":
                amount = sum((Fraction(part["amount"]) for part in params["applied"]), Fraction(0))
            case "scale":
                (term,) = params["terms"]
                amount = Fraction(step["in"]) * Fraction(term["value"])
                amount = significant(amount, int(params["significantDigits"]))
            case "subtractBilled":
                amount -= Fraction(params["amount"])
                if "kept" in params:
                    amount = significant(
                        amount * Fraction(params["kept"]), int(params["significantDigits"])
                    )
                amount += Fraction(params["carried"])
            case "prorate":
                amount *= Fraction(params["fraction"])
                amount = significant(amount, int(params["significantDigits"]))
            case "extractTax":
                amount /= 1 + Fraction(params["rate"])
                amount = significant(amount, int(params["significantDigits"]))
            case "cap":
                amount = Fraction(step["out"])
        assert Fraction(step["out"]) == amount, step
    return amount


@pytest.mark.parametrize("behavior", ["exclusive", "inclusive"])
async def test_the_steps_lead_to_the_stored_amount(mixed: Mixed, behavior: str) -> None:
    await mixed.open(taxBehavior=behavior)
    await a_mixed_invoice(mixed)
    seen = set()
    for number in (0, 1):
        for line in await traced(mixed, number):
            trace = line["provenance"]
            assert trace["status"] == "recorded"
            assert follow(trace) == Fraction(line["totalPrice"])
            assert trace["result"]["amount"] == line["totalPrice"]
            assert (trace["currency"], trace["notApplied"]) == ("USD", [])
            assert trace["period"]["start"] == line["periodStart"]
            assert trace["subscriptionId"] == mixed.subscription
            for given in trace["inputs"].values():
                assert isinstance(given, str) or given["source"] in trace["sources"]
            seen |= {step["op"] for step in trace["steps"]}
    expected = {"evaluate", "subtractBilled", "prorate", "cap"}
    assert seen == expected | ({"extractTax"} if behavior == "inclusive" else set())


async def test_a_deal_is_traced(mixed: Mixed) -> None:
    await mixed.open()
    deal = f"/v0/subscriptions/{mixed.subscription}/adjustments"
    for kind, value, targets in (
        ("percentageDiscount", "0.15", {}),
        ("usageDiscount", "7", {"targetPriceIds": [mixed.prices["graduated"]]}),
    ):
        term = {"type": kind, kind: value, "effectiveFrom": START.isoformat(), **targets}
        accepted(await mixed.client.post(deal, json=term))
    await a_mixed_invoice(mixed)
    kinds = set()
    for number in (0, 1):
        for line in await traced(mixed, number):
            trace = line["provenance"]
            assert follow(trace) == Fraction(line["totalPrice"])
            kinds.add(trace["inputs"]["kind"])
            for step in trace["steps"]:
                if step["on"] == "quantity":
                    assert step["source"] == "adjustment"
                    assert Fraction(step["in"]) - Fraction(step["out"]) == Fraction(7)
    assert kinds == {"priced", "given", "fromLine"}


async def test_prices_are_told_as_the_contract_writes_them(mixed: Mixed) -> None:
    await mixed.open()
    await mixed.use("volume", "150", START)
    await mixed.commands.close_period(mixed.shop.merchant_id, mixed.subscription, 0)
    found = {line["invoiceDisplayName"]: line["provenance"] for line in await traced(mixed, 0)}
    told = {name: trace["inputs"]["price"]["fn"] for name, trace in found.items()}
    assert told["standard"] == {"model": "unit", "rate": "0.0123"}
    assert told["volume"] == {
        "model": "volume",
        "bands": [
            {"upTo": "100", "rate": "0.07"},
            {"upTo": "200", "rate": "0.03"},
            {"upTo": None, "rate": "0.02", "flatAmount": "1.75"},
        ],
    }
    assert told["percentage"] == {
        "model": "percentage",
        "rate": "0.0275",
        "min": "5",
        "max": "40",
    }
    volume = found["volume"]
    assert volume["inputs"]["quantity"] == {"value": "150", "source": "meter"}
    assert volume["sources"]["meter"]["asUsed"] == {"reading": "150", "eventCount": 1}
    assert volume["steps"][0]["params"]["applied"] == [
        {
            "kind": "band",
            "units": "150",
            "rate": "0.03",
            "above": "100",
            "upTo": "200",
            "amount": "4.5",
        }
    ]


async def test_an_open_invoice_is_not_calculated_yet(mixed: Mixed) -> None:
    await mixed.open()
    assert {line["provenance"]["status"] for line in await traced(mixed, 0)} == {"pending"}
    invoice, _ = await mixed.stored(0)
    assert all("provenance" not in line for line in invoice["lineItems"]["lineItems"])


async def test_items_are_resolved_with_their_codes(shop: Shop, living: Client) -> None:
    """Two fees tagged with one item and one without: one item, with the codes that are wanted."""
    product = await shop.product()
    item = await shop.post(
        "/v0/items", merchantId=shop.merchant_id, name="Seats", catalogId=product
    )
    for provider, code in (("accountsiq", "4000"), ("xero", "SEAT"), ("xero", "SEAT-2")):
        await shop.post(
            "/v0/externalReferences",
            merchantId=shop.merchant_id,
            entityType="item",
            entityId=item["id"],
            provider=provider,
            externalId=code,
        )
    prices = []
    for tag in (item["id"], item["id"], None):
        fee = await shop.post(
            "/v0/fees",
            merchantId=shop.merchant_id,
            productId=product,
            name="Seats",
            description="d",
            **({} if tag is None else {"itemId": tag}),
        )
        price = await shop.fee_price(product, "10.00", feeId=fee["id"])
        prices.append(price)
    made = await shop.subscribe(await shop.plan(product, *prices))
    path = f"/v2/invoices/{made['payment']['invoiceId']}"

    async def items(**query: str) -> Any:
        answer = accepted(await living.get(path, params={"expand": "items", **query}))
        lines = answer["lineItems"]
        assert [line["itemId"] for line in lines["lineItems"]] == [item["id"], item["id"], None]
        return lines["items"]

    (every,) = await items()
    assert (every["id"], every["name"], every["catalogId"]) == (item["id"], "Seats", product)
    assert every["archivedAt"] is None
    codes = [each["externalId"] for each in every["externalReferences"]]
    assert sorted(codes) == ["4000", "SEAT", "SEAT-2"]
    (narrowed,) = await items(provider="accountsiq")
    assert [each["externalId"] for each in narrowed["externalReferences"]] == ["4000"]
    (unmapped,) = await items(provider="sage")
    assert unmapped["externalReferences"] == []
    first = await living.get(f"{path}/lineItems", params={"expand": "items", "limit": 2})
    token = first.json()["nextPageToken"]
    rest = await living.get(f"{path}/lineItems", params={"expand": "items", "pageToken": token})
    assert (first.json()["items"], rest.json()["items"]) == ([every], [])
