"""Tales of prices that change while what they charge has not been billed yet.

March ends on 1 April; grace lasts until 2 April.
"""

from typing import Any

from tests.scenario.shop import Contract, Meter, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2025-03-01")
IN_GRACE = at("2025-04-01T12:00")
ISSUED = at("2025-04-02")
NEXT = at("2025-05-02")


def _totals(shop: Shop, contract: Contract) -> list[str]:
    return [f"{each.status} {each.grand_total}" for each in shop.invoices(contract)]


def _edit(shop: Shop, price_id: str, **changes: Any) -> int:
    """Edits a price in place; the answer's status."""
    return shop.http.patch(f"/v0/prices/{price_id}", json=changes).status_code


def _replace(shop: Shop, old: Meter, *, stable: bool) -> str:
    """The plan of a meter that is replaced in grace, under one key."""
    return shop.plan(keyed={"units": old}, stable_price_ids=stable)


def a_price_is_kept_for_the_period_in_grace(shop: Shop) -> Telling:
    """March's 3 units cost 10.00 each: 30.00, though the plan has left that price at once.

    In April nobody bills it any more, so that it may be edited once March is issued.
    """
    metric = shop.metric("Units")
    old, new = (shop.meter("Units", price, of=metric) for price in ("10", "11"))
    plan = _replace(shop, old, stable=False)
    contract = shop.subscribe(plan)
    shop.use(contract, old, 3, "2025-03-10")
    yield at("2025-03-20")
    shop.mint(plan, units=new)
    yield IN_GRACE
    assert _edit(shop, old.price_id, properties={"unitPrice": "20"}) == 409
    assert _edit(shop, old.price_id, invoiceDisplayName="Units of March") == 200
    yield ISSUED
    assert _totals(shop, contract) == ["ISSUED 30.00", "ACTIVE 0.00"]
    assert _edit(shop, old.price_id, properties={"unitPrice": "20"}) == 200


def a_price_is_kept_for_the_last_bill(shop: Shop) -> Telling:
    """Ended on 1 April, 12:00, with 5 units of that day at 11.00: 55.00 a day later."""
    units = shop.meter("Units", "11")
    contract = shop.subscribe(shop.plan(units))
    yield IN_GRACE
    shop.use(contract, units, 5, "2025-04-01T06:00")
    shop.terminate(contract)
    assert _edit(shop, units.price_id, properties={"unitPrice": "33"}) == 409
    yield at("2025-04-03")
    assert _totals(shop, contract) == ["PAID 0.00", "ISSUED 55.00"]
    assert _edit(shop, units.price_id, properties={"unitPrice": "33"}) == 200


def a_price_is_kept_for_an_interval(shop: Shop) -> Telling:
    """10 units that only an interval prices, at 3.00: 30.00; its price is neither edited nor gone.

    Once the interval is over and billed, the price is free.
    """
    sold, extra = shop.meter("Sold", "1"), shop.meter("Extra", "3")
    contract = shop.subscribe(shop.plan(sold))
    line = {
        "priceKey": "extra",
        "priceId": extra.price_id,
        "unitPrice": None,
        "baseQuantity": "1",
        "billingCadence": "P1M",
        "billingMode": "arrears",
        "startDate": "2025-03-01T00:00:00Z",
        "endDate": "2025-04-01T00:00:00Z",
    }
    edited = shop.http.post(f"/v0/subscriptions/{contract.id}/intervals", json={"add": [line]})
    assert edited.status_code == 200, edited.text
    shop.use(contract, extra, 10, "2025-03-10")
    other = shop.metric("Other")[0]
    assert _edit(shop, extra.price_id, billableMetricId=other) == 409
    refused = shop.http.delete(f"/v0/prices/{extra.price_id}")
    (blocker,) = refused.json()["details"]["blockers"]
    assert (blocker["type"], blocker["items"][0]["id"]) == ("subscriptions", contract.id)
    yield ISSUED
    assert _totals(shop, contract)[0] == "ISSUED 30.00"
    assert shop.http.delete(f"/v0/prices/{extra.price_id}").status_code == 204


def late_usage_at_the_price_of_its_period(shop: Shop) -> Telling:
    """March: 10 x 2.00. Version 2 asks 5.00 for the same id; 1 unit of March comes late: 2.00.

    April: 3 units at 2.00, since the version came after April began, and the late one: 8.00.
    """
    metric = shop.metric("Units")
    old, new = (shop.meter("Units", price, of=metric) for price in ("2", "5"))
    plan = _replace(shop, old, stable=True)
    contract = shop.subscribe(plan)
    shop.use(contract, old, 10, "2025-03-10")
    yield at("2025-04-05")
    shop.mint(plan, units=new)
    shop.use(contract, old, 1, "2025-03-11")
    shop.use(contract, old, 3, "2025-04-11")
    yield NEXT
    assert _totals(shop, contract)[:2] == ["ISSUED 20.00", "ISSUED 8.00"]


def late_usage_of_the_meter_of_its_period(shop: Shop) -> Telling:
    """The same id prices another metric from version 2 on; what that one read in March is not sold.

    March: 10 calls x 2.00. Late: 1 call x 2.00. April: 3 calls x 2.00, so 8.00 in May; May: 4
    storage x 5.00 = 20.00.
    """
    calls, storage = shop.meter("Calls", "2"), shop.meter("Storage", "5")
    plan = shop.plan(keyed={"units": calls})
    contract = shop.subscribe(plan)
    shop.use(contract, calls, 10, "2025-03-10")
    yield at("2025-04-05")
    shop.mint(plan, units=storage)
    shop.use(contract, calls, 1, "2025-03-11")
    shop.use(contract, storage, 100, "2025-03-11")
    shop.use(contract, calls, 3, "2025-04-11")
    shop.use(contract, storage, 4, "2025-05-11")
    yield NEXT
    assert _totals(shop, contract)[:2] == ["ISSUED 20.00", "ISSUED 8.00"]
    lines = {each.invoice_display_name: each for each in shop.lines(contract, 1)}
    assert lines["Calls (late usage)"].metric_name == "Calls"
    yield at("2025-06-02")
    assert _totals(shop, contract)[2] == "ISSUED 20.00"


def own_terms_keep_what_they_price(shop: Shop) -> Telling:
    """Calls at 1.00 by the subscription's own terms, whatever its plan sells under that id later.

    10 calls: 10.00 each month; 7 of storage, which this subscription does not buy: nothing.
    """
    calls, storage = shop.meter("Calls", "2"), shop.meter("Storage", "5")
    plan = shop.plan(keyed={"units": calls})
    contract = shop.subscribe(plan)
    line = {
        "priceKey": "units",
        "unitPrice": "1",
        "baseQuantity": "1",
        "billingCadence": "P1M",
        "billingMode": "arrears",
        "startDate": "2025-03-01T00:00:00Z",
    }
    path = f"/v0/subscriptions/{contract.id}/intervals"
    assert shop.http.post(path, json={"add": [line]}).status_code == 200
    for month in ("03", "04"):
        shop.use(contract, calls, 10, f"2025-{month}-10")
        shop.use(contract, storage, 7, f"2025-{month}-10")
    yield at("2025-03-20")
    shop.mint(plan, units=storage)
    (standing,) = shop.http.get(path).json()["intervals"]
    assert (standing["priceKey"], standing["unitPrice"]) == ("units", "1")
    yield NEXT
    assert _totals(shop, contract)[:2] == ["ISSUED 10.00", "ISSUED 10.00"]


def uses_accrue_at_the_price_that_they_met(shop: Shop) -> Telling:
    """Version 0: 10 uses at 2.00, and 1 after the id of their price stands for 5.00: 22.00."""
    metric = shop.metric("Units")
    old, new = (shop.meter("Units", price, of=metric) for price in ("2", "5"))
    plan = shop.plan(keyed={"units": old}, billing_version=0)
    contract = shop.subscribe(plan)

    def use(key: str, quantity: int, when: str) -> None:
        body = {
            "idempotencyKey": key,
            "customerId": contract.customer_id,
            "merchantId": shop.merchant_id,
            "timestamp": when,
            "properties": [{"billableMetricId": metric[0], "quantity": quantity}],
        }
        answer = shop.http.post("/v0/usage", json=body)
        assert answer.status_code == 201, answer.text

    yield at("2025-03-10")
    use("before", 10, "2025-03-10T00:00:00Z")
    yield at("2025-03-20")
    shop.mint(plan, units=new)
    use("after", 1, "2025-03-20T00:00:00Z")
    yield ISSUED
    assert _totals(shop, contract)[0] == "ISSUED 22.00"


def tax_that_moves_into_the_price(shop: Shop) -> Telling:
    """19 % on top of 119.00; from 20 March on the plan's prices hold their tax.

    Opened before: 1 unit of March and April's rent, 238.00 + 45.22. Opened after: May's rent,
    100.00 + 19.00, and 1 late unit of March, which is taxed as March was: 119.00 + 22.61.
    """
    units, rent = shop.meter("Units", "119"), shop.fee("Rent", "119")
    plan = shop.plan(units, rent, default_tax_rate=19)
    contract = shop.subscribe(plan)
    shop.use(contract, units, 1, "2025-03-10")
    yield at("2025-03-20")
    assert shop.client.plans.update(id=plan, tax_behavior="inclusive").tax_behavior == "inclusive"
    opened = "ACTIVE 238.00 + 45.22 = 283.22"
    assert shop.bills(contract) == ["PAID 119.00 + 22.61 = 141.61", opened]
    yield at("2025-04-05")
    assert shop.bills(contract)[1] == opened.replace("ACTIVE", "ISSUED")
    shop.use(contract, units, 1, "2025-03-11")
    yield NEXT
    assert shop.bills(contract)[2] == "ISSUED 219.00 + 41.61 = 260.61"
    assert shop.explained(contract, 2)["agrees"] is True


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
