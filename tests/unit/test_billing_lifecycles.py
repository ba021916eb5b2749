"""Examples of subscription states, dunning dates, holds, revenue buckets and derived ids."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from billing.dunning import RETRY_DAYS, next_attempt_at
from billing.durations import Duration
from billing.entitlements import (
    HoldState,
    PricedQuantity,
    check_resolution,
    is_usable,
    remaining,
    reservation_cost,
)
from billing.errors import BillingError, Conflict, InvalidValue, NotFound
from billing.ids import derived_id, has_prefix
from billing.periods import Period
from billing.revenue import BucketWidth, buckets, net_revenue
from billing.subscriptions import State, check_transition, first_window
from billing.taxes import TaxedAmount


def at(month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


class TestSubscriptions:
    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("pending_payment", "active"),
            ("pending_payment", "terminated"),
            ("active", "terminated"),
        ],
    )
    def test_steps(self, old: State, new: State) -> None:
        check_transition(old, new)

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("terminated", "active"),
            ("terminated", "terminated"),
            ("active", "pending_payment"),
            ("active", "active"),
        ],
    )
    def test_steps_that_there_are_not(self, old: State, new: State) -> None:
        with pytest.raises(Conflict) as refusal:
            check_transition(old, new)
        assert refusal.value.code == "CONFLICT"
        assert refusal.value.details == {"from": old, "to": new}

    @pytest.mark.parametrize(
        ("started_at", "end"),
        [(at(1, 1), at(2, 1)), (at(1, 16), at(2, 1)), (at(2, 1), at(3, 1))],
    )
    def test_the_first_window_ends_at_the_next_boundary(
        self, started_at: datetime, end: datetime
    ) -> None:
        window = first_window(started_at, at(1, 1), Duration(months=1))
        assert window == Period(started_at, end)


def test_dunning_counts_from_the_first_failure() -> None:
    failed = at(3, 1, 10, 30)
    found = [next_attempt_at(failed, attempt) for attempt in range(1, 6)]
    assert found == [at(3, 2, 10, 30), at(3, 4, 10, 30), at(3, 6, 10, 30), at(3, 8, 10, 30), None]
    assert len(RETRY_DAYS) == 4


class TestHolds:
    def test_the_cost_is_priced_and_taxed_to_the_billionth(self) -> None:
        """3 x 0.002 and 2 x 0.25 (its own price) are 0.506; 10 % on it 0.0506."""
        cost = reservation_cost(
            [
                PricedQuantity("standard", {"unitPrice": "0.002"}, Decimal(3), Decimal("0.1")),
                PricedQuantity(
                    "dynamic",
                    {"minPrice": "0.1", "maxPrice": "0.5"},
                    Decimal(2),
                    Decimal("0.1"),
                    price=Decimal("0.25"),
                ),
            ],
            "exclusive",
        )
        assert cost == TaxedAmount(Decimal("0.506"), Decimal("0.0506"), Decimal("0.5566"))

    def test_less_than_a_billionth_is_rounded_half_up(self) -> None:
        tiny = PricedQuantity(
            "standard", {"unitPrice": "0.0000000015"}, Decimal(1), Decimal(0), in_scope=False
        )
        assert reservation_cost([tiny], "exclusive").total == Decimal("0.000000002")
        assert reservation_cost([], "exclusive").total == 0

    def test_only_a_dynamic_price_is_brought_along(self) -> None:
        item = PricedQuantity(
            "standard", {"unitPrice": "1"}, Decimal(1), Decimal(0), price=Decimal(2)
        )
        with pytest.raises(InvalidValue) as refusal:
            reservation_cost([item], "exclusive")
        assert refusal.value.field == "price"

    def test_remaining(self) -> None:
        assert remaining(Decimal(5), Decimal(2)) == 3
        assert remaining(Decimal(5), Decimal(5)) == 0
        with pytest.raises(InvalidValue, match="More was consumed"):
            remaining(Decimal(5), Decimal(6))

    def test_a_hold_past_its_expiry_is_none_whoever_has_noticed(self) -> None:
        assert is_usable("reserved", at(1, 2), at(1, 1, 23))
        assert not is_usable("reserved", at(1, 2), at(1, 2))
        assert not is_usable("consumed", at(1, 2), at(1, 1))

    @pytest.mark.parametrize("new", ["consumed", "released", "expired"])
    def test_a_hold_ends_once(self, new: HoldState) -> None:
        check_resolution("reserved", new)
        with pytest.raises(Conflict, match="already"):
            check_resolution(new, new)
        with pytest.raises(Conflict, match="already"):
            check_resolution(new, "released")

    def test_to_stay_reserved_is_no_end(self) -> None:
        with pytest.raises(Conflict, match="ends consumed"):
            check_resolution("reserved", "reserved")


class TestRevenue:
    def test_net(self) -> None:
        assert net_revenue([Decimal("49.00"), Decimal("51.00")], [Decimal("49.00")]) == 51
        assert net_revenue([], []) == 0

    @pytest.mark.parametrize(
        ("width", "start", "end", "edges"),
        [
            (
                "hour",
                at(1, 1, 10, 30),
                at(1, 1, 12),
                [at(1, 1, 10, 30), at(1, 1, 11), at(1, 1, 12)],
            ),
            (
                "day",
                at(1, 1, 12),
                at(1, 3, 6),
                [at(1, 1, 12), at(1, 2), at(1, 3), at(1, 3, 6)],
            ),
            # 1 January 2026 is a Thursday; weeks begin on Monday the 5th and 12th.
            ("week", at(1, 1), at(1, 12), [at(1, 1), at(1, 5), at(1, 12)]),
            ("week", at(1, 5), at(1, 6), [at(1, 5), at(1, 6)]),
            ("day", at(1, 1), at(1, 1), []),
        ],
    )
    def test_buckets_cut_the_range_at_utc_edges(
        self, width: BucketWidth, start: datetime, end: datetime, edges: list[datetime]
    ) -> None:
        expected = [Period(a, b) for a, b in pairwise(edges)]
        assert buckets(start, end, width) == expected

    @pytest.mark.parametrize(("width", "days"), [("hour", 31), ("day", 366), ("week", 366)])
    def test_the_range_has_a_maximum(self, width: BucketWidth, days: int) -> None:
        start, end = at(1, 1), Duration(days=days).after(at(1, 1))
        assert buckets(start, end, width)[-1].end == end
        with pytest.raises(InvalidValue) as refusal:
            buckets(start, Duration(seconds=1).after(end), width)
        assert refusal.value.field == "endTime"


class TestIds:
    def test_the_same_parts_give_the_same_id(self) -> None:
        assert derived_id("inv", "sub_1", 3) == derived_id("inv", "sub_1", 3)
        assert derived_id("inv", "sub_1", 3) == derived_id("inv", "sub_1", "3")
        assert derived_id("inv", "ab", "c") != derived_id("inv", "a", "bc")
        assert derived_id("inv", "a") != derived_id("pay", "a").replace("pay_", "inv_")

    def test_the_form_is_the_contract_s(self) -> None:
        made = derived_id("inv", "sub_1", 3)
        assert len(made) == len("inv_") + 32
        assert set(made.removeprefix("inv_")) <= set("0123456789abcdef")
        assert has_prefix(made, "inv")

    @pytest.mark.parametrize("value", ["sub_1", "inv_", "inv", "inv_a b", "inv_a\n", "INV_1", ""])
    def test_other_forms(self, value: str) -> None:
        assert not has_prefix(value, "inv")


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (InvalidValue("No", field="name"), "INVALID_VALUE"),
        (NotFound("No such product", details={"id": "prod_1"}), "NOT_FOUND"),
    ],
)
def test_refusals_carry_a_stable_code(refusal: BillingError, code: str) -> None:
    details: dict[str, Any] = {"id": "prod_1"} if code == "NOT_FOUND" else {}
    assert (refusal.code, refusal.details) == (code, details)
    assert str(refusal) == refusal.message
