"""When a life's invoices are made, and which windows each bills; it knows no amounts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from tests.scenario.lives import TICK, Act, Life, Price, Span, cycle_of

A_DAY = timedelta(hours=24)
NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Step:
    """A window that ended, with the prices that it is billed by, and the one that is asked for."""

    ended: Span | None = None
    prices: tuple[Price, ...] = ()
    runs_from: datetime | None = None
    """Since when fees in arrears are owed without a break."""
    used_from: datetime | None = None
    """The same of usage."""
    is_cut: bool = False
    coming: Span | None = None
    asked: tuple[Price, ...] = ()
    is_fresh: bool = False
    """Whether cycles that run already are asked for in part."""
    is_change: bool = False
    """Whether another plan begins: what was paid ahead is given back."""
    paid_until: datetime | None = None
    """At the end of a pause: cycles that began before this are paid."""
    entering: frozenset[str] = frozenset()
    """Prices that the version before did not have."""


@dataclass
class Plot:
    """One invoice to be: its steps, and when it is drafted."""

    steps: list[Step]
    drafted: datetime
    is_prompt: bool = False
    """Whether it is drafted by what was done at an instant, after all that was told at it."""
    is_spared: bool = False
    """Whether there is none unless it has a line."""

    def known(self, now: datetime) -> datetime:
        """Until when, exclusive, what was told counts."""
        return min(self.drafted + TICK if self.is_prompt else self.drafted, now + TICK)


@dataclass
class Timeline:
    """A subscription as it goes on, from window to window."""

    life: Life
    now: datetime
    begin: datetime = field(init=False)
    prices: tuple[Price, ...] = field(init=False)
    coming: tuple[Price, ...] = field(init=False)
    """Those that the next window bills."""
    runs_from: datetime = field(init=False)
    used_from: datetime = field(init=False)
    ends: datetime | None = field(init=False)
    acts: list[Act] = field(init=False)

    def __post_init__(self) -> None:
        life = self.life
        self.begin = self.runs_from = self.used_from = life.start
        self.prices = self.coming = life.prices
        self.ends = life.ends
        self.acts = list(life.acts)

    def plots(self) -> Iterator[Plot]:
        """All invoices, in their order, up to the one that is open."""
        if self.life.created - self.life.start > A_DAY and not self.life.elapsed:
            yield from self._joined()
        else:
            yield self._begun()
        while self.begin <= self.now:
            yield from self._window(self._next(self.begin))

    def _next(self, instant: datetime) -> datetime:
        return cycle_of(self.life.anchor, self.life.every, instant)[1]

    def _ended(self, until: datetime, *, is_cut: bool = False) -> Step:
        return Step(
            ended=(self.begin, until),
            prices=self.prices,
            runs_from=self.runs_from,
            used_from=self.used_from,
            is_cut=is_cut,
        )

    def _passed(self, end: datetime) -> Step:
        """A boundary: what ended there, and what is asked for the window that comes."""
        had = {each.name for each in self.prices}
        return replace(
            self._ended(end),
            coming=(end, self._next(end)),
            asked=self.coming,
            entering=frozenset(each.name for each in self.coming if each.name not in had),
        )

    def _joined(self) -> Iterator[Plot]:
        """A start in the past whose elapsed periods are not billed."""
        life = self.life
        self.begin = max(life.start, cycle_of(life.anchor, life.every, life.created)[0])
        at_boundary = life.start < self.begin == life.created
        if at_boundary:
            self.begin = max(life.start, cycle_of(life.anchor, life.every, self.begin - TICK)[0])
        self.used_from = self.begin
        if at_boundary:
            yield Plot([self._passed(life.created)], life.created)
            self.begin = life.created

    def _begun(self) -> Plot:
        """The first invoice: what is due at the start, and all that has elapsed since."""
        life = self.life
        first = (self.begin, self._next(self.begin))
        steps = [Step(coming=first, asked=self.prices, is_fresh=True)]
        while (end := self._next(self.begin)) <= life.created:
            steps.append(self._passed(end))
            self.begin = end
        drafted = max(life.created, life.start)
        return Plot(steps, drafted, is_spared=life.start <= life.created)

    def _window(self, end: datetime) -> Iterator[Plot]:
        """One window, up to its end or what happens before."""
        grace = self.life.grace
        act = self.acts[0] if self.acts and self.acts[0].at < end else None
        if self.ends is not None and self.ends <= end and (act is None or act.at >= self.ends):
            yield Plot([self._ended(self.ends, is_cut=True)], self.ends + grace)
            self.begin = NEVER
        elif act is None:
            yield Plot([self._passed(end)], end + grace)
            self.prices, self.begin = self.coming, end
        else:
            self.acts.pop(0)
            yield from self._acted(act, end)

    def _acted(self, act: Act, end: datetime) -> Iterator[Plot]:
        is_prompt = not self.life.grace
        drafted = act.at + self.life.grace
        match act.what:
            case "mint":
                self.coming = act.prices
            case "end_at_period_end":
                self.ends = end
            case "end":
                yield Plot([self._ended(act.at, is_cut=True)], drafted, is_prompt)
                self.begin = NEVER
            case "plan":
                cut = replace(self._ended(act.at, is_cut=True), is_change=True)
                ask = Step(coming=(act.at, end), asked=act.prices, is_fresh=True, is_change=True)
                yield Plot([cut, ask], drafted, is_prompt)
                self.prices = self.coming = act.prices
                self.begin = self.runs_from = self.used_from = act.at
            case "pause":
                yield Plot([self._ended(act.at, is_cut=True)], drafted, is_prompt)
                yield from self._resumed(end)

    def _resumed(self, end: datetime) -> Iterator[Plot]:
        """What follows a pause in a window that would have run until this end."""
        if self.ends is not None and (not self.acts or self.acts[0].at >= self.ends):
            self.acts = [Act(self.ends, "end")]
        after = self.acts.pop(0) if self.acts else Act(NEVER, "resume")
        self.begin = self.runs_from = after.at
        self.used_from = max(self.used_from, after.at)
        if after.at > self.now:
            return
        if after.what == "end":
            is_prompt = not self.life.grace and after.at != self.ends
            drafted = after.at + self.life.grace
            yield Plot([self._ended(after.at, is_cut=True)], drafted, is_prompt)
            self.begin = NEVER
        elif after.at >= end:
            self.prices = self.coming
            coming = (after.at, self._next(after.at))
            ask = Step(coming=coming, asked=self.prices, is_fresh=True, paid_until=end)
            yield Plot([ask], after.at, is_prompt=True)
