"""What many invoices of one merchant would bill, with the reads that they share done once for all.

Whatever is peculiar about an invoice is left to `drafts`, which reads it alone; both rate with the
same rules, so that it makes no difference to an amount.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from billing.periods import Period
from billing.rating import Charge
from models.billable_metrics import BillableMetric
from models.invoices import Invoice
from models.queries import drafts, invoices, peculiarities, usage_cycles, usage_tallies
from models.queries.draft_lines import Draft
from models.queries.steps import Step
from models.queries.subscription_intervals import Overlays
from models.queries.terms import PriceSet, Terms, VersionLine, price_set_of, version_lines
from models.queries.usage import Reading
from models.queries.usage_tallies import Owner, Tallies

NO_OVERLAYS = Overlays([], PriceSet([], {}, {}))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    """What falls due at a boundary; invoices whose terms and boundary are alike share it."""

    step: Step
    sets: Mapping[str, PriceSet]
    charges: Sequence[Charge]
    metered: Sequence[tuple[BillableMetric, Period]]
    """What is read by meter, and for which window."""
    windows: Collection[Period]
    """These windows, each once."""
    is_tallied: bool
    """Whether tallies say all that its meters have to, and no earlier invoice need be asked."""


@dataclass(frozen=True, slots=True)
class _Owing:
    """An invoice with what falls due on it, before any usage is read."""

    terms: Terms
    invoice: Invoice
    due: _Due

    def owners(self) -> Iterator[Owner]:
        """Whose usage is read for it, a window each."""
        for window in self.due.windows:
            yield Owner(
                customer_id=self.terms.customer.id,
                subscription_id=self.terms.subscription.id,
                external_id=self.terms.customer.external_id,
                window=window,
            )


async def of_invoices(
    session: AsyncSession, merchant_id: str, asked: Sequence[tuple[Terms, Invoice]]
) -> dict[str, Draft]:
    """What open invoices bill as of now, by their ids; one that must be read alone is left out."""
    # Before any usage is read, as `drafts` does.
    watermark = await invoices.snapshot(session)
    peculiar = await peculiarities.among(session, merchant_id, asked)
    plain = [pair for pair in asked if pair[1].id not in peculiar]
    owing = await _owing(session, merchant_id, plain)
    types = {metric.event_type for each in owing for metric, _ in each.due.metered}
    owners = [owner for each in owing for owner in each.owners()]
    tallies = await usage_tallies.tallies(session, merchant_id, owners, types)
    paths = await usage_tallies.typed_paths(session, merchant_id, types)
    found = {}
    for each in owing:
        readings = _readings(each, tallies, paths)
        if readings is not None:
            due = each.due
            facts = drafts.Facts(
                charges=due.charges, sets=due.sets, readings=readings, watermark=watermark
            )
            found[each.invoice.id] = drafts.rated(each.terms.on(each.invoice), [due.step], facts)
    return found


async def _owing(
    session: AsyncSession, merchant_id: str, asked: Sequence[tuple[Terms, Invoice]]
) -> list[_Owing]:
    steps = [drafts.step_of(terms, invoice) for terms, invoice in asked]
    version_ids = {version_id for step in steps for version_id in step.version_ids}
    lines = await version_lines(session, merchant_id, version_ids)
    shared = _Shared(lines)
    owing = [
        _Owing(terms, invoice, shared.due(terms, step))
        for (terms, invoice), step in zip(asked, steps, strict=True)
    ]
    return [each for each in owing if each.due.is_tallied]


class _Shared:
    """What invoices of the same plan versions have in common, made once."""

    def __init__(self, lines: Mapping[str, Sequence[VersionLine]]) -> None:
        self._lines = lines
        self._sets: dict[object, PriceSet] = {}
        self._due: dict[object, _Due] = {}

    def due(self, terms: Terms, step: Step) -> _Due:
        """The same for all whose boundary, schedule and taxes are the same."""
        subscription = terms.subscription
        taxed = (subscription.tax_exempt, terms.plan.id, repr(terms.customer.tax_rates))
        # The step has its cycles.
        key = (step, subscription.started_at, subscription.billing_starts_at, taxed)
        if key not in self._due:
            self._due[key] = self._found(terms, step, taxed)
        return self._due[key]

    def _found(self, terms: Terms, step: Step, taxed: object) -> _Due:
        sets = {each: self._price_set(terms, each, taxed) for each in step.version_ids}
        charges = drafts.charges_of(terms, step, sets, NO_OVERLAYS)
        metered = [(metric, charge.window) for charge, metric in drafts.metered(charges, sets)]
        return _Due(
            step=step,
            sets=sets,
            charges=charges,
            metered=metered,
            windows={window for _, window in metered},
            is_tallied=all(usage_tallies.is_tallied(*each) for each in metered)
            and not usage_cycles.looks_back(terms, step, sets),
        )

    def _price_set(self, terms: Terms, version_id: str, taxed: object) -> PriceSet:
        key = (version_id, taxed)
        if key not in self._sets:
            self._sets[key] = price_set_of(terms, version_id, self._lines[version_id])
        return self._sets[key]


def _readings(
    owing: _Owing, tallies: Tallies, paths: Mapping[str, Collection[str]]
) -> dict[tuple[str, Period], Reading] | None:
    """What the meters say; None where one of them has to be read alone."""
    found = {}
    subscription_id = owing.terms.subscription.id
    for metric, window in owing.due.metered:
        tally = tallies.get((subscription_id, window, metric.event_type), usage_tallies.NONE)
        read = usage_tallies.reading(metric, tally, paths.get(metric.event_type, ()))
        if read is None:
            return None
        found[metric.id, window] = read
    return found
