"""Tales of published changes: other systems' tests of plans, seats and ends within a period.

Each tale names its source and moves its dates at most to months and years of the same lengths.
Others round what is given back and what is asked by themselves; here their sum is rounded once.
What a bill cannot bear of a credit is taken off the next ones.
"""

from datetime import timedelta
from typing import Any

from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2024-01-01")
GRACE = "PT0S"


def _plan(shop: Shop, price: str, **terms: Any) -> str:
    """A plan of one fee."""
    own = {name: terms.pop(name) for name in ("every", "term", "quantity") if name in terms}
    return shop.plan(shop.fee(price, price, **own), **terms)


def _change(shop: Shop, contract: Contract, plan_id: str, when: str = "now") -> str:
    """Another plan; answers what the change comes to."""
    answer = shop.http.post(
        f"/internal/v1/subscriptions/{contract.id}/planChange",
        json={"planId": plan_id, "at": when},
        headers={"Authorization": f"Bearer {shop._admin_key}"},
    )
    assert answer.is_success, answer.text
    return str(answer.json()["subtotal"])


def _totals(shop: Shop, contract: Contract) -> list[str]:
    return [each.subtotal for each in shop.invoices(contract) if each.status != "ACTIVE"]


def _end(shop: Shop, *contracts: Contract) -> None:
    """No later tale's months are billed for these."""
    for contract in contracts:
        shop.terminate(contract)


def meteroid_starter_and_pro(shop: Shop) -> Telling:
    """Meteroid, plan_change.rs: 29.00 and 10.00 a month for 99.00 and 25.00 on 16 January.

    16 of 31 days: (124 - 39) x 16 / 31 = 43.87; back again -43.87, of which February's 39.00 leave
    4.87: March is 34.13. At the end of the period there is nothing to prorate: 124.00 from then.
    """
    starter = shop.plan(shop.fee("Platform", "29"), shop.fee("Seats", "10"))
    pro = shop.plan(shop.fee("Platform", "99"), shop.fee("Seats", "25"))
    up, down, late = shop.subscribe(starter), shop.subscribe(pro), shop.subscribe(starter)
    yield at("2024-01-16")
    asked = _change(shop, up, pro), _change(shop, down, starter)
    assert asked == ("43.87", "-43.87")
    _change(shop, late, pro, "period_end")
    yield at("2024-03-01")
    assert _totals(shop, up) == ["39.00", "43.87", "124.00", "124.00"]
    assert _totals(shop, down) == ["124.00", "0.00", "0.00", "34.13"]
    assert _totals(shop, late) == ["39.00", "124.00", "124.00"]
    _end(shop, up, down, late)


def meteroid_lines_that_come_and_go(shop: Shop) -> Telling:
    """Meteroid, proration.rs, halfway: 100.00 for 200.00, 30.00 goes, 50.00 comes: 60.00.

    A set-up of 2 x 500.00 that comes is owed whole: 1000.00. Their yearly 3650.00 is asked for the
    rest of the month; here for the rest of its own year, 350 of 365 days from 16 April: 3500.00.
    On the last of 30 days 300.00 for 600.00 is 10.00.
    """
    base = shop.plan(shop.fee("Base", "100"), shop.fee("Y", "30"))
    other = shop.plan(shop.fee("Base Pro", "200"), shop.fee("X", "50"))
    kept = shop.fee("Kept", "100")
    once = shop.fee("Set-up", "500", every="P0D", quantity=2)
    yearly = shop.fee("Annual", "3650", every="P1Y")
    plans = [shop.plan(kept, more) for more in (once, yearly)]
    small, big = (_plan(shop, price) for price in ("300", "600"))
    yield at("2024-04-01")
    contract, last = shop.subscribe(base), shop.subscribe(small)
    two = [shop.subscribe(shop.plan(kept)) for _ in plans]
    yield at("2024-04-16")
    assert _change(shop, contract, other) == "60.00"
    asked = [_change(shop, held, plan) for held, plan in zip(two, plans, strict=True)]
    assert asked == ["1000.00", "3500.00"]
    yield at("2024-04-30")
    assert _change(shop, last, big) == "10.00"
    _end(shop, contract, last, *two)


def flexprice_seventeen_days(shop: Shop) -> Telling:
    """Flexprice, calculator_test.go, on 15 March, 17 of 31 days: 10.00 for 20.00 is 5.4838…, 5.48.

    They round both and get 5.49. 2 x 50.00 for 30.00: -38.39, which leaves 21.61 of May's 30.00.
    5 x 10.00 for ten of them: 27.42. 40.00 for nothing: -21.94.
    """
    nothing = shop.plan(shop.meter("Calls", "1"))
    pairs = [
        (_plan(shop, "10"), _plan(shop, "20")),
        (_plan(shop, "50", quantity=2), _plan(shop, "30")),
        (_plan(shop, "10", quantity=5), _plan(shop, "10", quantity=10)),
        (_plan(shop, "40"), nothing),
    ]
    yield at("2024-03-01")
    contracts = [shop.subscribe(old) for old, _ in pairs]
    yield at("2024-03-15")
    asked = [_change(shop, c, new) for c, (_, new) in zip(contracts, pairs, strict=True)]
    assert asked == ["5.48", "-38.39", "27.42", "-21.94"]
    yield at("2024-05-01")
    assert _totals(shop, contracts[1]) == ["100.00", "0.00", "0.00", "21.61"]
    _end(shop, *contracts)


def nadles_five_days_before_the_end(shop: Shop) -> Telling:
    """Nadles, "Upgrades and downgrades", 5 of 31 days: 100.00 for 300.00 is 32.26, then 300.00.

    300.00 for 100.00 is -32.26, and the next month 67.74 (their page says 67.64).
    """
    low, high = _plan(shop, "100"), _plan(shop, "300")
    up, down = shop.subscribe(low), shop.subscribe(high)
    yield at("2024-01-27")
    assert (_change(shop, up, high), _change(shop, down, low)) == ("32.26", "-32.26")
    yield at("2024-02-01")
    assert _totals(shop, up) == ["100.00", "32.26", "300.00"]
    assert _totals(shop, down) == ["300.00", "0.00", "67.74"]
    _end(shop, up, down)


def cloudblue_before_and_after_the_period(shop: Shop) -> Telling:
    """CloudBlue, "Upgrade and Downgrade Charges": 10.00 for 20.00 after ten of 30 days.

    Both ahead: 6.67 at once. Then ahead for behind: -6.67 now, so 13.33 less 6.67 at the end.
    Behind for ahead: 3.33 + 13.33 = 16.67 at once. Both behind: 3.33 at once, 13.33 at the end.
    """
    terms = ("in_advance", "in_arrears")
    pairs = [
        (_plan(shop, "10", term=old), _plan(shop, "20", term=new)) for old in terms for new in terms
    ]
    yield at("2024-04-01")
    contracts = [shop.subscribe(old) for old, _ in pairs]
    yield at("2024-04-11")
    for contract, (_, new) in zip(contracts, pairs, strict=True):
        _change(shop, contract, new)
    yield at("2024-05-01")
    assert [_totals(shop, contract) for contract in contracts] == [
        ["10.00", "6.67", "20.00"],
        ["10.00", "0.00", "6.67"],
        ["16.67", "20.00"],
        ["3.33", "13.33"],
    ]
    _end(shop, *contracts)


def polar_months_and_a_leap_year(shop: Shop) -> Telling:
    """Polar, test_service_prorations.py: 100.00 for 300.00 with 22 of 29 days left: 151.72.

    1000.00 a year for 3000.00 on 5 September: 166 of 366 days from 18 February: 907.10. In June,
    halfway 100.00, after a third 133.33.
    """
    small, big = _plan(shop, "100"), _plan(shop, "300")
    year, years = (
        _plan(shop, price, every="P1Y", billing_cadence="P1Y") for price in ("1000", "3000")
    )
    yield at("2024-02-18")
    leap, long = shop.subscribe(small), shop.subscribe(year)
    yield at("2024-02-25")
    assert _change(shop, leap, big) == "151.72"
    _end(shop, leap)
    yield at("2024-06-01")
    half, third = shop.subscribe(small), shop.subscribe(small)
    yield at("2024-06-11")
    assert _change(shop, third, big) == "133.33"
    yield at("2024-06-16")
    assert _change(shop, half, big) == "100.00"
    _end(shop, half, third)
    yield at("2024-09-05")
    assert _change(shop, long, years) == "907.10"
    _end(shop, long)


def polar_a_year_for_months_and_back(shop: Shop) -> Telling:
    """Polar, the same: 100.00 a month for 1000.00 a year, which begins at the change.

    In June after a half 950.00, after a third 933.33, and 924.14 with 22 of 29 days left. A year
    for a month, after 73 of 365 days -700.00, after 61 of 366 days -733.33. Docker, "Change your
    billing cycle": 10.00 a month for 100.00 a year, halfway 95.00.
    """
    small, month = _plan(shop, "10"), _plan(shop, "100")
    cheap, year = (
        _plan(shop, price, every="P1Y", billing_cadence="P1Y") for price in ("100", "1000")
    )
    yield at("2024-02-18")
    leap, back = shop.subscribe(month), shop.subscribe(year)
    yield at("2024-02-25")
    assert _change(shop, leap, year) == "924.14"
    yield at("2024-04-19")
    assert _change(shop, back, month) == "-733.33"
    yield at("2024-06-01")
    half, third, docker = (shop.subscribe(plan) for plan in (month, month, small))
    fifth = shop.subscribe(year)
    yield at("2024-06-11")
    assert _change(shop, third, year) == "933.33"
    yield at("2024-06-16")
    assert (_change(shop, half, year), _change(shop, docker, cheap)) == ("950.00", "95.00")
    yield at("2024-08-13")
    assert _change(shop, fifth, month) == "-700.00"
    _end(shop, leap, back, half, third, docker, fifth)


def polar_seats_discounts_and_four_plans(shop: Shop) -> Telling:
    """Polar, the same, in June: halfway 5 to 8 seats at 10.00, 15.00; 10 to 12 at 20.00, 20.00;
    10 to 7 at 15.00, -22.50. After a third 5 to 10 at 15.00, 50.00.

    100.00 for 1000.00 halfway is 450.00, and with half off the other plan -50 + 250 = 200.00.
    Four plans of 100.00 to 400.00, six days each: 80.00, 60.00 and 40.00; then 400.00.
    """
    seats = [
        (_plan(shop, price, quantity=old), _plan(shop, price, quantity=new))
        for price, old, new in (("10", 5, 8), ("20", 10, 12), ("15", 10, 7), ("15", 5, 10))
    ]
    one, ten = _plan(shop, "100"), _plan(shop, "1000")
    steps = [one, *(_plan(shop, price) for price in ("200", "300", "400"))]
    yield at("2024-06-01")
    held = [shop.subscribe(old) for old, _ in seats]
    plain, cheaper, several = (shop.subscribe(one) for _ in range(3))
    asked = []
    for day, plan in zip(("07", "13", "19"), steps[1:], strict=True):
        yield at(f"2024-06-{day}")
        asked.append(_change(shop, several, plan))
        if day == "07":
            yield at("2024-06-11")
            assert _change(shop, held[3], seats[3][1]) == "50.00"
        if day == "13":
            yield at("2024-06-16")
            changed = [_change(shop, held[at], seats[at][1]) for at in range(3)]
            assert changed == ["15.00", "20.00", "-22.50"]
            assert _change(shop, plain, ten) == "450.00"
            off: Any = {
                "type": "percentageDiscount", "percentage_discount": "0.5",
                "effective_from": at("2024-06-16"),
            }  # fmt: skip
            shop.client.subscriptions.create_subscription_adjustment(
                id=cheaper.id, create_subscription_adjustment_request=off
            )
            assert _change(shop, cheaper, ten) == "200.00"
    assert asked == ["80.00", "60.00", "40.00"]
    yield at("2024-07-01")
    assert _totals(shop, several) == ["100.00", "80.00", "60.00", "40.00", "400.00"]
    assert _totals(shop, cheaper) == ["100.00", "200.00", "500.00"]
    _end(shop, *held, plain, cheaper, several)


def kill_bill_a_year_and_a_quarter(shop: Shop) -> Telling:
    """Kill Bill, TestIntegrationWithDifferentBillingPeriods, after 11 days of May: 20 of 31 left.

    249.95 a month for 2399.95 a year: 354 of 365 days, 2327.62 - 161.26 = 2166.36. 29.95 for 69.95
    a quarter: 81 of 92 days are 61.5864… - 19.3225… = 42.26 (theirs 61.59 - 19.32), and 69.95 on
    1 August. There the plans have these periods, here their fees. From 1 July to a billing day of
    10: 9 of 30 days, 74.985, 74.99; then 249.95.
    """
    month, year = _plan(shop, "249.95"), _plan(shop, "2399.95", every="P1Y")
    pistol, quarter = _plan(shop, "29.95"), _plan(shop, "69.95", every="P3M")
    aligned = _plan(shop, "249.95", billing_anchor=OPENED - timedelta(days=22))
    yield at("2024-05-01")
    longer, third = shop.subscribe(month), shop.subscribe(pistol)
    yield at("2024-05-12")
    assert _change(shop, longer, year) == "2166.36"
    assert _change(shop, third, quarter) == "42.26"
    yield at("2024-07-01")
    stub = shop.subscribe(aligned)
    yield at("2024-08-01")
    assert _totals(shop, longer) == ["249.95", "2166.36", "0.00", "0.00", "0.00"]
    assert _totals(shop, third) == ["29.95", "42.26", "0.00", "0.00", "69.95"]
    assert _totals(shop, stub) == ["74.99", "249.95"]
    _end(shop, longer, third, stub)


def kill_bill_a_price_from_the_first_of_may(shop: Shop) -> Telling:
    """Kill Bill, TestCatalogAnnualSubscription: 49.95 from 15 April, 59.95 from 1 May.

    16 of 30 days, 26.64; 14 of 30, 27.98; then 59.95. TestWithQuantityUpdate: 7 knives at 29.95
    are 209.65, and 10 of them from the 27th 299.50.
    """
    before, after = (_plan(shop, price, term="in_arrears") for price in ("49.95", "59.95"))
    knives = shop.plan(keyed={"knives": shop.fee("Knife", "29.95", quantity=7)})
    yield at("2024-04-15")
    contract = shop.subscribe(before)
    yield at("2024-04-27")
    seats = shop.subscribe(knives)
    ten: Any = {
        "price_key": "knives", "unit_price": None, "base_quantity": "10", "billing_cadence": "P1M",
        "billing_mode": "advance", "start_date": at("2024-05-27"),
    }  # fmt: skip
    shop.client.subscriptions.edit_subscription_intervals(
        id=seats.id, edit_subscription_intervals_request={"add": [ten]}
    )
    yield at("2024-05-01")
    _change(shop, contract, after)
    yield at("2024-06-15")
    assert _totals(shop, contract) == ["26.64", "27.98", "59.95"]
    assert _totals(shop, seats) == ["209.65", "299.50"]
    _end(shop, contract, seats)


def lago_parts_of_quarters_and_of_december(shop: Shop) -> Telling:
    """Lago, upgrade_proration_spec.rb: 455.00 a quarter from 15 January, 910.00 from 20 May.

    35 of 91 days are 175.00, and until the end of 20 June 32 days of the other 320.00; 320.00 too
    by the calendar from 20 May. billing_spec: 10.00 a month and 20 % from the 15th to the end of
    the 20th: 6 of 31 days, 1.935… and 0.387…: 1.94 + 0.39 = 2.33.
    """
    quarterly: Any = {"every": "P3M", "term": "in_arrears", "billing_cadence": "P3M"}
    low, high = (_plan(shop, price, **quarterly) for price in ("455", "910"))
    calendar = _plan(shop, "910", billing_anchor=OPENED, **quarterly)
    taxed = _plan(shop, "10", term="in_arrears", billing_anchor=OPENED, default_tax_rate=20)
    yield at("2024-01-15")
    contract, short = shop.subscribe(low), shop.subscribe(taxed)
    yield at("2024-01-21")
    _end(shop, short)
    yield at("2024-05-20")
    assert shop.bills(short) == ["ISSUED 1.94 + 0.39 = 2.33"]
    _change(shop, contract, high)
    late = shop.subscribe(calendar)
    yield at("2024-06-21")
    _end(shop, contract, late)
    assert _totals(shop, contract) == ["455.00", "175.00", "320.00"]
    assert _totals(shop, late) == ["320.00"]


def lago_usage_under_two_plans(shop: Shop) -> Telling:
    """b09/upgrade/arrears of Lago's golden rows: 100 units at 1.00 until 16 April, then at 2.00.

    100.00 when the plan changes; a unit of that instant is the other plan's: 5 + 7 are 24.00.
    """
    calls = shop.metric("Calls")
    old, new = (shop.plan(shop.meter("Calls", price, of=calls)) for price in ("1", "2"))
    meter = shop.meter("Calls", "3", of=calls)
    yield at("2024-04-01")
    contract = shop.subscribe(old)
    shop.use(contract, meter, 100, "2024-04-05T10:00")
    yield at("2024-04-16T10:00")
    _change(shop, contract, new)
    shop.use(contract, meter, 5, "2024-04-16T10:00")
    shop.use(contract, meter, 7, "2024-04-20")
    yield at("2024-05-01")
    assert _totals(shop, contract) == ["100.00", "24.00"]
    _end(shop, contract)


def meteroid_a_billing_day_and_an_agreed_end(shop: Shop) -> Telling:
    """Meteroid, test_billing_usage.rs: 35.00 from 1 March to a billing day of 15, then 35.00.

    14 of 29 days are 16.90. From 31 January to 10 March: 35.00, on 29 February 35.00, and nothing
    when it ends.
    """
    aligned, plain = _plan(shop, "35", billing_anchor=at("2023-12-15")), _plan(shop, "35")
    yield at("2024-01-31")
    ending = shop.subscribe(plain, ending_at=at("2024-03-10"))
    yield at("2024-03-01")
    contract = shop.subscribe(aligned)
    yield at("2024-04-15")
    assert _totals(shop, contract) == ["16.90", "35.00", "35.00"]
    assert _totals(shop, ending) == ["35.00", "35.00", "0.00"]
    _end(shop, contract)


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
