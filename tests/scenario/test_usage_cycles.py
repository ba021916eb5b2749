"""Tales of usage at another cadence than its plan's: billed by its own cycles, once and whole.

The shop opens on 1 January 2026. Late usage is not waited for here.
"""

from decimal import Decimal
from typing import Any

import pytest
from paygentic_sdk.errors import PaygenticError

from tests.scenario.included import allowance, check_by_hand, included
from tests.scenario.shop import Contract, Meter, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2026-01-01")
GRACE = "PT0S"
APRIL = at("2026-04-01")
NEXT_YEAR = at("2027-01-01")
IMMEDIATE = {"effective_date": "immediate", "proration": "none"}


def _usage(shop: Shop, contract: Contract, number: int, name: str = "Units") -> list[str]:
    """The lines of a meter on an invoice: the time they are for, and what they come to."""
    return [
        f"{line.period_start:%m-%d} {line.period_end:%m-%d} {Decimal(line.total_price):f}"
        for line in shop.lines(contract, number)
        if line.invoice_display_name == name
        and line.period_start is not None
        and line.period_end is not None
    ]


def _totals(shop: Shop, contract: Contract) -> list[str]:
    return [each.subtotal for each in shop.invoices(contract) if each.status != "ACTIVE"]


def _ask(shop: Shop, contract: Contract, what: str) -> None:
    answer = shop.http.post(f"/v0/subscriptions/{contract.id}/{what}")
    assert answer.is_success, answer.text


def _graduated(shop: Shop, every: str, **options: Any) -> Meter:
    """The first ten at 1.00, each above at 0.50."""
    tiers = [{"upTo": "10", "unitPrice": "1"}, {"upTo": None, "unitPrice": "0.5"}]
    return shop.meter(
        "Units", model="graduated", properties={"tiers": tiers}, billingCadence=every, **options
    )


def months_of_usage_in_a_yearly_plan(shop: Shop) -> Telling:
    """120.00 a year in advance; units by the month, the first ten at 1.00, each above at 0.50.

    January 10: 10.00, February 20: 15.00, December 4: 4.00, the other nine nothing. The volume of
    calls, 1.00 up to 10 and 0.80 for all above that: 10.00, 16.00 and 4.00. Billed together 140 of
    each would be cheaper. 29.00 + 30.00 and the next year's 120.00 are 179.00. On 15 March the
    open invoice has 25.00 + 26.00 and the fee to come: 171.00.
    """
    units = _graduated(shop, "P1M")
    volume = [{"upTo": "10", "unitPrice": "1"}, {"upTo": None, "unitPrice": "0.8"}]
    calls = shop.meter("Calls", model="volume", properties={"tiers": volume}, billingCadence="P1M")
    fee = shop.fee("Access", "120.00", every="P1Y")
    contract = shop.subscribe(shop.plan(fee, units, calls, billing_cadence="P1Y"))
    for meter in (units, calls):
        for day, amount in (("01-31T23:59", 10), ("02-01", 12), ("02-28", 8), ("12-31", 4)):
            shop.use(contract, meter, amount, f"2026-{day}")
    yield at("2026-03-15")
    assert shop.bills(contract)[1].startswith("ACTIVE 179.00")
    yield NEXT_YEAR
    assert _totals(shop, contract) == ["120.00", "179.00"]
    lines = _usage(shop, contract, 1)
    assert len(lines) == 12
    assert lines[:3] == ["01-01 02-01 10", "02-01 03-01 15", "03-01 04-01 0"]
    assert lines[-1] == "12-01 01-01 4"
    assert _usage(shop, contract, 1, "Calls")[1] == "02-01 03-01 16"
    check_by_hand(shop, contract, 1)


def a_quarter_of_usage_in_a_monthly_plan(shop: Shop) -> Telling:
    """Rent of 5.00 in advance; 6 units in January, 8 in February, none in March: one reading of 14.

    10 x 1.00 + 4 x 0.50 = 12.00 on 1 April, on top of the rent; the invoices between have no line,
    and while February runs its invoice shows none.
    """
    units = _graduated(shop, "P3M")
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "5.00"), units))
    shop.use(contract, units, 6, "2026-01-10")
    shop.use(contract, units, 8, "2026-02-10")
    yield at("2026-02-15")
    assert shop.bills(contract)[2].startswith("ACTIVE 5.00")
    yield at("2026-03-15")
    assert shop.bills(contract)[3].startswith("ACTIVE 17.00")
    yield APRIL
    assert _totals(shop, contract) == ["5.00", "5.00", "5.00", "17.00"]
    assert _usage(shop, contract, 3) == ["01-01 04-01 12"]
    check_by_hand(shop, contract, 3)


def a_month_without_anything_to_bill(shop: Shop) -> Telling:
    """Nothing but quarterly usage: the invoices between have no line and owe nothing."""
    units = shop.meter("Units", "1", billingCadence="P3M")
    contract = shop.subscribe(shop.plan(units))
    shop.use(contract, units, 6, "2026-01-10")
    yield APRIL
    assert _totals(shop, contract) == ["0.00", "0.00", "6.00"]
    assert [each.status for each in shop.invoices(contract)][:3] == ["PAID", "PAID", "ISSUED"]
    assert shop.lines(contract, 0) == []


def weeks_in_a_monthly_plan(shop: Shop) -> Telling:
    """Weeks from 1 January end on the 8th, 15th, 22nd and 29th; the fifth on 5 February.

    One unit a day at 1.00: four lines of 7.00 on 1 February. On 1 March the weeks from 29 January
    on: the first has the unit of 30 January and 4 February, 2.00.
    """
    units = shop.meter("Units", "1", billingCadence="P7D")
    contract = shop.subscribe(shop.plan(units))
    for day in range(1, 29):
        shop.use(contract, units, 1, f"2026-01-{day:02d}")
    shop.use(contract, units, 1, "2026-01-30")
    shop.use(contract, units, 1, "2026-02-04")
    yield at("2026-03-01")
    assert _totals(shop, contract)[:2] == ["28.00", "2.00"]
    assert _usage(shop, contract, 0)[-1] == "01-22 01-29 7"
    assert _usage(shop, contract, 1)[0] == "01-29 02-05 2"
    assert len(_usage(shop, contract, 1)) == 4


def a_stub_before_the_plans_anchor(shop: Shop) -> Telling:
    """Anchored on 1 July 2025: from 16 January on the first year of usage ends on 1 July.

    5 units and 7 more in the last minute of June at 1.00: 12.00; the 9 of 1 July come a year later.
    """
    units = shop.meter("Units", "1", billingCadence="P1Y")
    plan = shop.plan(units, billing_anchor=at("2025-07-01"))
    yield at("2026-01-16")
    contract = shop.subscribe(plan)
    shop.use(contract, units, 5, "2026-01-20")
    shop.use(contract, units, 7, "2026-06-30T23:59")
    shop.use(contract, units, 9, "2026-07-01")
    yield at("2026-07-01")
    assert _totals(shop, contract)[-1] == "12.00"
    assert _usage(shop, contract, 5) == ["01-16 07-01 12"]


def what_elapsed_before_the_creation(shop: Shop) -> Telling:
    """Started on 1 November, made on 16 January; quarters at 1.00 a unit, 3 each month.

    Where elapsed months are not billed, the running month is the first one: 3 units, on 1 February.
    Where they are: 9.
    """
    units = shop.meter("Units", "1", billingCadence="P3M")
    plans = [shop.plan(units), shop.plan(units)]
    yield at("2026-01-16")
    start = at("2025-11-01")
    contracts = [
        shop.subscribe(plan, start, elapsed_period_billing=elapsed)
        for plan, elapsed in zip(plans, ("none", "per_period"), strict=True)
    ]
    for contract in contracts:
        for month in ("2025-11", "2025-12", "2026-01"):
            shop.use(contract, units, 3, f"{month}-10")
    yield at("2026-02-01")
    assert [_totals(shop, contract)[-1] for contract in contracts] == ["3.00", "9.00"]
    assert _usage(shop, contracts[0], 0) == ["01-01 02-01 3"]


def the_end_cuts_the_cycle(shop: Shop) -> Telling:
    """Usage by the year at 1.00; ended on 10 February: 4 + 5 units; the 100 after it are free."""
    units = shop.meter("Units", "1", billingCadence="P1Y")
    contract = shop.subscribe(shop.plan(units))
    shop.use(contract, units, 4, "2026-01-20")
    shop.use(contract, units, 5, "2026-02-09")
    shop.use(contract, units, 100, "2026-02-10T00:01")
    yield at("2026-02-10")
    shop.terminate(contract)
    yield at("2026-02-11")
    assert _totals(shop, contract) == ["0.00", "9.00"]
    assert _usage(shop, contract, 1) == ["01-01 02-10 9"]


def an_end_at_a_boundary(shop: Shop) -> Telling:
    """It ends with February; the quarter until then is billed: 9.00."""
    units = shop.meter("Units", "1", billingCadence="P3M")
    contract = shop.subscribe(shop.plan(units), ending_at=at("2026-03-01"))
    shop.use(contract, units, 4, "2026-01-20")
    shop.use(contract, units, 5, "2026-02-28")
    yield at("2026-03-02")
    assert sum(Decimal(total) for total in _totals(shop, contract)) == 9
    assert _usage(shop, contract, -1) == ["01-01 03-01 9"]


def a_pause_cuts_the_cycle(shop: Shop) -> Telling:
    """The first ten at 1.00, each above at 0.50, by the quarter; paused from 10 to 20 February.

    Until the pause 12 units: 11.00. The 50 of the pause are free. From the 20th on the quarter's
    rest is a window of its own: 4 units at 1.00.
    """
    units = _graduated(shop, "P3M")
    contract = shop.subscribe(shop.plan(units))
    shop.use(contract, units, 12, "2026-01-20")
    yield at("2026-02-10")
    _ask(shop, contract, "pause")
    shop.use(contract, units, 50, "2026-02-15")
    yield at("2026-02-20")
    _ask(shop, contract, "resume")
    shop.use(contract, units, 4, "2026-03-20")
    yield APRIL
    assert _totals(shop, contract) == ["0.00", "11.00", "0.00", "4.00"]
    assert _usage(shop, contract, 1) == ["01-01 02-10 11"]
    assert _usage(shop, contract, 3) == ["02-20 04-01 4"]


def a_version_without_the_meter(shop: Shop) -> Telling:
    """By the year at 1.00; a version of 20 February drops it: 9 units until March, at once.

    The 5 units of March cost nothing. A version of 10 April brings it again: from 1 May on, 2
    units until the year's end.
    """
    units = shop.meter("Units", "1", billingCadence="P1Y")
    rent = shop.fee("Rent", "5.00")
    plan = shop.plan(keyed={"units": units, "rent": rent})
    contract = shop.subscribe(plan)
    for day, amount in (("01-20", 4), ("02-28", 5), ("03-05", 5), ("05-01", 2)):
        shop.use(contract, units, amount, f"2026-{day}")
    yield at("2026-02-20")
    assert shop.bills(contract)[2].startswith("ACTIVE 5.00")
    shop.mint(plan, rent=rent)
    assert shop.bills(contract)[2].startswith("ACTIVE 14.00")
    yield at("2026-04-10")
    shop.mint(plan, rent=rent, units=units)
    yield NEXT_YEAR
    totals = _totals(shop, contract)
    assert totals == ["5.00", "5.00", "14.00", *["5.00"] * 9, "7.00"]
    assert _usage(shop, contract, 2) == ["01-01 03-01 9"]
    assert _usage(shop, contract, 12) == ["05-01 01-01 2"]


def another_rate_within_the_cycle(shop: Shop) -> Telling:
    """By the quarter at 1.00; from a version of 20 February on at 2.00: all 9 units at 2.00.

    The version that bills the end of the cycle prices it whole, like a fee in arrears.
    """
    metric = shop.metric("Units")
    old, new = (shop.meter("Units", rate, of=metric, billingCadence="P3M") for rate in "12")
    plan = shop.plan(keyed={"units": old})
    contract = shop.subscribe(plan)
    shop.use(contract, old, 4, "2026-01-20")
    shop.use(contract, old, 5, "2026-03-20")
    yield at("2026-02-20")
    shop.mint(plan, units=new)
    yield APRIL
    assert _totals(shop, contract) == ["0.00", "0.00", "18.00"]
    assert _usage(shop, contract, 2) == ["01-01 04-01 18"]


def another_cadence_within_the_cycle(shop: Shop) -> Telling:
    """By the quarter at 1.00, from March on by the month: 9 units until March, then 5.

    And the other way round: January and February by the month, 4 and 5; March is the rest of the
    quarter, 5.
    """
    metric = shop.metric("Units")
    quarterly = shop.meter("Units", "1", of=metric, billingCadence="P3M")
    monthly = shop.meter("Units", "1", of=metric)
    longer = shop.plan(keyed={"units": quarterly})
    shorter = shop.plan(keyed={"units": monthly})
    contracts = [shop.subscribe(longer), shop.subscribe(shorter)]
    for contract in contracts:
        for day, amount in (("01-20", 4), ("02-28", 5), ("03-20", 5)):
            shop.use(contract, quarterly, amount, f"2026-{day}")
    yield at("2026-02-20")
    shop.mint(longer, units=monthly)
    shop.mint(shorter, units=quarterly)
    yield APRIL
    assert _totals(shop, contracts[0]) == ["0.00", "9.00", "5.00"]
    assert _totals(shop, contracts[1]) == ["4.00", "5.00", "5.00"]
    assert _usage(shop, contracts[1], 2) == ["03-01 04-01 5"]


def an_immediate_version_without_the_meter(shop: Shop) -> Telling:
    """By the quarter at 1.00; on 20 February a version without it counts for all of February.

    So January's 4 units are owed, and February's 5 are not. A pinned subscription that is moved
    at once, on the same day, owes the same.
    """
    units = shop.meter("Units", "1", billingCadence="P3M")
    rent = shop.fee("Rent", "5.00")
    keyed: dict[str, Meter | str] = {"units": units, "rent": rent}
    plans = [shop.plan(keyed=keyed, version_transition=IMMEDIATE), shop.plan(keyed=keyed)]
    contracts = [shop.subscribe(plans[0]), shop.subscribe(plans[1], version_policy="pinned")]
    for contract in contracts:
        shop.use(contract, units, 4, "2026-01-20")
        shop.use(contract, units, 5, "2026-02-10")
    yield at("2026-02-20")
    for plan in plans:
        shop.mint(plan, rent=rent)
    shop.client.subscriptions.migrate_subscription_version(
        id=contracts[1].id, target_version_number=2, timing="immediate"
    )
    for contract in contracts:
        assert shop.bills(contract)[2].startswith("ACTIVE 9.00")
    yield APRIL
    for contract in contracts:
        assert _totals(shop, contract) == ["5.00", "5.00", "9.00", "5.00"]
        assert _usage(shop, contract, 2) == ["01-01 02-01 4"]


def late_usage_of_an_older_cycle(shop: Shop) -> Telling:
    """By the quarter, the first ten at 1.00: 8 units, 8.00. On 10 April 6 more of it come.

    The quarter is priced again, 12.00, and April's invoice bills 4.00. 4 of the 6 are void from May
    on: -2.00, which May's invoice cannot bear; June's has 20 units, 15.00, and takes it: 13.00.
    """
    units = _graduated(shop, "P3M")
    contract = shop.subscribe(shop.plan(units))
    shop.use(contract, units, 8, "2026-01-20")
    yield at("2026-04-10")
    assert _totals(shop, contract) == ["0.00", "0.00", "8.00"]
    late = shop.use(contract, units, 4, "2026-02-20")
    shop.use(contract, units, 2, "2026-03-31")
    yield at("2026-05-01")
    name = "Units (late usage)"
    assert _usage(shop, contract, 3, name) == ["01-01 04-01 4"]
    check_by_hand(shop, contract, 3)
    shop.use(contract, units, 20, "2026-04-20")
    shop.void(late)
    yield at("2026-07-01")
    assert _totals(shop, contract)[3:6] == ["4.00", "0.00", "13.00"]
    assert _usage(shop, contract, 5) == ["04-01 07-01 15"]


def months_of_included_units_in_a_yearly_plan(shop: Shop) -> Telling:
    """100 units a month are included, each above costs 1.00, billed by the month or by the year.

    January 130, February 80, until 20 March 150: 30 + 0 + 50 are above, by either.
    """
    meters = [included(shop, "1", allowance(100), billingCadence=every) for every in ("P1M", "P1Y")]
    contracts = [shop.subscribe(shop.plan(each, billing_cadence="P1Y")) for each in meters]
    for contract, meter in zip(contracts, meters, strict=True):
        for day, amount in (("01-10", 130), ("02-10", 80), ("03-10", 150)):
            shop.use(contract, meter, amount, f"2026-{day}")
    yield at("2026-03-20")
    for contract in contracts:
        shop.terminate(contract)
    yield at("2026-03-21")
    assert _usage(shop, contracts[0], 0) == ["01-01 02-01 30", "02-01 03-01 0", "03-01 03-20 50"]
    assert _usage(shop, contracts[1], 0) == ["01-01 03-20 80"]
    for contract in contracts:
        check_by_hand(shop, contract, 0)


def a_year_of_included_units_by_the_quarter(shop: Shop) -> Telling:
    """100 units a year are included, each above costs 1.00, in a monthly plan, by the quarter.

    The first quarter uses 70, the second 50: nothing, then 20.00.
    """
    meter = included(shop, "1", allowance(100, "P1Y"), billingCadence="P3M")
    contract = shop.subscribe(shop.plan(meter))
    for day, amount in (("01-20", 30), ("03-20", 40), ("05-20", 50)):
        shop.use(contract, meter, amount, f"2026-{day}")
    yield at("2026-07-01")
    assert _totals(shop, contract) == ["0.00"] * 5 + ["20.00"]
    check_by_hand(shop, contract, 5)


def a_deal_holds_for_each_cycle(shop: Shop) -> Telling:
    """At least 10 units by the quarter at 1.00: 6 are 10.00; paused in the second, it owes 10 once.

    Until 10 May 4 units: 10.00. From 20 May on 8 more: 12 in the quarter, 2.00 are left.
    """
    units = shop.meter("Units", "1", billingCadence="P3M")
    contract = shop.subscribe(shop.plan(units))
    deal: Any = {
        "type": "minimumQuantity",
        "target_price_ids": [units.price_id],
        "minimum_quantity": "10",
        "effective_from": OPENED,
    }
    shop.client.subscriptions.create_subscription_adjustment(
        id=contract.id, create_subscription_adjustment_request=deal
    )
    for day, amount in (("02-20", 6), ("04-20", 4), ("06-20", 8)):
        shop.use(contract, units, amount, f"2026-{day}")
    yield at("2026-05-10")
    _ask(shop, contract, "pause")
    yield at("2026-05-20")
    _ask(shop, contract, "resume")
    yield at("2026-07-01")
    assert _totals(shop, contract) == ["0.00", "0.00", "10.00", "0.00", "10.00", "0.00", "2.00"]
    for number in (2, 4, 6):
        check_by_hand(shop, contract, number)


def terms_of_ones_own_have_their_cadence(shop: Shop) -> Telling:
    """By the month at 1.00; from February to July by the quarter at 0.50, agreed in January.

    January 4: 4.00. The quarter from 1 January has February and March for these terms: 10 at 0.50,
    5.00 on 1 April. The next has 10 until 1 July: 5.00. July 3: 3.00.
    """
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(keyed={"units": units}))
    own = {
        "price_key": "units",
        "unit_price": "0.5",
        "base_quantity": "1",
        "billing_cadence": "P3M",
        "billing_mode": "arrears",
        "start_date": at("2026-02-01"),
        "end_date": at("2026-07-01"),
    }
    request: Any = {"add": [own]}
    shop.client.subscriptions.edit_subscription_intervals(
        id=contract.id, edit_subscription_intervals_request=request
    )
    months = {"01": 4, "02": 6, "03": 4, "06": 10, "07": 3}
    for month, amount in months.items():
        shop.use(contract, units, amount, f"2026-{month}-20")
    yield at("2026-08-01")
    assert _totals(shop, contract) == ["4.00", "0.00", "5.00", "0.00", "0.00", "5.00", "3.00"]
    assert _usage(shop, contract, 2) == ["02-01 04-01 5"]


def terms_that_end_inside_their_cycle(shop: Shop) -> Telling:
    """By the quarter at 1.00, beside the plan, from 10 to 20 January: 5 units, billed on 1 April.

    Until then its price cannot be deleted, although the terms have ended long ago.
    """
    units = shop.meter("Units", "1", billingCadence="P3M")
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "5.00")))
    own = {
        "price_key": "extra",
        "price_id": units.price_id,
        "unit_price": None,
        "base_quantity": "1",
        "billing_cadence": "P3M",
        "billing_mode": "arrears",
        "start_date": at("2026-01-10"),
        "end_date": at("2026-01-20"),
    }
    request: Any = {"add": [own]}
    shop.client.subscriptions.edit_subscription_intervals(
        id=contract.id, edit_subscription_intervals_request=request
    )
    for day, amount in (("01-09", 3), ("01-15", 5), ("01-25", 7)):
        shop.use(contract, units, amount, f"2026-{day}")
    yield at("2026-03-10")
    path = f"/v0/prices/{units.price_id}"
    assert shop.http.delete(path).status_code == 409
    yield APRIL
    assert _totals(shop, contract) == ["5.00", "5.00", "5.00", "10.00"]
    assert _usage(shop, contract, 3) == ["01-10 01-20 5"]
    yield at("2026-05-10")
    assert shop.http.delete(path).status_code == 204


def what_grants_cover_is_taken_off_each_month(shop: Shop) -> Telling:
    """100 units a month are included, 1.00 each: a yearly plan bills 130 - 100 and then 80 - 80."""
    meter = included(
        shop,
        "1",
        allowance(100, preserveOverageAtReset=False),
        billingCadence="P1M",
        grantDiscountEnabled=True,
    )
    contract = shop.subscribe(shop.plan(meter, billing_cadence="P1Y"))
    for day, amount in (("01-10", 130), ("02-10", 80)):
        shop.use(contract, meter, amount, f"2026-{day}")
    yield at("2026-03-01")
    shop.terminate(contract)
    yield at("2026-03-02")
    lines = [Decimal(each.total_price) for each in shop.lines(contract, 0)]
    assert lines == [130, -100, 80, -80]
    assert _totals(shop, contract) == ["30.00"]
    check_by_hand(shop, contract, 0)


def single_uses_keep_to_the_plan(shop: Shop) -> Telling:
    """In a plan of version 0 uses accrue on the running invoice, so its usage is billed with it."""
    units = shop.meter("Units", "1", billingCadence="P3M")
    with pytest.raises(PaygenticError) as refused:
        shop.plan(units, billing_version=0)
    assert refused.value.status_code == 400
    yield OPENED


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
