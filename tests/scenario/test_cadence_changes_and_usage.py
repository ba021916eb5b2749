"""Tales of usage under plans of another cadence: its bounds, allowances and cycles of its own."""

from typing import Any

from tests.scenario.changing import changed, closed, posted
from tests.scenario.included import a_feature, allowance, attached, check_by_hand
from tests.scenario.shop import Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2026-01-01")
GRACE = "PT0S"
CHANGED = at("2026-01-11")


def a_least_quantity_of_each_period(shop: Shop) -> Telling:
    """At least ten calls a period: 3 of a year at 1.00, cut on 11 January; 4 of a month at 2.00.

    The periods share no bound: 10.00 for the one, 20.00 for the other.
    """
    metric = shop.metric("Calls")
    old, new = (shop.meter("Calls", rate, of=metric) for rate in ("1.00", "2.00"))
    contract = shop.subscribe(shop.plan(keyed={"calls": old}, billing_cadence="P1Y"))
    least: Any = {
        "type": "minimumQuantity", "minimumQuantity": "10", "targetPriceIds": [old.price_id],
        "effectiveFrom": OPENED.isoformat(),
    }  # fmt: skip
    posted(shop, contract, "/adjustments", **least)
    shop.use(contract, old, 3, "2026-01-05")
    yield CHANGED
    changed(shop, contract, shop.plan(keyed={"calls": new}))
    shop.use(contract, new, 4, "2026-01-20")
    yield at("2026-02-11")
    assert closed(shop, contract) == ["10.00", "20.00"]
    shop.terminate(contract)


def allowances_keep_their_days(shop: Shop) -> Telling:
    """100 units a month in both plans, or 100 and then 40; a month for a year on 11 January.

    80 used; with the same allowance 20 are left until 1 February: of 50 and then 120 are 30 and
    20 above, 100.00 at 2.00. With another 40 from the 11th on: of 50 and of 45 on 5 February all
    but 40, 110.00.
    """
    contracts, meters, plans = [], [], []
    for amount in (100, 40):
        feature_id, metric = a_feature(shop), shop.metric("Units")
        old, new = (
            shop.meter("Units", rate, of=metric, feature=attached(feature_id, allowance(included)))
            for rate, included in (("1.00", 100), ("2.00", amount))
        )
        contracts.append(shop.subscribe(shop.plan(old)))
        plans.append(shop.plan(new, billing_cadence="P1Y"))
        meters.append(new)
        shop.use(contracts[-1], old, 80, "2026-01-05")
    yield CHANGED
    for contract, meter, plan, later in zip(contracts, meters, plans, (120, 45), strict=True):
        changed(shop, contract, plan)
        shop.use(contract, meter, 50, "2026-01-20")
        shop.use(contract, meter, later, "2026-02-05")
    yield at("2027-01-11")
    assert [closed(shop, each) for each in contracts] == [["0.00", "100.00"], ["0.00", "110.00"]]
    for contract in contracts:
        check_by_hand(shop, contract, 1)


def usage_with_cycles_of_its_own(shop: Shop) -> Telling:
    """31.00 a month and calls by the quarter at 1.00, for 365.00 a year and quarters at 2.00.

    5 calls are cut where the year begins, on 11 January or 1 February, though the other plan has
    them by the quarter too: 5.00 + 344.00, or 5.00 + 365.00. In its own quarters from then on 4
    and 3 calls are 8.00 and 6.00, beside the next year's 365.00.
    """
    metric = shop.metric("Calls")
    old, new = (
        shop.meter("Calls", rate, of=metric, billingCadence="P3M") for rate in ("1.00", "2.00")
    )
    month, year = (
        shop.plan(shop.fee("Fee", amount, every=cadence), calls, billing_cadence=cadence)
        for amount, cadence, calls in (("31.00", "P1M", old), ("365.00", "P1Y", new))
    )
    at_once, late = shop.subscribe(month), shop.subscribe(month)
    for contract in (at_once, late):
        shop.use(contract, old, 5, "2026-01-10")
    yield CHANGED
    changed(shop, at_once, year)
    changed(shop, late, year, at="period_end")
    assert shop.bills(late)[1] == "ACTIVE 370.00 + 0.00 = 370.00"
    yield at("2026-02-01")
    for contract, change in ((at_once, CHANGED), (late, at("2026-02-01"))):
        shop.use(contract, new, 4, "2026-02-10")
        shop.use(contract, new, 3, "2026-06-10")
        assert shop.windows(contract, 1)["Calls"] == (OPENED, change)
    yield at("2027-02-01")
    assert closed(shop, at_once) == ["31.00", "349.00", "379.00"]
    assert closed(shop, late) == ["31.00", "370.00", "379.00"]
    for contract in (at_once, late):
        check_by_hand(shop, contract, 1)
        check_by_hand(shop, contract, 2)


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
