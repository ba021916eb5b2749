"""Tales of pauses and of ends with the period: nothing twice, nothing for the time between."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2026-01-01")
GRACE = "PT0S"


def _ask(shop: Shop, contract: Contract, what: str, method: str = "POST") -> Any:
    answer = shop.http.request(method, f"/v0/subscriptions/{contract.id}/{what}")
    return answer.json() if answer.is_success else answer.status_code


def _sums(shop: Shop, contract: Contract) -> list[str]:
    return [bill.split(" = ")[1] for bill in shop.bills(contract)]


def resumed_within_the_period(shop: Shop) -> Telling:
    """31.00 in advance, 31.00 in arrears, calls at 1.00; paused on 11 January, resumed on the 21st.

    Until the pause 10 of 31 days in arrears, 10.00, and 5 calls: 15.00. From the 21st 11 days,
    11.00, and 3 calls; February in advance 31.00: 45.00. The 100 calls between cost nothing, and
    January's fee in advance is neither given back nor charged again.
    """
    calls = shop.meter("Calls", "1.00")
    plan = shop.plan(shop.fee("Rent", "31.00"), shop.fee("Care", "31.00", term="in_arrears"), calls)
    contract = shop.subscribe(plan)
    shop.use(contract, calls, 5, "2026-01-05")
    yield at("2026-01-11")
    paused = _ask(shop, contract, "pause")
    assert (paused["status"], paused["pausedAt"]) == ("active", "2026-01-11T00:00:00Z")
    assert shop.client.subscriptions.get(id=contract.id).status == "active"
    shop.use(contract, calls, 100, "2026-01-15")
    planned = shop.client.invoices_v2.list_projected_invoices(subscription_id=contract.id)
    assert planned.data == []
    yield at("2026-01-21")
    assert _ask(shop, contract, "resume")["pausedAt"] is None
    shop.use(contract, calls, 3, "2026-01-25")
    yield at("2026-02-01")
    assert _sums(shop, contract)[:3] == ["31.00", "15.00", "45.00"]
    assert shop.charges(contract, 2) == {
        "Rent": Decimal(31), "Care": Decimal(11), "Calls": Decimal(3),
    }  # fmt: skip


def resumed_in_a_later_period(shop: Shop) -> Telling:
    """Paused on 11 January, resumed on 18 March: 14 of March's 31 days are left.

    31.00 in advance: 14.00 at once. 62.00 in arrears: 20.00 for ten days of January, 28.00 for 14
    of March, beside April's 31.00.
    """
    plan = shop.plan(shop.fee("Rent", "31.00"), shop.fee("Care", "62.00", term="in_arrears"))
    contract = shop.subscribe(plan)
    yield at("2026-01-11")
    _ask(shop, contract, "pause")
    yield at("2026-03-18")
    assert _sums(shop, contract) == ["31.00", "20.00"]
    _ask(shop, contract, "resume")
    yield at("2026-03-18T00:01:00")
    assert _sums(shop, contract)[:3] == ["31.00", "20.00", "14.00"]
    assert shop.windows(contract, 2) == {"Rent": (at("2026-03-18"), at("2026-04-01"))}
    yield at("2026-04-01")
    assert _sums(shop, contract)[:4] == ["31.00", "20.00", "14.00", "59.00"]
    numbers = [each.sequence_number for each in shop.invoices(contract)]
    assert numbers == [0, 1, 2, 3, 4]


def what_is_paid_for_longer_stays_paid(shop: Shop) -> Telling:
    """A fee a year, one once, one a quarter of 91.00 and one a month of 31.00; back on 16 May.

    The year is paid, and what is paid once is paid. Of the second quarter's 91 days 46 are left,
    46.00; of May's 31 there are 16, 16.00.
    """
    plan = shop.plan(
        shop.fee("Licence", "365.00", every="P1Y"),
        shop.fee("Set-up", "100.00", every="P0D"),
        shop.fee("Support", "91.00", every="P3M"),
        shop.fee("Rent", "31.00"),
    )
    contract = shop.subscribe(plan)
    assert _sums(shop, contract)[0] == "587.00"
    yield at("2026-01-11")
    _ask(shop, contract, "pause")
    yield at("2026-05-16")
    _ask(shop, contract, "resume")
    yield at("2026-05-16T00:01:00")
    assert shop.charges(contract, 2) == {"Support": Decimal(46), "Rent": Decimal(16)}
    yield at("2026-06-01")
    assert shop.charges(contract, 3) == {"Rent": Decimal(31)}


def a_short_pause_leaves_longer_fees_alone(shop: Shop) -> Telling:
    """A quarter is paid in advance; paused in January and resumed in March, it is not owed."""
    plan = shop.plan(shop.fee("Support", "90.00", every="P3M"))
    contract = shop.subscribe(plan)
    yield at("2026-01-11")
    _ask(shop, contract, "pause")
    yield at("2026-03-18")
    _ask(shop, contract, "resume")
    yield at("2026-04-01")
    assert _sums(shop, contract)[:4] == ["90.00", "0.00", "0.00", "90.00"]


def paused_again_and_again(shop: Shop) -> Telling:
    """31.00 in arrears: 4 days, 5 days, and 12 days of March; in advance only March's 12."""
    plan = shop.plan(shop.fee("Rent", "31.00"), shop.fee("Care", "31.00", term="in_arrears"))
    contract = shop.subscribe(plan)
    for day, what in (("05", "pause"), ("10", "resume"), ("15", "pause")):
        yield at(f"2026-01-{day}")
        _ask(shop, contract, what)
    yield at("2026-03-20")
    _ask(shop, contract, "resume")
    yield at("2026-04-01")
    assert _sums(shop, contract)[:5] == ["31.00", "4.00", "5.00", "12.00", "43.00"]


def paused_on_the_boundary(shop: Shop) -> Telling:
    """February is paid for on 1 February, then it is paused: back on the 11th, March is next."""
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "31.00")))
    yield at("2026-02-01")
    _ask(shop, contract, "pause")
    yield at("2026-02-11")
    _ask(shop, contract, "resume")
    yield at("2026-03-01")
    assert _sums(shop, contract)[:4] == ["31.00", "31.00", "0.00", "31.00"]


def late_usage_of_the_time_before_is_billed(shop: Shop) -> Telling:
    """5 calls until the pause are billed; 7 more of that time come late, 100 are of the pause."""
    calls = shop.meter("Calls", "1.00")
    contract = shop.subscribe(shop.plan(calls))
    shop.use(contract, calls, 5, "2026-01-05")
    yield at("2026-01-11")
    _ask(shop, contract, "pause")
    yield at("2026-01-15")
    shop.use(contract, calls, 7, "2026-01-06")
    shop.use(contract, calls, 100, "2026-01-13")
    yield at("2026-01-21")
    _ask(shop, contract, "resume")
    yield at("2026-02-01")
    assert _sums(shop, contract)[:2] == ["5.00", "7.00"]


def terminated_while_paused(shop: Shop) -> Telling:
    """Nothing ran since the pause; a line that was to come later is on the last invoice."""
    contract = shop.subscribe(shop.plan(shop.fee("Care", "31.00", term="in_arrears")))
    shop.client.invoices_v2.create_line_item(
        display_name="Moving out", currency="USD", quantity=1, unit_price=8,
        subscription_id=contract.id, invoice_at=at("2026-06-01"),
    )  # fmt: skip
    yield at("2026-01-11")
    _ask(shop, contract, "pause")
    yield at("2026-01-20")
    shop.terminate(contract)
    yield at("2026-02-01")
    assert _sums(shop, contract) == ["10.00", "8.00"]
    assert _ask(shop, contract, "resume") == 409


def a_pause_does_not_put_the_end_off(shop: Shop) -> Telling:
    """It was to end on 25 January, and does, paused since the 11th."""
    contract = shop.subscribe(shop.plan(shop.fee("Care", "31.00", term="in_arrears")))
    shop.client.subscriptions.update_subscription(id=contract.id, ending_at=at("2026-01-25"))
    yield at("2026-01-11")
    _ask(shop, contract, "pause")
    yield at("2026-01-25")
    ended = shop.client.subscriptions.get(id=contract.id)
    assert (ended.status, ended.terminated_at) == ("terminated", at("2026-01-25"))
    assert _sums(shop, contract) == ["10.00", "0.00"]


def ends_with_its_period(shop: Shop) -> Telling:
    """Said on 11 January: January is billed whole, February not at all."""
    plan = shop.plan(shop.fee("Rent", "31.00"), shop.fee("Care", "31.00", term="in_arrears"))
    contract = shop.subscribe(plan)
    yield at("2026-01-11")
    said = _ask(shop, contract, "terminationAtPeriodEnd")
    assert (said["status"], said["endingAt"]) == ("active", "2026-02-01T00:00:00Z")
    yield at("2026-02-01")
    ended = shop.client.subscriptions.get(id=contract.id)
    assert (ended.status, ended.terminated_at) == ("terminated", at("2026-02-01"))
    assert ended.termination_reason == "ended"
    assert _sums(shop, contract) == ["31.00", "31.00"]
    assert _ask(shop, contract, "terminationAtPeriodEnd", "DELETE") == 409


def changes_its_mind(shop: Shop) -> Telling:
    """Said on 11 January, taken back on the 20th: February follows."""
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "31.00")))
    yield at("2026-01-11")
    _ask(shop, contract, "terminationAtPeriodEnd")
    yield at("2026-01-20")
    withdrawn = _ask(shop, contract, "terminationAtPeriodEnd", "DELETE")
    assert withdrawn["endingAt"] is None
    yield at("2026-02-01")
    assert shop.client.subscriptions.get(id=contract.id).status == "active"
    assert _sums(shop, contract)[:2] == ["31.00", "31.00"]


def what_cannot_be_paused(shop: Shop) -> Telling:
    """A pending one, one to come, a paused one; and what runs is not resumed."""
    plan = shop.plan(shop.fee("Rent", "31.00"))
    pending = shop.subscribe(plan, pays=False)
    to_come = shop.subscribe(plan, OPENED + timedelta(days=9))
    running = shop.subscribe(plan)
    assert [_ask(shop, each, "pause") for each in (pending, to_come)] == [409, 409]
    assert _ask(shop, running, "resume") == 409
    yield at("2026-01-02")
    _ask(shop, running, "pause")
    assert _ask(shop, running, "pause")["pausedAt"] == "2026-01-02T00:00:00Z"
    yield at("2026-01-03")
    assert _ask(shop, running, "pause") == 409
    assert _ask(shop, running, "lifecycle", "GET")["pausedAt"] == "2026-01-02T00:00:00Z"


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
