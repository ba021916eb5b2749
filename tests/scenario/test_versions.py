"""Tales of price changes in the middle of a month: for floating, pinned and immediate terms.

May runs under version 1 until 20 May, when version 2 becomes the plan's default.
"""

from typing import Any

from paygentic_sdk.models import Migration

from tests.scenario.shop import Contract, Meter, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2025-05-01")
GRACE = "PT0S"
CHANGED = at("2025-05-20")
BOUNDARY = at("2025-06-01")
SECOND = at("2025-07-01")
IMMEDIATE = {"effective_date": "immediate", "proration": "none"}


class _Change:
    """Units at 1.00, from version 2 on at 2.00; rent of 10.00 in advance, then of 12.00."""

    def __init__(self, shop: Shop, **terms: object) -> None:
        metric = shop.metric("Units")
        self.old, self.new = (shop.meter("Units", price, of=metric) for price in ("1", "2"))
        self.rent, self.more = shop.fee("Rent", "10.00"), shop.fee("Rent", "12.00")
        self.plan = shop.plan(keyed={"units": self.old, "rent": self.rent}, **terms)

    def make(self, shop: Shop) -> None:
        """Version 2."""
        shop.mint(self.plan, units=self.new, rent=self.more)


def _totals(shop: Shop, contract: Contract) -> list[str]:
    return [each.subtotal for each in shop.invoices(contract) if each.status != "ACTIVE"]


def _use_in_both_months(shop: Shop, contract: Contract, meter: Meter) -> None:
    """3 units before the change, 4 after it, 5 in June."""
    for day, amount in (("05-10", 3), ("05-25", 4), ("06-10", 5)):
        shop.use(contract, meter, amount, f"2025-{day}")


def floating_follows_at_the_boundary(shop: Shop) -> Telling:
    """10.00; May 7 x 1.00 and June's rent of 12.00: 19.00; June 5 x 2.00 + 12.00 = 22.00."""
    change = _Change(shop)
    contract = shop.subscribe(change.plan)
    _use_in_both_months(shop, contract, change.old)
    yield CHANGED
    change.make(shop)
    assert shop.bills(contract)[1] == "ACTIVE 19.00 + 0.00 = 19.00"
    yield SECOND
    assert _totals(shop, contract) == ["10.00", "19.00", "22.00"]


def pinned_stays(shop: Shop) -> Telling:
    """10.00; 7 x 1.00 + 10.00 = 17.00; 5 x 1.00 + 10.00 = 15.00."""
    change = _Change(shop)
    contract = shop.subscribe(change.plan, version_policy="pinned")
    _use_in_both_months(shop, contract, change.old)
    yield CHANGED
    change.make(shop)
    yield SECOND
    assert _totals(shop, contract) == ["10.00", "17.00", "15.00"]


def immediate_takes_the_whole_month(shop: Shop) -> Telling:
    """All 7 units of May at 2.00, and June's rent of 12.00: 26.00. May's 10.00 stay paid."""
    change = _Change(shop, version_transition=IMMEDIATE)
    contract = shop.subscribe(change.plan)
    _use_in_both_months(shop, contract, change.old)
    yield CHANGED
    assert shop.bills(contract)[1] == "ACTIVE 17.00 + 0.00 = 17.00"
    change.make(shop)
    assert shop.bills(contract)[1] == "ACTIVE 26.00 + 0.00 = 26.00"
    yield SECOND
    assert _totals(shop, contract) == ["10.00", "26.00", "22.00"]


def immediate_does_not_move_who_is_pinned(shop: Shop) -> Telling:
    """A pinned subscription of the same plan: 17.00 and 15.00 as before."""
    change = _Change(shop, version_transition=IMMEDIATE)
    contract = shop.subscribe(change.plan, version_policy="pinned")
    _use_in_both_months(shop, contract, change.old)
    yield CHANGED
    change.make(shop)
    yield SECOND
    assert _totals(shop, contract) == ["10.00", "17.00", "15.00"]


def a_change_that_is_taken_back(shop: Shop) -> Telling:
    """Version 2 on 20 May, version 1 again on 25 May: 17.00 and 15.00, as if nothing had been."""
    change = _Change(shop)
    contract = shop.subscribe(change.plan)
    _use_in_both_months(shop, contract, change.old)
    yield CHANGED
    change.make(shop)
    yield at("2025-05-25")
    shop.client.plans.transition_plan_version(id=change.plan, version_number=1, default=True)
    yield SECOND
    assert _totals(shop, contract) == ["10.00", "17.00", "15.00"]


def who_comes_after_the_change(shop: Shop) -> Telling:
    """Subscribed on 20 May under version 2: 12.00 at once; 4 x 2.00 + 12.00 = 20.00 on 20 June."""
    change = _Change(shop)
    yield CHANGED
    change.make(shop)
    contract = shop.subscribe(change.plan)
    assert contract.first.version_number == 2
    shop.use(contract, change.new, 4, "2025-05-25")
    yield SECOND
    assert _totals(shop, contract) == ["12.00", "20.00"]


def a_meter_that_is_added(shop: Shop) -> Telling:
    """Version 2 also sells seats at 3.00: 2 used in May are not owed, 4 in June are: 12.00."""
    units, seats = shop.meter("Units", "1"), shop.meter("Seats", "3")
    plan = shop.plan(keyed={"units": units})
    contract = shop.subscribe(plan)
    shop.use(contract, units, 7, "2025-05-10")
    shop.use(contract, seats, 2, "2025-05-25")
    shop.use(contract, seats, 4, "2025-06-10")
    yield CHANGED
    shop.mint(plan, units=units, seats=seats)
    yield SECOND
    assert _totals(shop, contract) == ["7.00", "12.00"]


def a_meter_and_a_fee_that_are_dropped(shop: Shop) -> Telling:
    """Version 2 sells the second meter only: May 7 x 1.00 + 2 x 3.00 = 13.00, no rent for June.

    June: 4 x 3.00 = 12.00; the 5 units of the first meter are owed by nobody.
    """
    units, seats = shop.meter("Units", "1"), shop.meter("Seats", "3")
    rent = shop.fee("Rent", "10.00")
    plan = shop.plan(keyed={"units": units, "seats": seats, "rent": rent})
    contract = shop.subscribe(plan)
    _use_in_both_months(shop, contract, units)
    shop.use(contract, seats, 2, "2025-05-10")
    shop.use(contract, seats, 4, "2025-06-10")
    yield CHANGED
    shop.mint(plan, seats=seats)
    yield SECOND
    assert _totals(shop, contract) == ["10.00", "13.00", "12.00"]


def rent_in_arrears_belongs_to_its_month(shop: Shop) -> Telling:
    """10.00 in arrears, 12.00 from version 2: May owes 10.00, June 12.00."""
    old, new = (shop.fee("Rent", amount, term="in_arrears") for amount in ("10.00", "12.00"))
    plan = shop.plan(keyed={"rent": old})
    contract = shop.subscribe(plan)
    yield CHANGED
    shop.mint(plan, rent=new)
    yield SECOND
    assert _totals(shop, contract) == ["10.00", "12.00"]


def terminated_after_the_change(shop: Shop) -> Telling:
    """Terminated on 25 May, before version 2 takes effect: 7 x 1.00 = 7.00."""
    change = _Change(shop)
    contract = shop.subscribe(change.plan)
    _use_in_both_months(shop, contract, change.old)
    yield CHANGED
    change.make(shop)
    yield at("2025-05-25T12:00")
    shop.terminate(contract)
    yield BOUNDARY
    assert _totals(shop, contract) == ["10.00", "7.00"]


def moved_at_the_next_boundary(shop: Shop) -> Telling:
    """Pinned to version 1, and moved by its merchant: 10.00; 7 x 1.00 + 12.00 = 19.00.

    In June it is moved back: 5 x 2.00, and July's rent is 10.00 again: 20.00.
    """
    change = _Change(shop)
    contract = shop.subscribe(change.plan, version_policy="pinned")
    _use_in_both_months(shop, contract, change.old)
    yield CHANGED
    change.make(shop)
    moved = _move(shop, contract, 2)
    assert (moved.effective_at, moved.changed) == (BOUNDARY, True)
    assert shop.bills(contract)[1] == "ACTIVE 19.00 + 0.00 = 19.00"
    yield at("2025-06-15")
    _move(shop, contract, 1)
    yield SECOND
    assert _totals(shop, contract) == ["10.00", "19.00", "20.00"]


def moved_at_once(shop: Shop) -> Telling:
    """All of May's units at 2.00, and June's rent: 7 x 2.00 + 12.00 = 26.00; 5 x 2.00 + 12.00."""
    change = _Change(shop)
    contract = shop.subscribe(change.plan)
    _use_in_both_months(shop, contract, change.old)
    yield CHANGED
    _move(shop, contract, 1)
    change.make(shop)
    assert shop.bills(contract)[1] == "ACTIVE 17.00 + 0.00 = 17.00"
    moved = _move(shop, contract, 2, timing="immediate")
    assert (moved.effective_at, moved.entitlements_effective_at) == (BOUNDARY, CHANGED)
    assert shop.bills(contract)[1] == "ACTIVE 26.00 + 0.00 = 26.00"
    yield SECOND
    assert _totals(shop, contract) == ["10.00", "26.00", "22.00"]


def _move(shop: Shop, contract: Contract, number: int, **timing: Any) -> Migration:
    return shop.client.subscriptions.migrate_subscription_version(
        id=contract.id, target_version_number=number, **timing
    ).migration


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
