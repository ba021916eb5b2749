"""What invoices must say, worked out slowly from a subscription's whole life; it asks no server.

It shares no code with the product: fractions, plain lists of events, one pass over the windows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from math import floor

from tests.scenario.amounts import MINOR, amount, bounded, half_up, left, reading, waived
from tests.scenario.lives import Deal, Life, Price, Span, cycles, share
from tests.scenario.timeline import Plot, Step, Timeline


@dataclass(frozen=True)
class Line:
    """One line: what, for when, how much without and with tax, unrounded."""

    name: str
    span: Span
    price: Fraction
    tax: Fraction


@dataclass
class Bill:
    """One invoice."""

    plot: Plot
    lines: list[Line] = field(default_factory=list)
    is_cut: bool = False
    """Whether a credit is on it: only its sums are to be compared."""

    def exact(self) -> tuple[Fraction, Fraction]:
        """Price and tax, unrounded."""
        net = sum((each.price for each in self.lines), Fraction(0))
        return net, sum((each.tax for each in self.lines), Fraction(0))

    def due(self, life: Life) -> tuple[Fraction, Fraction]:
        """Subtotal and tax as they are owed; of two ties inside a price only the tax goes up."""
        unit = Fraction(1, 10 ** MINOR[life.currency])
        net, tax = (each / unit for each in self.exact())
        is_down = life.inclusive and net % 1 == Fraction(1, 2) == tax % 1
        return (Fraction(floor(net)) if is_down else half_up(net)) * unit, half_up(tax) * unit


@dataclass
class Metered:
    """What has been billed of a meter and a window."""

    price: Price
    span: Span
    deals: list[Deal]
    billed: Fraction


@dataclass
class Ahead:
    """What was paid in advance for a time and is not given back."""

    price: Price
    span: Span
    paid: Fraction


@dataclass
class Oracle:
    """The invoices of one life, as they stand at an instant."""

    life: Life
    now: datetime
    metered: list[Metered] = field(default_factory=list)
    ahead: list[Ahead] = field(default_factory=list)
    carried: Fraction = Fraction(0)
    """What an invoice could not give back; tax inside or on top as in all amounts."""

    def bills(self) -> list[Bill]:
        """All invoices in their order; the last ones may be open."""
        found: list[Bill] = []
        for plot in Timeline(self.life, self.now).plots():
            bill = Bill(plot)
            is_oldest_open = all(each.plot.drafted <= plot.drafted for each in found)
            if is_oldest_open and any(step.ended or step.paid_until for step in plot.steps):
                self._correct(bill)
            for step in plot.steps:
                self._arrears(bill, step)
            for step in plot.steps:
                self._advance(bill, step)
            if bill.lines or not plot.is_spared:
                self._bear(bill)
                found.append(bill)
        return found

    def _add(self, bill: Bill, name: str, span: Span, total: Fraction) -> None:
        net = total / (1 + self.life.rate) if self.life.inclusive else total
        bill.lines.append(Line(name, span, net, net * self.life.rate))

    def _bear(self, bill: Bill) -> None:
        """Cuts what is given back to what the invoice can bear; the next one bears the rest."""
        net, tax = bill.exact()
        total = (net + tax if self.life.inclusive else net) - self.carried
        credit, self.carried = self.carried, max(-total, Fraction(0))
        bill.is_cut = bool(credit) or any(each.price < 0 for each in bill.lines)
        if bill.is_cut:
            at = bill.plot.drafted
            self._add(bill, "Carried", (at, at), self.carried - credit)

    def _deals(self, price: Price, bill: Bill, end: datetime) -> list[Deal]:
        """Those that reach what is billed of a price for a time that ends here."""
        written = [each for each in self.life.deals if each.created < bill.plot.known(self.now)]
        return [
            each
            for each in written
            if each.kind == "percentageDiscount"
            or (each.target == price.name and each.since < end <= (each.until or end))
        ]

    def _fee(self, bill: Bill, price: Price, part: Span, whole: Span) -> Fraction:
        deals = self._deals(price, bill, whole[1])
        quantity = Fraction(price.quantity)
        if not price.once:
            quantity = bounded(deals, quantity)
        total = price.unit * quantity * left(deals, part)
        total *= Fraction(1) if price.obligation else share(part, whole)
        self._add(bill, price.name, part, total)
        return total

    def _advance(self, bill: Bill, step: Step) -> None:
        if step.coming is None:
            return
        for price in step.asked:
            if price.once:
                is_begun = step.is_fresh and step.paid_until is None
                if is_begun and (price.advance or step.is_change):
                    self._fee(bill, price, step.coming, step.coming)
            elif price.advance:
                for cycle in cycles(self.life.anchor, price.every, *step.coming):
                    part = max(cycle[0], step.coming[0]), cycle[1]
                    if part == cycle or _enters(price, step):
                        self._ask(bill, price, part, cycle, step.paid_until)

    def _ask(
        self, bill: Bill, price: Price, part: Span, cycle: Span, paid_until: datetime | None
    ) -> None:
        if paid_until is None or cycle[0] >= paid_until:
            self.ahead.append(Ahead(price, part, self._fee(bill, price, part, cycle)))

    def _arrears(self, bill: Bill, step: Step) -> None:
        if step.ended is None:
            return
        if step.is_change:
            self._give_back(bill, step.ended[1])
        for price in step.prices:
            if price.once:
                if not price.advance and step.ended[0] == self.life.start:
                    self._fee(bill, price, step.ended, step.ended)
            elif price.reads or not price.advance:
                self._cycles(bill, price, step, step.ended)

    def _cycles(self, bill: Bill, price: Price, step: Step, window: Span) -> None:
        """A price's cycles that end with the window, or are cut there."""
        since = step.used_from if price.reads else step.runs_from
        for cycle in cycles(self.life.anchor, price.every, since or window[0], window[1]):
            begin, end = max(cycle[0], since or cycle[0]), cycle[1]
            if step.is_cut:
                end = min(end, window[1])
            is_over = end < cycle[1] or window[0] < end <= window[1]
            if end > window[1] or not is_over:
                continue
            if price.reads:
                deals = self._deals(price, bill, end)
                used = Metered(price, (begin, end), deals, Fraction(0))
                used.billed = self._usage(used, bill.plot.known(self.now))
                self.metered.append(used)
                self._add(bill, price.name, used.span, used.billed)
            elif not price.obligation or begin == cycle[0]:
                self._fee(bill, price, (begin, end), cycle)

    def _give_back(self, bill: Bill, at: datetime) -> None:
        for each in self.ahead:
            if each.paid and not each.price.obligation and each.span[1] > at:
                unused = share((max(at, each.span[0]), each.span[1]), each.span)
                self._add(bill, f"{each.price.name} (unused)", each.span, -each.paid * unused)
                each.paid = Fraction(0)

    def _usage(self, used: Metered, known: datetime) -> Fraction:
        counted = [
            each
            for each in self.life.events
            if each.type == used.price.type and used.span[0] <= each.when < used.span[1]
            if each.arrived < known
        ]
        quantity = bounded(used.deals, waived(used.deals, reading(used.price, counted)))
        return amount(used.price, quantity) * left(used.deals, used.span)

    def _correct(self, bill: Bill) -> None:
        """Reads all that was billed again, with the usage that has come since."""
        for each in self.metered:
            total = self._usage(each, bill.plot.known(self.now))
            if total != each.billed:
                name = f"{each.price.name} (late usage)"
                self._add(bill, name, each.span, total - each.billed)
                each.billed = total


def _enters(price: Price, step: Step) -> bool:
    """Whether a cycle is asked for that runs already; an obligation waits for its next one."""
    return not price.obligation and (step.is_fresh or price.name in step.entering)
