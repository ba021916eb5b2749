"""Allowances burned down, worked by hand."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from billing.allowances import (
    AllowanceTerms,
    Burned,
    Entitled,
    Grant,
    Used,
    begins,
    burned,
    compared,
    cuts,
)
from billing.durations import Duration
from billing.errors import InvalidValue
from billing.periods import Period

START = datetime(2026, 1, 1, tzinfo=UTC)
MONTH = Duration(months=1)
SOFT = AllowanceTerms(start=START, end=None, is_soft=True, anchor=START, every=MONTH)
HARD = replace(SOFT, is_soft=False)
HUNDRED = Grant(
    amount=Decimal(100),
    effective_at=START,
    is_issued_at_resets=True,
    rollover_max=Decimal(0),
)


def day(month: int, number: int = 1) -> datetime:
    return datetime(2026, month, number, tzinfo=UTC)


JANUARY = Period(START, day(2))
FEBRUARY = Period(day(2), day(3))
MARCH = Period(day(3), day(4))


def divided(entitled: Entitled, window: Period, *happened: tuple[datetime, int]) -> Burned:
    """The window, where so much was used at these instants."""
    span = Period(min(begins(entitled, window), window.start), window.end)
    instants = sorted({*cuts(entitled, span), window.start})
    used = [
        Used(Period(start, end), Decimal(sum(n for at, n in happened if start <= at < end)), 1)
        for start, end in pairwise(instants)
    ]
    return burned(entitled, used, window)


def parts(found: Burned) -> tuple[int, ...]:
    return tuple(int(each) for each in (found.covered, found.billed, found.forgone))


@pytest.mark.parametrize(
    ("terms", "used", "expected"),
    [
        (SOFT, 125, (100, 25, 0)),
        (SOFT, 100, (100, 0, 0)),
        (SOFT, 40, (40, 0, 0)),
        (HARD, 125, (100, 0, 25)),
        (HARD, 0, (0, 0, 0)),
    ],
)
def test_usage_is_covered_up_to_the_grants(
    terms: AllowanceTerms, used: int, expected: tuple[int, ...]
) -> None:
    entitled = Entitled([terms], [HUNDRED])
    assert parts(divided(entitled, JANUARY, (day(1, 5), used))) == expected


def test_the_least_priority_burns_first_then_what_expires_first() -> None:
    """Of 30 late and 20 soon to expire, 25 are used: 20 and 5; after the expiry 25 are left."""
    late = Grant(amount=Decimal(30), effective_at=START)
    soon = replace(late, amount=Decimal(20), expires_at=day(1, 10))
    terms = replace(SOFT, every=None)
    entitled = Entitled([terms], [late, soon])
    assert parts(divided(entitled, JANUARY, (day(1, 5), 25), (day(1, 12), 26))) == (50, 1, 0)
    # The later one first, by its priority: 25 of 30, so that 5 are left when the other expires.
    first = replace(late, priority=-1)
    entitled = Entitled([terms], [first, soon])
    assert parts(divided(entitled, JANUARY, (day(1, 5), 25), (day(1, 12), 26))) == (30, 21, 0)


@pytest.mark.parametrize(
    ("most", "least", "left"),
    [("0", "0", 0), ("30", "0", 30), ("30", "50", 30), (None, "0", 60), (None, "80", 80)],
)
def test_a_reset_carries_what_the_formula_says(most: str | None, least: str, left: int) -> None:
    """40 of 100 are used in January; February's 300 are held against what is carried and 100."""
    grant = replace(
        HUNDRED,
        rollover_max=None if most is None else Decimal(most),
        rollover_min=Decimal(least),
    )
    entitled = Entitled([SOFT], [grant])
    found = divided(entitled, FEBRUARY, (day(1, 5), 40), (day(2, 5), 300))
    assert parts(found) == (100 + left, 200 - left, 0)


def test_overage_that_nobody_paid_may_be_taken_off_the_next_grant() -> None:
    """130 used of 100, hard: 30 are forgone, and February has 70 left where they are preserved."""
    for preserves, expected in ((True, (70, 0, 30)), (False, (100, 0, 0))):
        entitled = Entitled([replace(HARD, preserves_overage=preserves)], [HUNDRED])
        assert parts(divided(entitled, FEBRUARY, (day(1, 5), 130), (day(2, 5), 100))) == expected


def test_overage_that_was_billed_is_settled() -> None:
    """The same above a soft limit: 30 were billed in January, and February has its 100."""
    entitled = Entitled([replace(SOFT, preserves_overage=True)], [HUNDRED])
    found = divided(entitled, FEBRUARY, (day(1, 5), 130), (day(2, 5), 100))
    assert parts(found) == (100, 0, 0)


def test_a_correction_undoes_the_overage_first() -> None:
    """120 used and 30 taken back before the month is over: 90, none above, 10 left for 15 more."""
    entitled = Entitled([replace(SOFT, every=Duration(days=7))], [replace(HUNDRED)])
    weeks = Period(START, day(1, 8))
    assert parts(divided(entitled, weeks, (day(1, 2), 120), (day(1, 3), -30))) == (90, 0, 0)
    terms = replace(SOFT, every=None)
    cut = Grant(amount=Decimal(0), effective_at=day(1, 10))
    entitled = Entitled([terms], [replace(HUNDRED, is_issued_at_resets=False), cut])
    found = divided(entitled, JANUARY, (day(1, 2), 120), (day(1, 10), -30))
    assert parts(found) == (90, 0, 0)


def test_usage_outside_of_the_terms_is_billed() -> None:
    entitled = Entitled(
        [replace(SOFT, start=day(1, 10), end=day(1, 20))],
        [replace(HUNDRED, effective_at=day(1, 10), voided_at=day(1, 20))],
    )
    found = divided(entitled, JANUARY, (day(1, 5), 7), (day(1, 15), 8), (day(1, 25), 9))
    assert parts(found) == (8, 16, 0)


def test_other_terms_bring_their_own_grant() -> None:
    """Until the 16th 100, then 40, hard: 120 and 50 are 140 covered, 20 billed, 10 forgone."""
    changed = day(1, 16)
    entitled = Entitled(
        [replace(SOFT, end=changed), replace(HARD, start=changed)],
        [
            replace(HUNDRED, voided_at=changed),
            replace(HUNDRED, effective_at=changed, amount=Decimal(40)),
        ],
    )
    found = divided(entitled, JANUARY, (day(1, 5), 120), (day(1, 20), 50))
    assert parts(found) == (140, 20, 10)


def test_other_terms_begin_without_the_overage_of_the_old() -> None:
    """130 of 100, hard, then 40 of 40 under new terms, hard too: 30 are forgone, and no more."""
    changed = day(1, 16)
    for preserves in (True, False):
        entitled = Entitled(
            [
                replace(HARD, end=changed, preserves_overage=preserves),
                replace(HARD, start=changed, preserves_overage=preserves),
            ],
            [
                replace(HUNDRED, voided_at=changed),
                replace(HUNDRED, effective_at=changed, amount=Decimal(40)),
            ],
        )
        found = divided(entitled, JANUARY, (day(1, 5), 130), (day(1, 20), 40))
        assert parts(found) == (140, 0, 30)


def test_units_that_come_later_make_good_what_was_above_in_the_same_period() -> None:
    """130 of 100, hard: of 50 granted on the 10th 30 are used up already, as a balance has it."""
    later = Grant(amount=Decimal(50), effective_at=day(1, 10))
    entitled = Entitled([HARD], [HUNDRED, later])
    found = divided(entitled, JANUARY, (day(1, 5), 130), (day(1, 12), 25))
    assert parts(found) == (120, 0, 35)


def test_only_what_may_matter_is_looked_at() -> None:
    carrying = replace(HUNDRED, rollover_max=Decimal(10))
    assert begins(Entitled([SOFT], [HUNDRED]), MARCH) == MARCH.start
    assert begins(Entitled([SOFT], [carrying]), MARCH) == START
    assert begins(Entitled([replace(SOFT, every=Duration(months=12))], [HUNDRED]), MARCH) == START


def test_a_level_is_held_against_the_amounts() -> None:
    """12 seats of 10, and 9 of 10: nothing is used up."""
    entitled = Entitled([SOFT], [replace(HUNDRED, amount=Decimal(10))])
    assert parts(compared(entitled, Decimal(12), 3, JANUARY)) == (10, 2, 0)
    assert parts(compared(entitled, Decimal(9), 3, FEBRUARY)) == (9, 0, 0)
    hard = replace(entitled, terms=[HARD])
    assert parts(compared(hard, Decimal(12), 3, JANUARY)) == (10, 0, 2)
    assert parts(compared(Entitled([], []), Decimal(12), 3, JANUARY)) == (0, 12, 0)


def test_a_grant_may_recur_by_itself() -> None:
    """10 every ten days without a limit on what is carried: 40 by 31 January."""
    grant: Any = Grant(amount=Decimal(10), effective_at=START, every=Duration(days=10))
    entitled = Entitled([replace(SOFT, every=None)], [grant])
    assert parts(divided(entitled, JANUARY, (day(1, 31), 45))) == (40, 5, 0)


def test_terms_that_change_too_often_are_refused() -> None:
    minutes = replace(SOFT, every=Duration(seconds=60))
    with pytest.raises(InvalidValue, match="too often"):
        cuts(Entitled([minutes], []), Period(START, datetime(2027, 1, 1, tzinfo=UTC)))
