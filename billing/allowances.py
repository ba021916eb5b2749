"""How far an entitlement's grants cover usage, and what lies above them; it prices nothing.

Usage is known as sums of the stretches between the instants at which something changes: a grant
takes effect, expires or is voided, a reset comes, the terms are others. Inside a stretch the same
grants stand, so that the order of its events makes no difference.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from billing.durations import Duration
from billing.errors import InvalidValue
from billing.money import exact
from billing.periods import Period, boundary, index_at

# Eleven years by the hour; more instants are a mistake in the terms, not an allowance.
CUTS_MAX: Final = 100_000
# These add up from event to event; what the others read is a level, which is not used up.
ADDING_UP: Final = frozenset({"SUM", "COUNT"})
NOTHING: Final = Decimal(0)
NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowanceTerms:
    """What holds for a meter in [start, end): whether usage above the grants is billed, and resets.

    Resets lie at `anchor` plus k times `every`; None: there are none, what is granted lasts.
    """

    start: datetime
    end: datetime | None
    is_soft: bool
    anchor: datetime
    every: Duration | None = None
    preserves_overage: bool = False
    """Overage that nobody was billed is taken off the grants after a reset."""

    def holds_at(self, instant: datetime) -> bool:
        """Whether it is their time."""
        return self.start <= instant and (self.end is None or instant < self.end)

    def last_reset(self, instant: datetime) -> datetime | None:
        """The reset at or before the instant; None where there are none."""
        if self.every is None:
            return None
        return boundary(self.anchor, self.every, index_at(self.anchor, self.every, instant))

    def resets_in(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """The resets in [start, end), as far as these terms hold."""
        if self.every is None:
            return
        start, end = max(start, self.start), min(end, self.end or NEVER)
        index = index_at(self.anchor, self.every, start)
        while (instant := boundary(self.anchor, self.every, index)) < end:
            if instant >= start:
                yield instant
            index += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Units that may be used while it stands: in [effective_at, expires_at), until it is voided."""

    amount: Decimal
    effective_at: datetime
    expires_at: datetime | None = None
    voided_at: datetime | None = None
    priority: int = 0
    is_issued_at_resets: bool = False
    """The amount is granted again at each reset."""
    every: Duration | None = None
    """It is granted again by a time of its own."""
    rollover_max: Decimal | None = None
    """What a reset leaves of it at most; None: no limit."""
    rollover_min: Decimal = NOTHING

    @property
    def ends_at(self) -> datetime:
        """From when on it stands no longer."""
        return min(self.expires_at or NEVER, self.voided_at or NEVER)

    def stands_at(self, instant: datetime) -> bool:
        """Whether its units may be used."""
        return self.effective_at <= instant < self.ends_at

    def carried(self, left: Decimal) -> Decimal:
        """What a reset leaves of what is left (the contract's formula)."""
        kept = max(left, self.rollover_min)
        return kept if self.rollover_max is None else min(self.rollover_max, kept)

    def is_granted_again_at(self, instant: datetime) -> bool:
        """Whether its own time of recurrence has come."""
        if self.every is None or instant <= self.effective_at:
            return False
        index = index_at(self.effective_at, self.every, instant)
        return boundary(self.effective_at, self.every, index) == instant

    def is_new_at_resets(self) -> bool:
        """Whether a reset leaves it the same, whatever was used before."""
        return self.is_issued_at_resets and self.rollover_max == 0


@dataclass(frozen=True, slots=True)
class Entitled:
    """An entitlement to what a meter reads: its terms in their order, its grants by creation."""

    terms: Sequence[AllowanceTerms]
    grants: Sequence[Grant]

    def terms_at(self, instant: datetime) -> AllowanceTerms | None:
        """What holds at an instant; None: no allowance, and all usage is billed."""
        return next((each for each in self.terms if each.holds_at(instant)), None)


@dataclass(frozen=True, slots=True)
class Used:
    """What a meter reads of a stretch."""

    time: Period
    quantity: Decimal
    event_count: int = 0


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch in which something was used: what the grants still held, and what they covered."""

    time: Period
    used: Decimal
    available: Decimal
    covered: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Burned:
    """The usage of a window, divided; covered, billed and forgone sum to it (to none below zero).

    `billed` is overage above a soft limit, and usage when there was no allowance; `forgone` is
    overage above a hard limit. `since` is the instant from which on usage was looked at.
    """

    since: datetime
    usage: Decimal
    covered: Decimal
    billed: Decimal
    forgone: Decimal
    event_count: int = 0
    stretches: tuple[Stretch, ...] = ()


def begins(entitled: Entitled, window: Period) -> datetime:
    """Since when usage decides what the window's grants still hold."""
    first = min((each.start for each in entitled.terms), default=window.start)
    first = min((first, *(each.effective_at for each in entitled.grants)))
    if window.start <= first:
        return window.start
    terms = entitled.terms_at(window.start)
    since, is_reset = window.start, False
    if terms is not None:
        reset = terms.last_reset(window.start)
        is_reset = reset is not None and reset >= terms.start
        since = reset if reset is not None and is_reset else terms.start
    is_owing = terms is not None and terms.preserves_overage
    old = (each for each in entitled.grants if each.effective_at < since and each.stands_at(since))
    if is_owing or any(not (is_reset and each.is_new_at_resets()) for each in old):
        return first
    return since


def cuts(entitled: Entitled, span: Period) -> list[datetime]:
    """The instants in the span at which something changes, its start and end with them."""
    found = {span.start, span.end}

    def keep(instants: Iterable[datetime | None]) -> None:
        found.update(each for each in instants if each is not None and span.contains(each))
        if len(found) > CUTS_MAX:
            raise InvalidValue("The allowance changes too often", field="usagePeriod.interval")

    for terms in entitled.terms:
        keep((terms.start, terms.end))
        for instant in terms.resets_in(span.start, span.end):
            keep((instant,))
    for grant in entitled.grants:
        keep((grant.effective_at, grant.expires_at, grant.voided_at))
        if grant.every is not None:
            for instant in _recurrences(grant, grant.every, span):
                keep((instant,))
    return sorted(found)


def burned(entitled: Entitled, usage: Iterable[Used], window: Period) -> Burned:
    """What of a window's usage the grants cover.

    `usage` are the stretches in their order, cut where `cuts` says and at the window's bounds,
    from the instant that `begins` names, or an earlier one, to the window's end at least.
    """
    balance, since = _Balance(entitled), begins(entitled, window)
    before, tally, count = _Tally(), _Tally(), 0
    stretches: list[Stretch] = []
    for each in usage:
        if not since <= each.time.start < window.end:
            continue
        if each.time.start == window.start:
            balance.begin_window()
        is_inside = each.time.start >= window.start
        balance.turn(each.time.start)
        is_allowed = entitled.terms_at(each.time.start) is not None
        available = balance.available if is_allowed else NOTHING
        covered = tally.covered
        balance.use(each.quantity, each.time.start, tally if is_inside else before)
        if is_inside and (each.quantity or each.event_count):
            with exact():
                covered = tally.covered - covered
            stretches.append(Stretch(each.time, each.quantity, available, covered))
            count += each.event_count
    with exact():
        total = sum((each.used for each in stretches), NOTHING)
    return Burned(
        since=since,
        usage=total,
        covered=tally.covered,
        billed=tally.billed,
        forgone=tally.forgone,
        event_count=count,
        stretches=tuple(stretches),
    )


def compared(entitled: Entitled, level: Decimal, event_count: int, window: Period) -> Burned:
    """The same of a reading that does not add up (a maximum, a mean, the latest value).

    A level is not used up: all of it is held against the amounts of the grants that stand when the
    window ends, and nothing is carried from window to window.
    """
    terms = entitled.terms_at(window.last)
    used = max(level, NOTHING)
    with exact():
        standing = [each for each in entitled.grants if each.stands_at(window.last)]
        available = sum((each.amount for each in standing if terms is not None), NOTHING)
        covered = min(used, available)
        above = used - covered
    is_billed = terms is None or terms.is_soft
    return Burned(
        since=window.start,
        usage=level,
        covered=covered,
        billed=above if is_billed else NOTHING,
        forgone=NOTHING if is_billed else above,
        event_count=event_count,
        stretches=(Stretch(window, level, available, covered),),
    )


def _recurrences(grant: Grant, every: Duration, span: Period) -> Iterator[datetime]:
    start, end = max(span.start, grant.effective_at), min(span.end, grant.ends_at)
    if start >= end:
        return
    index = index_at(grant.effective_at, every, start)
    while (instant := boundary(grant.effective_at, every, index)) < end:
        yield instant
        index += 1


@dataclass(slots=True)
class _Tally:
    """What a window's usage has come to so far; `credit` is what corrections gave back too much."""

    covered: Decimal = NOTHING
    billed: Decimal = NOTHING
    forgone: Decimal = NOTHING
    credit: Decimal = NOTHING


@dataclass(slots=True)
class _Balance:
    """What is left of each grant; `spent` is what the window has used of it since the reset.

    `debt` is overage that nobody was billed for: what is granted later makes it good first.
    """

    entitled: Entitled
    left: list[Decimal] = field(init=False)
    spent: list[Decimal] = field(init=False)
    debt: Decimal = NOTHING

    def __post_init__(self) -> None:
        self.left = [NOTHING] * len(self.entitled.grants)
        self.begin_window()

    @property
    def available(self) -> Decimal:
        with exact():
            return sum(self.left, NOTHING)

    def begin_window(self) -> None:
        self.spent = [NOTHING] * len(self.entitled.grants)

    def turn(self, instant: datetime) -> None:
        """What an instant brings: a reset first, then what is granted, then what has ended."""
        terms = self.entitled.terms_at(instant)
        is_reset = terms is not None and terms.last_reset(instant) == instant
        if is_reset:
            self.begin_window()
        if terms is not None and (terms.start == instant or is_reset):
            is_owed = terms.preserves_overage and terms.start != instant
            self.debt = self.debt if is_owed else NOTHING
        with exact():
            for at, grant in enumerate(self.entitled.grants):
                if not grant.stands_at(instant):
                    self.left[at] = NOTHING
                    continue
                is_older = grant.effective_at < instant
                if is_reset and is_older:
                    self.left[at] = grant.carried(self.left[at])
                is_issued = grant.is_issued_at_resets and is_reset and is_older
                if is_issued or not is_older or grant.is_granted_again_at(instant):
                    self.left[at] += grant.amount
            self.debt -= self._take(self.debt)

    def use(self, quantity: Decimal, instant: datetime, tally: _Tally) -> None:
        """Burns what is used in the stretch that begins at the instant."""
        with exact():
            if quantity < 0:
                self._give_back(-quantity, tally)
                return
            absorbed = min(quantity, tally.credit)
            tally.credit -= absorbed
            used = quantity - absorbed
            terms = self.entitled.terms_at(instant)
            covered = NOTHING if terms is None else self._take(used, is_usage=True)
            tally.covered += covered
            if terms is None or terms.is_soft:
                tally.billed += used - covered
            else:
                tally.forgone += used - covered
                self.debt += used - covered

    def _take(self, wanted: Decimal, *, is_usage: bool = False) -> Decimal:
        """Takes from the grants in the contract's order; how much they had."""
        missing = wanted
        for at in self._order():
            taken = min(missing, self.left[at])
            self.left[at] -= taken
            missing -= taken
            if is_usage:
                self.spent[at] += taken
        return wanted - missing

    def _give_back(self, quantity: Decimal, tally: _Tally) -> None:
        """A correction undoes the window's overage first, then what its grants have covered."""
        undone = min(quantity, tally.billed)
        tally.billed -= undone
        quantity -= undone
        undone = min(quantity, tally.forgone)
        tally.forgone -= undone
        self.debt = max(self.debt - undone, NOTHING)
        quantity -= undone
        undone = min(quantity, tally.covered)
        tally.covered -= undone
        tally.credit += quantity - undone
        for at in reversed(self._order()):
            returned = min(undone, self.spent[at])
            self.left[at] += returned
            self.spent[at] -= returned
            undone -= returned

    def _order(self) -> list[int]:
        """Priority ascending, then the earliest expiry, then creation."""
        grants = self.entitled.grants
        return sorted(
            (at for at, left in enumerate(self.left) if left or self.spent[at]),
            key=lambda at: (grants[at].priority, grants[at].expires_at or NEVER, at),
        )
