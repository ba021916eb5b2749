"""Tales of another plan inside a period: what is given back, what is asked for, what was used."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.scenario.conftest import Addresses
from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2026-01-01")
GRACE = "PT0S"
CHANGED = at("2026-01-11")
_operator: list[httpx2.Client] = []


@pytest.fixture(scope="module", autouse=True)
def operator(addresses: Addresses) -> Iterator[None]:
    """The installation's own key."""
    with httpx2.Client(
        base_url=addresses["apiUrl"],
        headers={"Authorization": f"Bearer {addresses['adminKey']}"},
        timeout=60,
    ) as client:
        _operator.append(client)
        yield
        _operator.clear()


def _ask(contract: Contract, plan_id: str, **members: Any) -> httpx2.Response:
    body = {"planId": plan_id, "at": "now", **members}
    return _operator[0].post(f"/internal/v1/subscriptions/{contract.id}/planChange", json=body)


def _change(contract: Contract, plan_id: str, **members: Any) -> Any:
    answer = _ask(contract, plan_id, **members)
    assert answer.is_success, answer.text
    return answer.json()


def _totals(shop: Shop, contract: Contract) -> list[str]:
    return [each.subtotal for each in shop.invoices(contract) if each.status != "ACTIVE"]


def an_upgrade_in_the_middle(shop: Shop) -> Telling:
    """31.00 a month in advance, then 62.00, from 11 January: 10 of 31 days are gone.

    -31.00 x 21 / 31 = -21.00 and 62.00 x 21 / 31 = 42.00. Calls: 5 at 1.00 before, 4 at 2.00 after.
    Now 21.00 + 5.00 = 26.00; on 1 February 8.00 + 62.00 = 70.00.
    """
    metric = shop.metric("Calls")
    old_calls, new_calls = (shop.meter("Calls", rate, of=metric) for rate in ("1.00", "2.00"))
    contract = shop.subscribe(shop.plan(shop.fee("Basic", "31.00"), old_calls))
    better = shop.plan(shop.fee("Better", "62.00"), new_calls)
    shop.use(contract, old_calls, 5, "2026-01-10")
    yield CHANGED
    preview = _change(contract, better, preview=True)
    assert [(each["displayName"], each["amount"]) for each in preview["lines"]] == [
        ("Basic (unused)", "-21"), ("Better", "42"),
    ]  # fmt: skip
    assert (preview["subtotal"], preview["preview"]) == ("21.00", True)
    assert shop.client.subscriptions.get(id=contract.id).plan_id != better
    assert shop.bills(contract)[1].startswith("ACTIVE 36.00")
    changed = _change(contract, better)
    assert changed["lines"] == preview["lines"]
    assert shop.client.subscriptions.get(id=contract.id).plan_id == better
    shop.use(contract, new_calls, 4, "2026-01-20")
    yield at("2026-02-01")
    assert _totals(shop, contract) == ["31.00", "26.00", "70.00"]


def a_downgrade_gives_back_more_than_it_asks(shop: Shop) -> Telling:
    """62.00, then 31.00: -42.00 + 21.00; the rest of 21.00 is taken off February's 31.00."""
    contract = shop.subscribe(shop.plan(shop.fee("Better", "62.00")))
    basic = shop.plan(shop.fee("Basic", "31.00"))
    yield CHANGED
    assert _change(contract, basic)["subtotal"] == "-21.00"
    yield at("2026-03-01")
    assert _totals(shop, contract) == ["62.00", "0.00", "10.00", "31.00"]


def arrears_are_split_at_the_change(shop: Shop) -> Telling:
    """31.00 in arrears for 10 days is 10.00; 62.00 for 21 is 42.00. No fee was paid ahead."""
    contract = shop.subscribe(shop.plan(shop.fee("Basic", "31.00", term="in_arrears")))
    better = shop.plan(shop.fee("Better", "62.00", term="in_arrears"))
    yield CHANGED
    assert _change(contract, better)["lines"] == []
    yield at("2026-02-01")
    assert _totals(shop, contract) == ["10.00", "42.00"]


def a_discount_counts_on_both_sides(shop: Shop) -> Telling:
    """Half of 31.00 was paid for February; from 11 February (18 of 28 days): half of each.

    31.00 x 18 / 28 / 2 = 9.9642… back, 62.00 x 18 / 28 / 2 = 19.9285… asked: 9.96.
    """
    contract = shop.subscribe(shop.plan(shop.fee("Basic", "31.00")))
    better = shop.plan(shop.fee("Better", "62.00"))
    request: Any = {
        "type": "percentageDiscount", "percentage_discount": "0.5", "effective_from": OPENED,
    }  # fmt: skip
    shop.client.subscriptions.create_subscription_adjustment(
        id=contract.id, create_subscription_adjustment_request=request
    )
    yield at("2026-02-11")
    assert _change(contract, better)["subtotal"] == "9.96"
    yield at("2026-03-01")
    assert _totals(shop, contract) == ["31.00", "15.50", "9.96", "31.00"]


def changed_three_times_in_a_month(shop: Shop) -> Telling:
    """31.00 in advance, 62.00 from 11 January, 31.00 from the 21st, and 62.00 at that instant.

    On the 11th -31 x 21 / 31 + 62 x 21 / 31 = 21.00. On the 21st, with 11 days left, what the
    first change asked for is given back in part, -42.00 x 11 / 21 = -22.00, and 11.00 asked for:
    -11.00, which wait. Then -11.00 + 22.00 = 11.00. February is 62.00 - 11.00 = 51.00.
    """
    contract = shop.subscribe(shop.plan(shop.fee("Basic", "31.00")))
    better = shop.plan(shop.fee("Better", "62.00"))
    basic = shop.plan(shop.fee("Basic", "31.00"))
    yield CHANGED
    assert _change(contract, better)["subtotal"] == "21.00"
    yield at("2026-01-21")
    down = _change(contract, basic)
    assert [(each["displayName"], each["amount"]) for each in down["lines"]] == [
        ("Better (unused)", "-22"), ("Basic", "11"),
    ]  # fmt: skip
    assert _change(contract, better)["subtotal"] == "11.00"
    yield at("2026-03-01")
    assert _totals(shop, contract) == [
        "31.00", "21.00", "0.00", "11.00", "51.00", "62.00",
    ]  # fmt: skip


def a_year_is_given_back_once(shop: Shop) -> Telling:
    """365.00 a year in advance; on 11 January 355 of 365 days are left: 355.00 back.

    A plan of 31.00 a month asks 21.00 for January: 334.00 are carried, and pay February's 31.00.
    The change to 62.00 on 11 February gives back 31.00 x 18 / 28 = 19.9285… of that month and
    nothing of the year, and asks 39.8571…: 19.93, paid by the credit too.
    """
    contract = shop.subscribe(shop.plan(shop.fee("Year", "365.00", every="P1Y")))
    basic = shop.plan(shop.fee("Basic", "31.00"))
    better = shop.plan(shop.fee("Better", "62.00"))
    yield CHANGED
    assert _change(contract, basic)["subtotal"] == "-334.00"
    yield at("2026-02-11")
    assert _change(contract, better)["subtotal"] == "19.93"
    yield at("2026-03-01")
    assert _totals(shop, contract) == ["365.00", "0.00", "0.00", "0.00", "0.00"]


def what_is_billed_once_is_not_given_back(shop: Shop) -> Telling:
    """A set-up of 99.00 once and 31.00 a month; the other plan has a set-up of 10.00 and 62.00.

    On 11 January -21.00, 10.00 and 42.00: 31.00. Back again on the 21st: -22.00, 99.00 and 11.00.
    """
    contract = shop.subscribe(
        shop.plan(shop.fee("Set-up", "99.00", every="P0D"), shop.fee("Basic", "31.00"))
    )
    better = shop.plan(shop.fee("Move", "10.00", every="P0D"), shop.fee("Better", "62.00"))
    basic = shop.plan(shop.fee("Set-up", "99.00", every="P0D"), shop.fee("Basic", "31.00"))
    yield CHANGED
    assert _change(contract, better)["subtotal"] == "31.00"
    yield at("2026-01-21")
    assert _change(contract, basic)["subtotal"] == "88.00"


def with_the_period(shop: Shop) -> Telling:
    """The next period bills the other plan: 31.00, then 62.00, and nothing in between."""
    contract = shop.subscribe(shop.plan(shop.fee("Basic", "31.00")))
    better = shop.plan(shop.fee("Better", "62.00"))
    yield CHANGED
    changed = _change(contract, better, at="period_end")
    assert (changed["effectiveAt"], changed["lines"]) == ("2026-02-01T00:00:00Z", [])
    assert shop.bills(contract)[1] == "ACTIVE 62.00 + 0.00 = 62.00"
    yield at("2026-03-01")
    assert shop.client.subscriptions.get(id=contract.id).plan_id == better
    assert _totals(shop, contract) == ["31.00", "62.00", "62.00"]


def what_cannot_be_billed_together(shop: Shop) -> Telling:
    """Other currencies and taxes, terms of one's own, and what is not there."""
    basic = shop.plan(keyed={"rent": shop.fee("Basic", "31.00")})
    contract = shop.subscribe(basic)
    yield CHANGED
    for other in (
        shop.plan(shop.fee("Other", "1.00"), currency="EUR"),
        shop.plan(shop.fee("Other", "1.00"), default_tax_rate=19),
        shop.plan(shop.fee("Other", "1.00"), tax_behavior="inclusive"),
    ):
        answer = _ask(contract, other, preview=True)
        assert (answer.status_code, answer.json()["code"]) == (409, "PLAN_NOT_CHANGEABLE")
    yearly = shop.plan(shop.fee("Yearly", "365.00", every="P1Y"))
    assert _ask(contract, yearly, at="period_end").status_code == 409
    assert _ask(contract, "plan_0").status_code == 404
    same = _ask(contract, basic)
    assert same.status_code == 409


def a_quarter_of_usage_is_cut_by_the_change(shop: Shop) -> Telling:
    """Calls by the quarter, at 1.00 in one plan and 2.00 in the other; changed on 11 February.

    9 until then at 1.00, at once; the quarter's rest is the other plan's: 5 at 2.00 on 1 April.
    With the period it is not changed on 1 March, within the quarter; but at its end, on 1 July,
    when the 4 calls since April are billed by the plan that is left.
    """
    metric = shop.metric("Calls")
    plans = []
    for rate in ("1.00", "2.00"):
        calls = shop.meter("Calls", rate, of=metric, billingCadence="P3M")
        plans.append(shop.plan(calls))
    contract = shop.subscribe(plans[0])
    for day, amount in (("01-20", 4), ("02-10", 5), ("03-20", 5), ("06-20", 4)):
        shop.use(contract, calls, amount, f"2026-{day}")
    yield at("2026-02-11")
    refused = _ask(contract, plans[1], at="period_end")
    assert (refused.status_code, refused.json()["code"]) == (409, "PLAN_NOT_CHANGEABLE")
    _change(contract, plans[1])
    yield at("2026-06-11")
    assert _totals(shop, contract) == ["0.00", "9.00", "0.00", "10.00", "0.00", "0.00"]
    _change(contract, plans[0], at="period_end")
    yield at("2026-07-01")
    assert _totals(shop, contract)[-1] == "8.00"
    assert shop.client.subscriptions.get(id=contract.id).plan_id == plans[0]


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
