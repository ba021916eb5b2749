"""Tales of allowances over what cuts a period, and over what is asked about it afterwards."""

from typing import Any

import psycopg

from tests.scenario.included import (
    a_feature,
    allowance,
    attached,
    check_by_hand,
    included,
    quantities,
    totals,
)
from tests.scenario.shop import Contract, Meter, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2026-01-01")
GRACE = "PT0S"
MIDDLE = at("2026-01-16")
FEBRUARY = at("2026-02-01")
MARCH = at("2026-03-01")


def _operate(shop: Shop, path: str, **body: Any) -> Any:
    """What an operator asks for."""
    headers = {"Authorization": f"Bearer {shop._admin_key}"}
    answer = shop.http.post(f"/internal/v1/{path}", json=body, headers=headers)
    assert answer.is_success, answer.text
    return answer.json()


class _Plans:
    """1.00 above what is included, and another plan: the same metric and feature at 2.00."""

    def __init__(self, shop: Shop, *amounts: int) -> None:
        feature_id, metric = a_feature(shop), shop.metric("Units")
        self.old, self.new = (
            shop.meter("Units", rate, of=metric, feature=attached(feature_id, allowance(amount)))
            for rate, amount in zip(("1.00", "2.00"), amounts, strict=True)
        )
        self.old_plan, self.new_plan = (shop.plan(each) for each in (self.old, self.new))


def _changes_plan(shop: Shop, *amounts: int) -> Contract:
    plans = _Plans(shop, *amounts)
    contract = shop.subscribe(plans.old_plan)
    shop.use(contract, plans.old, 80, "2026-01-05")
    _PLANS[contract.id] = plans
    return contract


_PLANS: dict[str, _Plans] = {}


def another_plan_with_the_same_allowance_goes_on_with_it(shop: Shop) -> Telling:
    """100 included in both: 80 used at 1.00 a unit above, then 50 at 2.00 with 20 left: 60.00."""
    contract = _changes_plan(shop, 100, 100)
    yield MIDDLE
    plans = _PLANS[contract.id]
    _operate(shop, f"subscriptions/{contract.id}/planChange", planId=plans.new_plan, at="now")
    shop.use(contract, plans.new, 50, "2026-01-20")
    yield FEBRUARY
    assert totals(shop, contract)[:2] == ["0.00", "60.00"]
    check_by_hand(shop, contract, 1)


def another_plan_with_another_allowance_begins_with_it(shop: Shop) -> Telling:
    """100, then 40 included: 80 used, none above; 50 under the new plan, 10 above: 20.00."""
    contract = _changes_plan(shop, 100, 40)
    yield MIDDLE
    plans = _PLANS[contract.id]
    _operate(shop, f"subscriptions/{contract.id}/planChange", planId=plans.new_plan, at="now")
    shop.use(contract, plans.new, 50, "2026-01-20")
    yield FEBRUARY
    assert totals(shop, contract)[:2] == ["0.00", "20.00"]


def terms_of_ones_own_share_the_allowance(shop: Shop) -> Telling:
    """100 included, 1.00 above, from 16 January on 2.00: 80, then 50 with 20 left: 60.00."""
    meter = included(shop, "1.00", allowance(100))
    contract = shop.subscribe(shop.plan(keyed={"units": meter}))
    own: Any = {
        "price_key": "units", "unit_price": "2.00", "base_quantity": "1",
        "billing_cadence": "P1M", "billing_mode": "arrears", "start_date": MIDDLE,
    }  # fmt: skip
    shop.client.subscriptions.edit_subscription_intervals(
        id=contract.id, edit_subscription_intervals_request={"add": [own]}
    )
    shop.use(contract, meter, 80, "2026-01-05")
    shop.use(contract, meter, 50, "2026-01-20")
    yield FEBRUARY
    assert totals(shop, contract)[0] == "60.00"
    check_by_hand(shop, contract, 0)


def a_least_quantity_is_of_the_overage(shop: Shop) -> Telling:
    """100 included, at least 10 above at 1.00; paused on the 11th, resumed on the 21st.

    60 until the pause, none above: the least quantity is owed at once, 10.00. 45 after it, 5
    above, within the 10 that are billed: nothing more.
    """
    meter = included(shop, "1.00", allowance(100))
    contract = shop.subscribe(shop.plan(meter))
    shop._post(
        f"/v0/subscriptions/{contract.id}/adjustments",
        type="minimumQuantity", minimumQuantity="10", targetPriceIds=[meter.price_id],
        effectiveFrom=OPENED.isoformat(),
    )  # fmt: skip
    shop.use(contract, meter, 60, "2026-01-05")
    yield at("2026-01-11")
    shop._post(f"/v0/subscriptions/{contract.id}/pause")
    yield at("2026-01-21")
    shop._post(f"/v0/subscriptions/{contract.id}/resume")
    shop.use(contract, meter, 45, "2026-01-25")
    yield FEBRUARY
    billed = [total for total in totals(shop, contract)[:-1] if total != "0.00"]
    assert billed == ["10.00"]


def late_usage_of_a_week_that_two_months_share(shop: Shop) -> Telling:
    """10 a week, 1.00 above; 29 January to 4 February: 6 on the 30th, 4 on 2 February.

    On 10 February 3 more of the 30th are reported: 9 until February, and 1 of its 4 is covered:
    3.00 on February's own line, and January is right as it was billed.
    """
    meter = included(shop, "1.00", allowance(10, "P1W"))
    contract = shop.subscribe(shop.plan(meter))
    shop.use(contract, meter, 6, "2026-01-30")
    shop.use(contract, meter, 4, "2026-02-02")
    yield at("2026-02-10")
    shop.use(contract, meter, 3, "2026-01-30")
    yield MARCH
    assert totals(shop, contract)[:2] == ["0.00", "3.00"]
    assert quantities(shop, contract, 1) == {"Units": 3}


def weeks_are_counted_from_an_anchor(shop: Shop) -> Telling:
    """10 a week from Mondays on, 1.00 above; 1 January is a Thursday.

    8 on Saturday, the 3rd, and 9 on Monday, the 5th: two weeks, none above. 4 on Sunday, the 11th:
    13 in that week, 3.00.
    """
    template = allowance(10, "P1W")
    template["usagePeriod"]["anchor"] = "2025-12-29T00:00:00Z"
    meter = included(shop, "1.00", template)
    contract = shop.subscribe(shop.plan(meter))
    for amount, day in ((8, "2026-01-03"), (9, "2026-01-05"), (4, "2026-01-11")):
        shop.use(contract, meter, amount, day)
    yield FEBRUARY
    assert totals(shop, contract)[0] == "3.00"


def late_usage_that_is_ignored_has_used_units_up(shop: Shop) -> Telling:
    """100 once, 1.00 above, a meter that ignores what is late.

    January 50. On 10 February 30 more of January, which no invoice bills, and 40 of February:
    20 of them were left, 20.00.
    """
    metric = shop.metric("Units", lateUsage="ignore")
    meter = included(shop, "1.00", allowance(100, None), of=metric)
    contract = shop.subscribe(shop.plan(meter))
    shop.use(contract, meter, 50, "2026-01-05")
    shop.use(contract, meter, 40, "2026-02-05")
    yield at("2026-02-10")
    shop.use(contract, meter, 30, "2026-01-20")
    yield MARCH
    assert totals(shop, contract)[:2] == ["0.00", "20.00"]
    assert quantities(shop, contract, 1) == {"Units": 20}


def usage_without_an_entitlement_is_billed(shop: Shop) -> Telling:
    """100 included, 1.00 above; the entitlement's row is lost, and given again on 16 January.

    30 used before are billed, 50 after are covered: 30.00.
    """
    meter = included(shop, "1.00", allowance(100))
    contract = shop.subscribe(shop.plan(meter))
    with psycopg.connect(shop._database_url) as connection:
        connection.execute(
            "DELETE FROM entitlement_grants WHERE entitlement_id IN "
            "(SELECT id FROM entitlements WHERE subscription_id = %s)",
            [contract.id],
        )
        connection.execute("DELETE FROM entitlements WHERE subscription_id = %s", [contract.id])
    shop.use(contract, meter, 30, "2026-01-05")
    yield MIDDLE
    shop.client.subscriptions.reconcile_subscription_features(id=contract.id, dry_run=False)
    shop.use(contract, meter, 50, "2026-01-20")
    yield FEBRUARY
    assert totals(shop, contract)[0] == "30.00"
    check_by_hand(shop, contract, 0)


def _tried(shop: Shop, plan_id: str, meter: Meter, unit_price: str) -> Any:
    price = {
        "billableMetricId": meter.metric_id, "model": "standard", "paymentTerm": "in_arrears",
        "invoiceDisplayName": "Units", "properties": {"unitPrice": unit_price},
    }  # fmt: skip
    span = {"from": OPENED.isoformat(), "to": at("2026-02-02").isoformat()}
    (found,) = _operate(shop, f"plans/{plan_id}/simulation", prices=[price], **span)["invoices"]
    return found


def another_price_is_tried_on_the_overage(shop: Shop) -> Telling:
    """500 included, 625 used: 25.00 at 0.20, and 37.50 at a price of 0.30 that is tried."""
    meter = included(shop, "0.20", allowance(500), grantDiscountEnabled=True)
    plan = shop.plan(meter)
    contract = shop.subscribe(plan)
    shop.use(contract, meter, 625, "2026-01-05")
    yield FEBRUARY
    found = _tried(shop, plan, meter, "0.30")
    assert (found["old"]["subtotal"], found["new"]["subtotal"]) == ("25.00", "37.50")
    kinds = [[line["kind"] for line in found[side]["lines"]] for side in ("old", "new")]
    assert kinds == [["metric", "grant"], ["metric"]]


def projected_invoices_know_no_usage(shop: Shop) -> Telling:
    """Rent of 10.00 beside included units: what is to come is the rent."""
    meter = included(shop, "0.20", allowance(500))
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "10.00", term="in_arrears"), meter))
    shop.use(contract, meter, 625, "2026-01-05")
    yield MIDDLE
    planned = shop.client.invoices_v2.list_projected_invoices(subscription_id=contract.id)
    assert [each.subtotal for each in planned.data] == ["10.00"]
    assert totals(shop, contract) == ["35.00"]


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
