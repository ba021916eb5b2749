"""By which cycles a subscription is billed, and by which it was; it knows no plans and no rows.

Cycles are an anchor and a cadence. A plan of another cadence brings others: what was billed before
keeps its own, whatever comes after it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from billing.durations import Duration, parse_duration
from billing.periods import Period, period_at


@dataclass(frozen=True, slots=True)
class Cycles:
    """Boundaries lie at the anchor and every cadence before and after it."""

    anchor: datetime
    cadence: Duration

    def at(self, instant: datetime) -> Period:
        """The whole cycle that holds the instant."""
        return period_at(self.anchor, self.cadence, instant)


@dataclass(frozen=True, slots=True)
class PlanCycles:
    """How often a plan is billed, and the anchor where it has one of its own."""

    cadence: Duration
    anchor: datetime | None = None

    def following(self, running: Cycles, at: datetime) -> Cycles:
        """The cycles of a subscription that is billed by the plan from `at` on.

        Of the same cadence they go on. Else the anchor is the plan's; without one it stays if a
        cycle of the plan begins at `at` by it, which keeps a 31st, and is `at` if none does.
        """
        if self.cadence == running.cadence:
            return running
        if self.anchor is not None:
            return Cycles(self.anchor, self.cadence)
        kept = Cycles(running.anchor, self.cadence)
        return kept if kept.at(at).start == at else Cycles(at, self.cadence)


@dataclass(frozen=True, slots=True)
class EarlierCycles:
    """Cycles that have ended, when they did, and the number of the invoice whose window did."""

    cycles: Cycles
    until: datetime
    last_number: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """The cycles of a subscription over time; the earlier ones in their order."""

    current: Cycles
    earlier: Sequence[EarlierCycles] = ()

    @property
    def ended(self) -> list[Cycles]:
        """The earlier cycles."""
        return [each.cycles for each in self.earlier]

    def at(self, instant: datetime) -> Cycles:
        """Those that counted at an instant; where they changed, those that came."""
        found = (each.cycles for each in self.earlier if instant < each.until)
        return next(found, self.current)

    def of_window(self, number: int) -> Cycles:
        """Those of the window that ended with an invoice, by the invoice's number.

        An instant does not tell: what was changed at a boundary leaves two windows there.
        """
        found = (each.cycles for each in self.earlier if number <= each.last_number)
        return next(found, self.current)

    def of_coming(self, number: int) -> Cycles:
        """Those of the window that came after it."""
        found = (each.cycles for each in self.earlier if number < each.last_number)
        return next(found, self.current)

    def period_at(self, instant: datetime, cadence: Duration | None = None) -> Period:
        """The period that holds the instant: a cycle, as far as its cycles counted.

        `cadence`: of cycles that are not the plan's and have its anchor.
        """
        cycles = self.at(instant)
        cycle = period_at(cycles.anchor, cadence or cycles.cadence, instant)
        since = max((e.until for e in self.earlier if e.until <= instant), default=cycle.start)
        until = min((e.until for e in self.earlier if instant < e.until), default=cycle.end)
        return Period(max(cycle.start, since), min(cycle.end, until))

    def moved(self, to: Cycles, at: datetime, number: int) -> "Timeline":
        """The same with other cycles from an instant on, where an invoice's window ended."""
        ended = EarlierCycles(self.current, at, number)
        return replace(self, current=to, earlier=(*self.earlier, ended))


def cycles_documents(earlier: Sequence[EarlierCycles]) -> list[dict[str, Any]]:
    """What a subscription keeps of its earlier cycles."""
    return [
        {
            "anchor": each.cycles.anchor.isoformat(),
            "cadence": each.cycles.cadence.text(),
            "until": each.until.isoformat(),
            "last_number": each.last_number,
        }
        for each in earlier
    ]


def kept_cycles(documents: Sequence[Mapping[str, Any]]) -> tuple[EarlierCycles, ...]:
    """The earlier cycles that it kept."""
    return tuple(
        EarlierCycles(
            Cycles(datetime.fromisoformat(each["anchor"]), parse_duration(each["cadence"])),
            datetime.fromisoformat(each["until"]),
            each["last_number"],
        )
        for each in documents
    )


def plan_cycles_document(plan: PlanCycles) -> dict[str, Any]:
    """What a subscription keeps of the cycles of a plan that it is to move to."""
    anchor = None if plan.anchor is None else plan.anchor.isoformat()
    return {"cadence": plan.cadence.text(), "anchor": anchor}


def kept_plan_cycles(document: Mapping[str, Any]) -> PlanCycles:
    """The cycles of the plan that it is to move to."""
    anchor = document["anchor"]
    return PlanCycles(
        parse_duration(document["cadence"]),
        None if anchor is None else datetime.fromisoformat(anchor),
    )
