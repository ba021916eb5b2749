"""Tales of plans of another cadence: the cycles begin anew, and what was billed keeps its own."""

from typing import Any

from tests.scenario.changing import asked, changed, closed, lines_of, posted
from tests.scenario.included import check_by_hand
from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2026-01-01")
GRACE = "PT0S"
CHANGED = at("2026-01-11")
NEXT_YEAR = at("2027-01-11")


def _monthly(shop: Shop, *more: Any, **options: Any) -> str:
    return shop.plan(shop.fee("Month", "31.00"), *more, **options)


def _yearly(shop: Shop, *more: Any, **options: Any) -> str:
    fee = shop.fee("Year", "365.00", every="P1Y")
    return shop.plan(fee, *more, billing_cadence="P1Y", **options)


def _quarterly(shop: Shop, *more: Any) -> str:
    return shop.plan(shop.fee("Quarter", "90.00", every="P3M"), *more, billing_cadence="P3M")


def _billed_by(shop: Shop, contract: Contract) -> tuple[str, str]:
    found = shop.client.subscriptions.get(id=contract.id)
    return found.billing_anchor.date().isoformat(), str(found.billing_cadence)


def months_then_a_year(shop: Shop) -> Telling:
    """31.00 a month ahead, then 365.00 a year on 11 January, by Stripe's rule: a year from then.

    21 of 31 days are given back: -21.00 + 365.00 = 344.00, beside 5 calls at 1.00. 4 calls at 2.00
    are billed a year later, 8.00 + 365.00. Late calls of before the change cost what they did.
    """
    metric = shop.metric("Calls")
    old_calls, new_calls = (shop.meter("Calls", rate, of=metric) for rate in ("1.00", "2.00"))
    contract, better = shop.subscribe(_monthly(shop, old_calls)), _yearly(shop, new_calls)
    shop.use(contract, old_calls, 5, "2026-01-10")
    yield CHANGED
    preview = changed(shop, contract, better, preview=True)
    assert lines_of(preview) == [("Month (unused)", "-21"), ("Year", "365")]
    told = (preview["billingAnchor"], preview["billingCadence"], preview["periodEnd"])
    assert told == ("2026-01-11T00:00:00Z", "P1Y", "2027-01-11T00:00:00Z")
    assert _billed_by(shop, contract) == ("2026-01-01", "P1M")
    assert changed(shop, contract, better) == {**preview, "preview": False}
    assert _billed_by(shop, contract) == ("2026-01-11", "P1Y")
    yield at("2026-01-12")
    assert closed(shop, contract) == ["31.00", "349.00"]
    check_by_hand(shop, contract, 1)
    assert shop.windows(contract, 1)["Year"] == (CHANGED, NEXT_YEAR)
    assert shop.bills(contract)[2].startswith("ACTIVE 365.00")
    shown = posted(shop, contract, "/intervals", "GET")["intervals"]
    assert sorted((each["billingCadence"], each["startDate"][:10]) for each in shown) == [
        *[("P1M", "2026-01-01")] * 2, *[("P1Y", "2026-01-11")] * 2,
    ]  # fmt: skip
    shop.use(contract, new_calls, 4, "2026-01-20")
    shop.use(contract, old_calls, 7, "2026-01-05")
    yield NEXT_YEAR
    assert closed(shop, contract) == ["31.00", "349.00", "380.00"]
    check_by_hand(shop, contract, 2)


def a_year_then_months(shop: Shop) -> Telling:
    """365.00 a year ahead, then 31.00 a month on 11 July, of which 174 of 365 days are left.

    -174.00 + 31.00: 143.00 pay four months of 31.00 and 19.00 of the one from 11 December, which
    costs 12.00. On 21 December a year again: 21 of 31 days back and nothing of the first year,
    -21.00 + 365.00 = 344.00.
    """
    year, month = _yearly(shop), _monthly(shop)
    contract = shop.subscribe(year)
    yield at("2026-07-11")
    assert changed(shop, contract, month)["subtotal"] == "-143.00"
    yield at("2026-12-21")
    assert closed(shop, contract) == ["365.00", *["0.00"] * 5, "12.00"]
    again = changed(shop, contract, year)
    assert lines_of(again) == [("Month (unused)", "-21"), ("Year", "365")]
    yield at("2026-12-22")
    assert closed(shop, contract)[7:] == ["344.00"]
    shop.terminate(contract)


def the_last_of_a_month(shop: Shop) -> Telling:
    """31.00 from 31 January; a year at the end of the period: 365.00 on 28 February, its anchor.

    A year from 31 January, and months at its end: 31.00 on the 31st, on 28 February, and on 31
    March again, since the anniversary is a start of months.
    """
    yield at("2026-01-31")
    longer, shorter = shop.subscribe(_monthly(shop)), shop.subscribe(_yearly(shop))
    yield at("2026-02-10")
    year = _yearly(shop)
    planned = changed(shop, longer, year, at="period_end")
    assert (planned["effectiveAt"], planned["lines"]) == ("2026-02-28T00:00:00Z", [])
    assert (planned["billingAnchor"], planned["periodEnd"]) == (
        "2026-02-28T00:00:00Z", "2027-02-28T00:00:00Z",
    )  # fmt: skip
    assert _billed_by(shop, longer) == ("2026-01-31", "P1M")
    assert shop.bills(longer)[1] == "ACTIVE 365.00 + 0.00 = 365.00"
    changed(shop, shorter, _monthly(shop), at="period_end")
    yield at("2026-03-31")
    assert closed(shop, longer) == ["31.00", "365.00"]
    assert _billed_by(shop, longer) == ("2026-02-28", "P1Y")
    assert shop.windows(longer, 1) == {"Year": (at("2026-02-28"), at("2027-02-28"))}
    yield at("2027-03-31")
    assert closed(shop, longer) == ["31.00", "365.00", "365.00"]
    assert closed(shop, shorter) == ["365.00", "31.00", "31.00", "31.00"]
    assert _billed_by(shop, shorter) == ("2026-01-31", "P1M")


def quarters_then_months_at_the_end(shop: Shop) -> Telling:
    """90.00 a quarter ahead and calls at 1.00, from 1 April 31.00 a month and calls at 2.00.

    5 calls of the quarter and 31.00, then 4 calls of April, 8.00 + 31.00. One who asked and went
    back to following his plan goes on: 90.00.
    """
    metric = shop.metric("Calls")
    old_calls, new_calls = (shop.meter("Calls", rate, of=metric) for rate in ("1.00", "2.00"))
    plan, month = _quarterly(shop, old_calls), _monthly(shop, new_calls)
    contract, stays = shop.subscribe(plan), shop.subscribe(plan)
    shop.use(contract, old_calls, 5, "2026-02-10")
    yield at("2026-03-10")
    for each in (contract, stays):
        changed(shop, each, month, at="period_end")
    posted(shop, stays, "", "PATCH", versionPolicy="floating")
    own: Any = {
        "priceId": shop.fee("Support", "10.00"), "priceKey": "support", "unitPrice": None,
        "baseQuantity": "1", "billingCadence": "P1M", "billingMode": "advance",
        "startDate": "2026-04-01T00:00:00Z",
    }  # fmt: skip
    refused = shop.http.post(f"/v0/subscriptions/{contract.id}/intervals", json={"add": [own]})
    assert (refused.status_code, refused.json()["code"]) == (409, "INTERVAL_PLAN_CHANGE_WAITS")
    planned = shop.client.invoices_v2.list_projected_invoices(
        subscription_id=contract.id, from_=at("2026-03-11"), to=at("2026-05-02")
    ).data
    assert [(each.subtotal, each.period_start) for each in planned] == [
        ("31.00", at("2026-04-01")), ("31.00", at("2026-05-01")),
    ]  # fmt: skip
    yield at("2026-04-01")
    shop.use(contract, new_calls, 4, "2026-04-10")
    yield at("2026-05-01")
    assert closed(shop, contract) == ["90.00", "36.00", "39.00"]
    check_by_hand(shop, contract, 1)
    assert closed(shop, stays) == ["90.00", "90.00"]
    shop.terminate(contract)
    shop.terminate(stays)


def there_and_back_on_a_day(shop: Shop) -> Telling:
    """31.00, then 365.00 on 11 January, and 31.00 again twelve hours later, or at that instant.

    344.00; then 364.5 of 365 days back, -364.50 + 31.00 = -333.50, of which 302.50 are left when
    the month ends at noon on 11 February. At the same instant -365.00 + 31.00, and 303.00.
    """
    month, year = _monthly(shop), _yearly(shop)
    later, at_once = shop.subscribe(month), shop.subscribe(month)
    yield CHANGED
    assert [changed(shop, each, year)["subtotal"] for each in (later, at_once)] == ["344.00"] * 2
    assert changed(shop, at_once, month)["subtotal"] == "-334.00"
    yield at("2026-01-11T12:00")
    assert changed(shop, later, month)["subtotal"] == "-333.50"
    assert _billed_by(shop, later) == ("2026-01-11", "P1M")
    yield at("2026-02-12")
    left = {later.id: "-302.5", at_once.id: "-303"}
    for contract in (later, at_once):
        assert closed(shop, contract) == ["31.00", "344.00", "0.00", "0.00"]
        explained = shop.explained(contract, 3)["lines"]
        (cut,) = [line["steps"]["cut"] for line in explained if "cut" in line["steps"]]
        assert cut["carried"] == left[contract.id]
        shop.terminate(contract)


def a_plan_with_a_day_of_its_own(shop: Shop) -> Telling:
    """365.00 a year ahead and 365.00 behind, both from 1 July; 31.00 a month until then.

    On 11 January 171 of 365 days are left: -21.00 + 171.00 = 150.00, and on 1 July 171.00 behind
    and 365.00 ahead. At the end of January 150 days: 150.00, and 150.00 + 365.00 on 1 July.
    """
    care = shop.fee("Care", "365.00", every="P1Y", term="in_arrears")
    plan = _yearly(shop, care, billing_anchor=at("2025-07-01"))
    contract, late = shop.subscribe(_monthly(shop)), shop.subscribe(_monthly(shop))
    yield CHANGED
    assert changed(shop, contract, plan)["subtotal"] == "150.00"
    assert changed(shop, late, plan, at="period_end")["periodEnd"] == "2026-07-01T00:00:00Z"
    yield at("2026-02-01")
    assert closed(shop, late) == ["31.00", "150.00"]
    check_by_hand(shop, late, 1)
    yield at("2026-07-01")
    assert closed(shop, contract) == ["31.00", "150.00", "536.00"]
    assert closed(shop, late) == ["31.00", "150.00", "515.00"]
    assert _billed_by(shop, late) == ("2025-07-01", "P1Y")
    shop.terminate(contract)
    shop.terminate(late)


def an_end_after_the_change(shop: Shop) -> Telling:
    """31.00 for 365.00 on 11 January, ended on the 21st with 3 calls at 2.00: 6.00, nothing back.

    One that ends with its period does so in a year.
    """
    calls = shop.meter("Calls", "2.00")
    month, year = _monthly(shop), _yearly(shop, calls)
    contract, ending = shop.subscribe(month), shop.subscribe(month)
    yield CHANGED
    for each in (contract, ending):
        changed(shop, each, year)
    said = posted(shop, ending, "/terminationAtPeriodEnd")
    assert said["endingAt"] == "2027-01-11T00:00:00Z"
    shop.use(contract, calls, 3, "2026-01-20")
    yield at("2026-01-21")
    shop.terminate(contract)
    yield at("2026-01-22")
    assert closed(shop, contract) == ["31.00", "344.00", "6.00"]
    yield NEXT_YEAR
    assert closed(shop, ending) == ["31.00", "344.00", "0.00"]


def a_pause_after_the_change(shop: Shop) -> Telling:
    """A year of calls, then 28.00 a month on 11 January; paused on the 21st, resumed on 1 March.

    28.00; ten of the 28 days until 11 March, 10.00; then 28.00. A year paused in February and
    resumed in March is paid until 11 January.
    """
    plan = shop.plan(shop.meter("Calls", "1.00"), billing_cadence="P1Y")
    contract, longer = shop.subscribe(plan), shop.subscribe(_monthly(shop))
    yield CHANGED
    changed(shop, contract, shop.plan(shop.fee("Rent", "28.00")))
    changed(shop, longer, _yearly(shop))
    yield at("2026-01-21")
    posted(shop, contract, "/pause")
    posted(shop, longer, "/pause")
    yield at("2026-03-01")
    posted(shop, contract, "/resume")
    posted(shop, longer, "/resume")
    yield at("2026-03-11")
    assert closed(shop, contract) == ["28.00", "0.00", "10.00", "28.00"]
    shop.terminate(contract)
    yield NEXT_YEAR
    assert closed(shop, longer) == ["31.00", "344.00", "0.00", "365.00"]


def a_pause_before_the_boundary(shop: Shop) -> Telling:
    """31.00, a year from 1 February; paused on 21 January and resumed on 1 March: a year then."""
    contract = shop.subscribe(_monthly(shop))
    yield CHANGED
    changed(shop, contract, _yearly(shop), at="period_end")
    yield at("2026-01-21")
    posted(shop, contract, "/pause")
    yield at("2026-03-01")
    posted(shop, contract, "/resume")
    yield at("2026-03-02")
    assert closed(shop, contract) == ["31.00", "0.00", "365.00"]
    assert _billed_by(shop, contract) == ("2026-03-01", "P1Y")
    assert shop.windows(contract, 2) == {"Year": (at("2026-03-01"), at("2027-03-01"))}
    shop.terminate(contract)


def fees_of_other_cadences(shop: Shop) -> Telling:
    """31.00 a month and a licence of 365.00 a year, for 90.00 a quarter and 10.00 a month in it.

    On 11 January -21.00 - 355.00 + 90.00 + 3 x 10.00 = -256.00. At the end of a month without the
    licence every fee of the other plan begins: 90.00, a licence of 365.00 and 30.00 are 485.00.
    """
    licence = shop.fee("Licence", "365.00", every="P1Y")
    seats = shop.fee("Seats", "10.00")
    contract, plain = shop.subscribe(_monthly(shop, licence)), shop.subscribe(_monthly(shop))
    quarter, all_of_it = _quarterly(shop, seats), _quarterly(shop, seats, licence)
    yield CHANGED
    assert changed(shop, contract, quarter)["subtotal"] == "-256.00"
    changed(shop, plain, all_of_it, at="period_end")
    yield at("2026-02-01")
    assert closed(shop, plain) == ["31.00", "485.00"]
    yield at("2026-05-01")
    assert closed(shop, plain) == ["31.00", "485.00", "120.00"]
    shop.terminate(contract)
    shop.terminate(plain)


def what_would_be_cut_at_the_end(shop: Shop) -> Telling:
    """A yearly fee in a month, ahead or behind, and what is billed once, are refused there."""
    ahead, behind = (
        shop.fee("Licence", "365.00", every="P1Y", term=term)
        for term in ("in_advance", "in_arrears")
    )
    once = shop.fee("Set-up", "10.00", every="P0D")
    held = [shop.subscribe(_monthly(shop, fee)) for fee in (ahead, behind)]
    plain = shop.subscribe(_monthly(shop))
    yield CHANGED
    for contract, plan in (
        (held[0], _yearly(shop)),
        (held[1], _yearly(shop)),
        (held[1], _monthly(shop)),
        (plain, _yearly(shop, once)),
    ):
        answer = asked(shop, contract, plan, at="period_end")
        assert (answer.status_code, answer.json()["code"]) == (409, "PLAN_NOT_CHANGEABLE")
    assert changed(shop, held[1], _yearly(shop))["subtotal"] == "344.00"
    yield at("2026-01-12")
    assert closed(shop, held[1]) == ["31.00", "354.00"]
    for contract in (*held, plain):
        shop.terminate(contract)


def a_version_after_the_change(shop: Shop) -> Telling:
    """31.00 for a quarter of 90.00 on 11 January, whose next version asks 120.00 from 11 April."""
    fee, dearer = (shop.fee("Quarter", amount, every="P3M") for amount in ("90.00", "120.00"))
    quarter = shop.plan(keyed={"rent": fee}, billing_cadence="P3M")
    contract = shop.subscribe(_monthly(shop))
    yield CHANGED
    changed(shop, contract, quarter)
    shop.mint(quarter, rent=dearer)
    planned = shop.client.invoices_v2.list_projected_invoices(
        subscription_id=contract.id, from_=CHANGED, to=at("2026-08-01")
    ).data
    assert [(each.subtotal, each.period_start) for each in planned] == [
        ("120.00", at("2026-04-11")), ("120.00", at("2026-07-11")),
    ]  # fmt: skip
    yield at("2026-04-11")
    assert closed(shop, contract) == ["31.00", "69.00", "120.00"]
    shop.terminate(contract)


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
