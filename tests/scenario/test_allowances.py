"""Tales of included units: what an entitlement's grants cover of metered usage is not billed."""

from decimal import Decimal
from typing import Any

from tests.scenario.included import (
    a_feature,
    allowance,
    attached,
    check_by_hand,
    included,
    quantities,
    totals,
)
from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2026-01-01")
GRACE = "PT0S"
FEBRUARY = at("2026-02-01")
MARCH = at("2026-03-01")
APRIL = at("2026-04-01")
IMMEDIATE = {"effective_date": "immediate", "proration": "none"}


def the_overage_above_a_soft_limit_is_billed(shop: Shop) -> Telling:
    """500 units a month are included, each above costs 0.20.

    January 625: 125 x 0.20 = 25.00. February 500, exactly what is included: nothing. March 499.5:
    nothing. April, still open, 501: 0.20, and the line says 1.
    """
    meter = included(shop, "0.20", allowance(500))
    contract = shop.subscribe(shop.plan(meter))
    shop.use(contract, meter, 300, "2026-01-05")
    shop.use(contract, meter, 325, "2026-01-20")
    shop.use(contract, meter, 500, "2026-02-05")
    shop.use(contract, meter, "499.5", "2026-03-05")
    shop.use(contract, meter, 501, "2026-04-05")
    yield APRIL
    assert totals(shop, contract) == ["25.00", "0.00", "0.00", "0.20"]
    assert quantities(shop, contract, 0) == {"Units": 125}
    assert quantities(shop, contract, 3) == {"Units": 1}


def above_a_hard_limit_nothing_is_billed(shop: Shop) -> Telling:
    """100 units at 1.00, and no more: 130 are used, 30 of them above, and none is billed."""
    meter = included(shop, "1.00", allowance(100, isSoftLimit=False))
    contract = shop.subscribe(shop.plan(meter))
    shop.use(contract, meter, 130, "2026-01-05")
    yield FEBRUARY
    assert totals(shop, contract)[0] == "0.00"
    assert quantities(shop, contract, 0) == {"Units": 0}
    divided = shop.explained(contract, 0)["lines"][0]["steps"]["usage"]["allowance"]
    assert (divided["covered"], divided["billed"], divided["forgone"]) == ("100", "0", "30")


def without_an_allowance_all_is_billed(shop: Shop) -> Telling:
    """A feature without a template gives access: 7 units at 1.00 are 7.00."""
    meter = included(shop, "1.00", None)
    contract = shop.subscribe(shop.plan(meter))
    shop.use(contract, meter, 7, "2026-01-05")
    yield FEBRUARY
    assert totals(shop, contract)[0] == "7.00"


def what_grants_cover_is_a_discount_line(shop: Shop) -> Telling:
    """500 included, 0.20 above, 19 % tax: all 625 are billed, 125.00, and 500 taken off, 100.00.

    25.00 and 4.75 tax, as the overage alone would be. In February 300 are used: 60.00 and -60.00.
    """
    meter = included(shop, "0.20", allowance(500), grantDiscountEnabled=True)
    contract = shop.subscribe(shop.plan(meter, default_tax_rate=19))
    shop.use(contract, meter, 625, "2026-01-05")
    shop.use(contract, meter, 300, "2026-02-05")
    yield MARCH
    assert shop.bills(contract)[:2] == [
        "ISSUED 25.00 + 4.75 = 29.75",
        "PAID 0.00 + 0.00 = 0.00",
    ]
    assert shop.charges(contract, 0) == {
        "Units": Decimal(125), "Units (covered by grants)": Decimal(-100),
    }  # fmt: skip
    assert shop.charges(contract, 1) == {
        "Units": Decimal(60), "Units (covered by grants)": Decimal(-60),
    }  # fmt: skip
    assert quantities(shop, contract, 0) == {"Units": 625, "Units (covered by grants)": -500}
    kinds = [line.event_type for line in shop.lines(contract, 0)]
    assert kinds == ["usage", "discount"]
    invoice_id = shop.invoices(contract)[0].id
    items = shop.http.get("/v2/invoices/lineItems", params={"invoiceId": invoice_id}).json()["data"]
    assert [(each["type"], each["quantity"]) for each in items] == [
        ("metered", "625"),
        ("discount", "-500"),
    ]


def a_discount_takes_off_what_a_hard_limit_lets_through(shop: Shop) -> Telling:
    """500 and no more: of 625 the 500 covered are shown, 100.00, and taken off: nothing is due."""
    template = allowance(500, isSoftLimit=False)
    meter = included(shop, "0.20", template, grantDiscountEnabled=True)
    contract = shop.subscribe(shop.plan(meter))
    shop.use(contract, meter, 625, "2026-01-05")
    yield FEBRUARY
    assert totals(shop, contract)[0] == "0.00"
    assert quantities(shop, contract, 0) == {"Units": 500, "Units (covered by grants)": -500}


def a_one_time_allowance_spans_the_periods(shop: Shop) -> Telling:
    """100 units once, 1.00 above: January 60, none; February 70, 30.00; March 10, 10.00."""
    meter = included(shop, "1.00", allowance(100, None))
    contract = shop.subscribe(shop.plan(meter))
    shop.use(contract, meter, 60, "2026-01-05")
    shop.use(contract, meter, 70, "2026-02-05")
    shop.use(contract, meter, 10, "2026-03-05")
    yield APRIL
    assert totals(shop, contract)[:3] == ["0.00", "30.00", "10.00"]


def a_yearly_allowance_lasts_through_the_months(shop: Shop) -> Telling:
    """1,000 a year, 0.10 above: January 700, none; February 400, 10.00; March 5, 0.50."""
    meter = included(shop, "0.10", allowance(1000, "P1Y"))
    contract = shop.subscribe(shop.plan(meter))
    shop.use(contract, meter, 700, "2026-01-05")
    shop.use(contract, meter, 400, "2026-02-05")
    shop.use(contract, meter, 5, "2026-03-05")
    yield APRIL
    assert totals(shop, contract)[:3] == ["0.00", "10.00", "0.50"]


def weekly_resets_in_a_monthly_window(shop: Shop) -> Telling:
    """10 a week from Thursday, 1 January on, 1.00 above.

    1 to 7 January 15: 5 above. 8 to 14 January 8: none, and the 2 left are gone. 29 January to 4
    February 6 on the 30th, none, and 7 on the 2nd: of them 4 covered, 3 above, in February.
    """
    meter = included(shop, "1.00", allowance(10, "P1W"))
    contract = shop.subscribe(shop.plan(meter))
    shop.use(contract, meter, 15, "2026-01-03")
    shop.use(contract, meter, 8, "2026-01-09")
    shop.use(contract, meter, 6, "2026-01-30")
    shop.use(contract, meter, 7, "2026-02-02")
    yield MARCH
    assert totals(shop, contract)[:2] == ["5.00", "3.00"]
    for number in (0, 1, 2):
        check_by_hand(shop, contract, number)
    told = shop.explained(contract, 0)["lines"][0]["steps"]["usage"]["allowance"]
    assert [(each["used"], each["available"], each["covered"]) for each in told["stretches"]] == [
        ("15", "10", "10"), ("8", "10", "8"), ("6", "10", "6"),
    ]  # fmt: skip


def units_left_roll_over_up_to_a_limit(shop: Shop) -> Telling:
    """100 a month, at most 30 carried, 1.00 above.

    January 50, 50 left, 30 carried: February has 130, 140 are used, 10.00. March has 100 again,
    105 are used: 5.00.
    """
    meter = included(shop, "1.00", allowance(100, resetMaxRollover=30))
    contract = shop.subscribe(shop.plan(meter))
    shop.use(contract, meter, 50, "2026-01-05")
    shop.use(contract, meter, 140, "2026-02-05")
    shop.use(contract, meter, 105, "2026-03-05")
    yield APRIL
    assert totals(shop, contract)[:3] == ["0.00", "10.00", "5.00"]


def volume_bands_price_the_overage(shop: Shop) -> Telling:
    """50 included; up to 100 above at 2.00 each, more at 1.00 for all of them.

    January 150: 100 above, 200.00. February 151: 101 above, 101.00.
    """
    tiers = [{"upTo": "100", "unitPrice": "2.00"}, {"upTo": None, "unitPrice": "1.00"}]
    feature = attached(a_feature(shop), allowance(50))
    meter = shop.meter("Units", model="volume", properties={"tiers": tiers}, feature=feature)
    contract = shop.subscribe(shop.plan(meter))
    shop.use(contract, meter, 150, "2026-01-05")
    shop.use(contract, meter, 151, "2026-02-05")
    yield MARCH
    assert totals(shop, contract)[:2] == ["200.00", "101.00"]


def a_greatest_value_is_held_against_the_grants(shop: Shop) -> Telling:
    """10 seats included, 5.00 above; a month owes its greatest number.

    January 12: 2 above, 10.00. February 9: none, and January's 12 have used nothing up. March 11:
    5.00.
    """
    meter = included(shop, "5.00", allowance(10), aggregation="MAX")
    contract = shop.subscribe(shop.plan(meter))
    for amount, day in ((12, "2026-01-05"), (7, "2026-01-06"), (9, "2026-02-05")):
        shop.use(contract, meter, amount, day)
    shop.use(contract, meter, 11, "2026-03-05")
    yield APRIL
    assert totals(shop, contract)[:3] == ["10.00", "0.00", "5.00"]


class _Change:
    """100 included at 1.00 above; from version 2 on 40 included at 2.00 above."""

    def __init__(self, shop: Shop, **options: Any) -> None:
        feature_id = a_feature(shop)
        metric = shop.metric("Units")
        self.old, self.new = (
            shop.meter("Units", rate, of=metric, feature=attached(feature_id, allowance(amount)))
            for rate, amount in (("1.00", 100), ("2.00", 40))
        )
        self.plan = shop.plan(keyed={"units": self.old}, **options)


def a_version_at_once_brings_its_allowance(shop: Shop) -> Telling:
    """From 16 January on 40 are included and not 100; above them all of January costs 2.00.

    Until then 120, 20 above the old allowance; after it 50, 10 above the new: 30 x 2.00 = 60.00.
    February 50: 20.00.
    """
    change = _Change(shop, version_transition=IMMEDIATE)
    contract = shop.subscribe(change.plan)
    shop.use(contract, change.old, 120, "2026-01-05")
    yield at("2026-01-16")
    shop.mint(change.plan, units=change.new)
    shop.use(contract, change.new, 50, "2026-01-20")
    shop.use(contract, change.new, 50, "2026-02-05")
    yield MARCH
    assert totals(shop, contract)[:2] == ["60.00", "20.00"]
    check_by_hand(shop, contract, 0)


def a_version_at_the_boundary_brings_its_allowance(shop: Shop) -> Telling:
    """January is held against 100, 20 above at 1.00; February against 40, 10 above at 2.00.

    5 more of 20 January are reported in February, when the new terms stand: still 1.00 each, 5.00
    on February's invoice.
    """
    change = _Change(shop)
    contract = shop.subscribe(change.plan)
    shop.use(contract, change.old, 120, "2026-01-05")
    yield at("2026-01-16")
    shop.mint(change.plan, units=change.new)
    shop.use(contract, change.new, 50, "2026-02-05")
    yield at("2026-02-10")
    shop.use(contract, change.old, 5, "2026-01-20")
    yield MARCH
    assert totals(shop, contract)[:2] == ["20.00", "25.00"]


def an_end_within_the_period_leaves_the_allowance_whole(shop: Shop) -> Telling:
    """100 included, 130 used until the end on 16 January: 30.00, and no part of the 100."""
    meter = included(shop, "1.00", allowance(100))
    contract = shop.subscribe(shop.plan(meter))
    shop.use(contract, meter, 130, "2026-01-10")
    yield at("2026-01-16")
    shop.terminate(contract)
    yield FEBRUARY
    assert totals(shop, contract)[-1] == "30.00"


def both_sides_of_a_pause_share_the_allowance(shop: Shop) -> Telling:
    """100 included in January, 60 used before a pause and 70 after it: 30 above, 30.00."""
    meter = included(shop, "1.00", allowance(100))
    contract = shop.subscribe(shop.plan(meter))
    shop.use(contract, meter, 60, "2026-01-05")
    yield at("2026-01-11")
    shop._post(f"/v0/subscriptions/{contract.id}/pause")
    yield at("2026-01-21")
    shop._post(f"/v0/subscriptions/{contract.id}/resume")
    shop.use(contract, meter, 70, "2026-01-25")
    yield FEBRUARY
    assert sum(Decimal(total) for total in totals(shop, contract)) == 30


def late_usage_below_the_allowance_is_covered(shop: Shop) -> Telling:
    """500 included, 0.20 above; January 450.

    In February 30 more of January: 480, still none. In March 40 more: 520, 20 above, 4.00, which
    March's invoice asks for.
    """
    meter = included(shop, "0.20", allowance(500))
    contract = shop.subscribe(shop.plan(meter))
    shop.use(contract, meter, 450, "2026-01-05")
    yield at("2026-02-10")
    shop.use(contract, meter, 30, "2026-01-20")
    yield at("2026-03-10")
    shop.use(contract, meter, 40, "2026-01-21")
    yield APRIL
    assert totals(shop, contract)[:3] == ["0.00", "0.00", "4.00"]
    assert quantities(shop, contract, 1) == {"Units": 0}
    assert quantities(shop, contract, 2) == {"Units": 0, "Units (late usage)": 20}


def late_usage_uses_up_what_a_later_period_had(shop: Shop) -> Telling:
    """100 units once, 1.00 above; January 50, February 40, nothing billed.

    In March 30 more of January, which the 100 cover. February had 20 left then, not 50: 20 of its
    40 were above, 20.00 on March's invoice, for February.
    """
    meter = included(shop, "1.00", allowance(100, None))
    contract = shop.subscribe(shop.plan(meter))
    shop.use(contract, meter, 50, "2026-01-05")
    shop.use(contract, meter, 40, "2026-02-05")
    yield at("2026-03-10")
    shop.use(contract, meter, 30, "2026-01-20")
    yield APRIL
    assert totals(shop, contract)[:3] == ["0.00", "0.00", "20.00"]
    check_by_hand(shop, contract, 2)
    assert shop.windows(contract, 2)["Units (late usage)"] == (FEBRUARY, MARCH)


def a_void_gives_back_the_overage_only(shop: Shop) -> Telling:
    """500 included, 0.20 above; January 600: 20.00.

    In February 200 of them are void: 400, none above, 20.00 back. February's own 650 are 30.00:
    10.00 is due.
    """
    meter = included(shop, "0.20", allowance(500))
    contract = shop.subscribe(shop.plan(meter))
    shop.use(contract, meter, 400, "2026-01-05")
    mistake = shop.use(contract, meter, 200, "2026-01-06")
    shop.use(contract, meter, 650, "2026-02-05")
    yield at("2026-02-10")
    shop.void(mistake)
    yield MARCH
    assert totals(shop, contract)[:2] == ["20.00", "10.00"]


def late_usage_of_a_discounted_price_is_the_overage(shop: Shop) -> Telling:
    """500 included, 0.20 above, shown as a discount: January 450, 90.00 and -90.00.

    In February 100 more of January: 550, 50 above, 10.00 as one line of February's invoice.
    """
    meter = included(shop, "0.20", allowance(500), grantDiscountEnabled=True)
    contract = shop.subscribe(shop.plan(meter))
    shop.use(contract, meter, 450, "2026-01-05")
    yield at("2026-02-10")
    shop.use(contract, meter, 100, "2026-01-20")
    yield MARCH
    assert totals(shop, contract)[:2] == ["0.00", "10.00"]
    assert shop.charges(contract, 1) == {"Units": Decimal(0), "Units (late usage)": Decimal(10)}


def a_deal_is_about_the_overage(shop: Shop) -> Telling:
    """500 included, 0.20 above; half price and 25 units waived, once shown as a discount.

    January 625: 125 above, 100 after the waiver, 20.00, less half: 10.00, either way.
    """
    for shown in (False, True):
        meter = included(shop, "0.20", allowance(500), grantDiscountEnabled=shown)
        contract = shop.subscribe(shop.plan(meter))
        waiver = {"usageDiscount": "25", "targetPriceIds": [meter.price_id]}
        for kind, members in (
            ("percentageDiscount", {"percentageDiscount": "0.5"}), ("usageDiscount", waiver)
        ):  # fmt: skip
            shop._post(
                f"/v0/subscriptions/{contract.id}/adjustments",
                type=kind, effectiveFrom=OPENED.isoformat(), **members,
            )  # fmt: skip
        shop.use(contract, meter, 625, "2026-01-05")
        _DEALS.append(contract)
    yield FEBRUARY
    for contract in _DEALS:
        assert totals(shop, contract)[0] == "10.00"
        assert all(line["agrees"] for line in shop.explained(contract, 0)["lines"])


_DEALS: list[Contract] = []


def calls_above_the_included_ones_published(shop: Shop) -> Telling:
    """Stigg: 1,000 calls a month, 1,300 are made, 0.01 for each above: 3.00.

    https://docs.stigg.io/documentation/modeling-your-pricing-in-stigg/plans/overages/overview.md
    """
    meter = included(shop, "0.01", allowance(1000))
    contract = shop.subscribe(shop.plan(meter))
    shop.use(contract, meter, 1300, "2026-01-05")
    yield FEBRUARY
    assert totals(shop, contract)[0] == "3.00"


def minutes_of_a_telephone_plan_published(shop: Shop) -> Telling:
    """Zuora: 59.99 a month with 500 minutes, 0.50 for each above; 620 here: 59.99 + 60.00.

    A part of a period has all 500 there too. The rent is in arrears here, to stand on one invoice.

    https://docs.zuora.com/en/zuora-billing/set-up-zuora-billing/build-product-and-prices/charge-models---configure-any-pricing/overage-pricing
    """
    meter = included(shop, "0.50", allowance(500))
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "59.99", term="in_arrears"), meter))
    shop.use(contract, meter, 620, "2026-01-05")
    yield FEBRUARY
    assert totals(shop, contract)[0] == "119.99"


def credits_that_roll_over_published(shop: Shop) -> Telling:
    """Autumn: 1,000 a month, 600 used in January, so that February has 1,400.

    February uses 1,401 here, at 1.00 above: 1.00.

    https://docs.useautumn.com/documentation/modelling-pricing/rollovers
    """
    meter = included(shop, "1.00", allowance(1000, resetMaxRollover=2000))
    contract = shop.subscribe(shop.plan(meter))
    shop.use(contract, meter, 600, "2026-01-05")
    shop.use(contract, meter, 1401, "2026-02-05")
    yield MARCH
    assert totals(shop, contract)[:2] == ["0.00", "1.00"]


def a_hard_cap_makes_no_overage_published(shop: Shop) -> Telling:
    """Chargebee: 99 a month with 50,000 calls and a hard cap; more calls bill nothing.

    The address of the guide stands in docs/domain/other-systems.md.
    """
    meter = included(shop, "0.01", allowance(50_000, isSoftLimit=False))
    contract = shop.subscribe(shop.plan(shop.fee("Growth", "99.00", term="in_arrears"), meter))
    shop.use(contract, meter, 60_000, "2026-01-05")
    yield FEBRUARY
    assert totals(shop, contract)[0] == "99.00"


def a_start_in_the_past_has_its_allowance_from_then_on(shop: Shop) -> Telling:
    """From 1 November, bought on 1 January, `per_period`; 500 a month included, 0.20 above.

    November 625, 125 above, and December 505, 5 above: 26.00, to be paid first. January 510: 2.00,
    and 5 more of November that are reported then: 3.00.
    """
    meter = included(shop, "0.20", allowance(500))
    customer_id = shop.customer()
    for amount, day in ((625, "2025-11-05"), (505, "2025-12-05"), (510, "2026-01-05")):
        shop.report(customer_id, meter, amount, at(day))
    contract = shop.subscribe(
        shop.plan(meter), at("2025-11-01"),
        customer_id=customer_id, elapsed_period_billing="per_period",
    )  # fmt: skip
    assert contract.first.status == "pending_payment"
    assert totals(shop, contract)[0] == "26.00"
    check_by_hand(shop, contract, 0)
    yield at("2026-01-10")
    shop.use(contract, meter, 5, "2025-11-06")
    yield FEBRUARY
    assert totals(shop, contract)[1] == "3.00"


def a_running_period_that_began_before_has_its_allowance(shop: Shop) -> Telling:
    """From 15 December, bought on 1 January, what elapsed not billed: all of the running period is.

    500 a month included, 0.20 above; 300 on 20 December, 225 on 5 January: 25 above, 5.00.
    """
    meter = included(shop, "0.20", allowance(500))
    customer_id = shop.customer()
    shop.report(customer_id, meter, 300, at("2025-12-20"))
    shop.report(customer_id, meter, 225, at("2026-01-05"))
    contract = shop.subscribe(shop.plan(meter), at("2025-12-15"), customer_id=customer_id)
    yield FEBRUARY
    assert totals(shop, contract)[0] == "5.00"


def every_line_is_told_to_its_amount(shop: Shop) -> Telling:
    """10 a month at 1.00, shown as a discount, 7 % tax inside; 25 used: 15.00 in all.

    The operator's steps and the contract's trace lead to what is stored, late usage too: 3 more of
    January are 3.00.
    """
    meter = included(shop, "1.00", allowance(10), grantDiscountEnabled=True)
    plan = shop.plan(meter, default_tax_rate=7, tax_behavior="inclusive")
    contract = shop.subscribe(plan)
    shop.use(contract, meter, 25, "2026-01-05")
    yield at("2026-02-10")
    shop.use(contract, meter, 3, "2026-01-06")
    yield MARCH
    assert [each.grand_total for each in shop.invoices(contract)[:2]] == ["15.00", "3.00"]
    for number in (0, 1, 2):
        check_by_hand(shop, contract, number)
    invoice_id = shop.invoices(contract)[0].id
    traced = shop.http.get(f"/v2/invoices/{invoice_id}", params={"expand": "lineProvenance"}).json()
    usage, discount = (each["provenance"] for each in traced["lineItems"]["lineItems"])
    assert [each["op"] for each in usage["steps"]][-2:] == ["evaluate", "extractTax"]
    assert usage["sources"]["entitlement"]["asUsed"]["covered"] == "10"
    assert discount["steps"][0]["out"] == "-10"


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
