"""The other sides of a period that a pause or another plan has cut; it reads and never writes.

See `billing.bounds`: what they came to, and what was billed of it, is what a bound leaves for the
side that is billed next.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from sqlalchemy import func, select
from sqlmodel import col
from sqlmodel import select as select_rows
from sqlmodel.ext.asyncio.session import AsyncSession

from billing.adjustments import ALONE, Adjustment, Bounded, bounded_as, rules
from billing.bounds import OtherSides
from billing.money import exact
from billing.periods import Period
from billing.rating import Charge, RatedLine, rate_usage
from models.invoices import Invoice
from models.queries.billed_windows import (
    UNBILLED,
    BilledWindow,
    billing_period,
    catalogue_of,
    deal_of,
    readings_of,
    windows_of,
)
from models.queries.terms import Terms


def cut_by(
    terms: Terms, charges: Sequence[Charge], deal: Sequence[Adjustment]
) -> dict[Bounded, Period]:
    """The bounded charges of usage whose window is not a whole period, and that period."""
    found: dict[Bounded, Period] = {}
    for charge, rule in zip(charges, rules(charges, deal), strict=True):
        if charge.price.kind == "metric" and rule.has_bounds:
            whole = billing_period(terms, charge.counted_for, charge.price.cadence)
            if whole != charge.counted_for:
                found[bounded_as(charge)] = whole
    return found


async def other_sides(
    session: AsyncSession,
    terms: Terms,
    invoice: Invoice,
    cut: Mapping[Bounded, Period],
    late: Sequence[RatedLine],
) -> Mapping[Bounded, OtherSides]:
    """What other invoices count and have billed; `late` are the invoice's corrections of them."""
    if not cut:
        return ALONE
    await _one_at_a_time(session, terms)
    sides = await _sides(session, terms, invoice, {name for name, _ in cut})
    counted = await _counted(session, terms, sides)
    found: dict[Bounded, OtherSides] = {}
    for (name, own), whole in cut.items():
        others = OtherSides()
        for window, quantity in zip(sides, counted, strict=True):
            # What another version billed by other cycles is a period of its own.
            is_of_it = billing_period(terms, window.side, window.cadence) == whole
            if window.name == name and window.side != own and is_of_it:
                others = _with(others, window, quantity, late)
        found[name, own] = others
    return found


async def _one_at_a_time(session: AsyncSession, terms: Terms) -> None:
    """Two sides that are drafted at once would each find the other unbilled."""
    key = f"sides/{terms.subscription.id}"
    connection = await session.connection()
    await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))


async def _sides(
    session: AsyncSession, terms: Terms, invoice: Invoice, names: Collection[str]
) -> list[BilledWindow]:
    rows = await session.exec(
        select_rows(Invoice)
        .where(
            col(Invoice.merchant_id) == terms.subscription.merchant_id,
            col(Invoice.subscription_id) == terms.subscription.id,
            col(Invoice.status).not_in(UNBILLED),
            col(Invoice.id) != invoice.id,
        )
        .order_by(col(Invoice.sequence_number))
    )
    found = await windows_of(session, terms, list(rows.all()))
    return [each for each in found if each.name in names]


async def _counted(
    session: AsyncSession, terms: Terms, sides: Sequence[BilledWindow]
) -> list[Decimal]:
    """What each side comes to now; of a metric that ignores what is late, what was billed."""
    catalogue = await catalogue_of(session, terms, sides)
    deal = await deal_of(session, terms, sides)
    counted = []
    for window, now in zip(
        sides, await readings_of(session, terms, sides, catalogue.metrics, deal), strict=True
    ):
        is_late_billed = catalogue.metric(window).late_usage == "bill"
        read = rate_usage(catalogue.price(window), now.billable, now.uses)[0]
        counted.append(now.rule.waive(read if is_late_billed else window.counted))
    return counted


def _with(
    others: OtherSides, window: BilledWindow, quantity: Decimal, late: Sequence[RatedLine]
) -> OtherSides:
    corrected = [
        line.quantity
        for line in late
        if line.price.price_id == window.price_id and line.window == window.period
    ]
    with exact():
        billed = others.billed + window.billed.quantity + sum(corrected, Decimal(0))
        return replace(others, quantity=others.quantity + quantity, billed=billed)
