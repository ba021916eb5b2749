"""What many invoices of one merchant would bill, with the reads that they share done once for all.

Whatever is peculiar about an invoice is left to `drafts`, which reads it alone; both rate with the
same rules, so that it makes no difference to an amount.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from billing.periods import Period
from billing.rating import Charge
from models.billable_metrics import BillableMetric
from models.invoices import Invoice
from models.queries import drafts, invoices, peculiarities, usage_tallies
from models.queries.draft_lines import Draft
from models.queries.steps import Step
from models.queries.subscription_intervals import Overlays
from models.queries.terms import PriceSet, Terms, VersionLine, price_set_of, version_lines
from models.queries.usage import Reading
from models.queries.usage_tallies import Owner, Tallies

NO_OVERLAYS = Overlays([], PriceSet([], {}, {}))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Owing:
    """An invoice with what falls due on it, before any usage is read."""

    terms: Terms
    invoice: Invoice
    step: Step
    sets: Mapping[str, PriceSet]
    charges: Sequence[Charge]

    @property
    def metered(self) -> list[tuple[BillableMetric, Period]]:
        """What is read by meter, and for which window."""
        metrics = {key: each for one in self.sets.values() for key, each in one.metrics.items()}
        return [
            (metrics[charge.price.source_id], charge.window)
            for charge in self.charges
            if charge.price.kind == "metric"
        ]

    def owner(self, window: Period) -> Owner:
        return Owner(
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
    owing = [
        each
        for each in await _owing(session, merchant_id, plain)
        if all(usage_tallies.is_tallied(*metered) for metered in each.metered)
    ]
    types = {metric.event_type for each in owing for metric, _ in each.metered}
    owners = {each.owner(window) for each in owing for _, window in each.metered}
    tallies = await usage_tallies.tallies(session, merchant_id, list(owners), types)
    paths = await usage_tallies.typed_paths(session, merchant_id, types)
    found = {}
    for each in owing:
        readings = _readings(each, tallies, paths)
        if readings is not None:
            facts = drafts.Facts(
                charges=each.charges, sets=each.sets, readings=readings, watermark=watermark
            )
            found[each.invoice.id] = drafts.rated(each.terms.on(each.invoice), [each.step], facts)
    return found


async def _owing(
    session: AsyncSession, merchant_id: str, asked: Sequence[tuple[Terms, Invoice]]
) -> list[_Owing]:
    steps = [drafts.step_of(terms, invoice) for terms, invoice in asked]
    version_ids = {version_id for step in steps for version_id in step.version_ids}
    lines = await version_lines(session, merchant_id, version_ids)
    known: dict[tuple[str, str], PriceSet] = {}
    owing = []
    for (terms, invoice), step in zip(asked, steps, strict=True):
        sets = {each: _price_set(terms, each, lines[each], known) for each in step.version_ids}
        charges = drafts.charges_of(terms, step, sets, NO_OVERLAYS)
        owing.append(_Owing(terms=terms, invoice=invoice, step=step, sets=sets, charges=charges))
    return owing


def _price_set(
    terms: Terms,
    version_id: str,
    lines: Sequence[VersionLine],
    known: dict[tuple[str, str], PriceSet],
) -> PriceSet:
    """A version's prices; those who are taxed alike share them."""
    taxed = (terms.subscription.tax_exempt, terms.plan.id, terms.customer.tax_rates)
    key = (version_id, repr(taxed))
    if key not in known:
        known[key] = price_set_of(terms, version_id, lines)
    return known[key]


def _readings(
    owing: _Owing, tallies: Tallies, paths: Mapping[str, Collection[str]]
) -> dict[tuple[str, Period], Reading] | None:
    """What the meters say; None where one of them has to be read alone."""
    found = {}
    for metric, window in owing.metered:
        tally = tallies.get((owing.owner(window), metric.event_type), usage_tallies.NONE)
        read = usage_tallies.reading(metric, tally, paths.get(metric.event_type, ()))
        if read is None:
            return None
        found[metric.id, window] = read
    return found
