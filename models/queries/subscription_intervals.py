"""The statements of intervals: what stands, what was changed, and how billing sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import case, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from billing.interval_edits import CatalogPrice
from billing.interval_terms import Interval
from billing.intervals import Overlay, PlanPrice, VersionSpan, effective, plan_line_id, priced
from billing.money import text as plain
from models.base import wall_now
from models.invoices import Invoice
from models.plans import PlanLine
from models.prices import Price
from models.queries import plans
from models.queries.terms import PriceSet, Terms, next_version, prices_named
from models.subscription_intervals import IntervalChange, SubscriptionInterval


@dataclass(frozen=True, slots=True)
class Overlays:
    """A subscription's stored intervals, and the prices that they name."""

    intervals: Sequence[Interval]
    prices: PriceSet

    def over(self, version: PriceSet) -> list[Overlay]:
        """The intervals as they are billed with a plan version.

        One without a rate of its own bills the version's price under its key: price ids move
        between versions, keys do not.
        """
        by_key = {price.key: price for price in version.prices}
        by_id = {price.price_id: price for price in self.prices.prices}
        found = []
        for each in self.intervals:
            price = by_id[each.price_id]
            if each.kind == "plan_line" and each.unit_price is None:
                named = by_key.get(each.key, price)
                # What has ended may be billed later, when the key charges for something else.
                price = named if named.source_id == price.source_id else price
            found.append(Overlay(each, priced(each, price)))
        return found


async def stored(session: AsyncSession, merchant_id: str, subscription_id: str) -> list[Interval]:
    """What stands, by its start."""
    rows = await session.exec(
        select(SubscriptionInterval)
        .where(
            col(SubscriptionInterval.merchant_id) == merchant_id,
            col(SubscriptionInterval.subscription_id) == subscription_id,
            col(SubscriptionInterval.removed_at).is_(None),
        )
        .order_by(col(SubscriptionInterval.start_date), col(SubscriptionInterval.id))
    )
    return [_interval(row) for row in rows.all()]


async def move_prices(session: AsyncSession, merchant_id: str, moved: Mapping[str, str]) -> None:
    """Lets intervals that name the old ids name the new ones."""
    if not moved:
        return
    named = col(SubscriptionInterval.price_id)
    await session.exec(
        update(SubscriptionInterval)
        .where(col(SubscriptionInterval.merchant_id) == merchant_id, named.in_(moved))
        .values(price_id=case(dict(moved), value=named))
        .execution_options(synchronize_session=False)
    )


async def overlays(session: AsyncSession, terms: Terms) -> Overlays:
    """The same with their prices, for rating."""
    subscription = terms.subscription
    found = await stored(session, subscription.merchant_id, subscription.id)
    return Overlays(found, await prices_named(session, terms, {each.price_id for each in found}))


async def all_of(session: AsyncSession, terms: Terms) -> list[Interval]:
    """Every interval of a subscription, the plan's and its own, by their start."""
    subscription = terms.subscription
    found = await stored(session, subscription.merchant_id, subscription.id)
    return effective(subscription.id, await _spans(session, terms), found)


async def _spans(session: AsyncSession, terms: Terms) -> list[VersionSpan]:
    """Which version the subscription billed from when, bills now, and will bill."""
    subscription = terms.subscription
    changes = _version_changes(terms, await _begun(session, terms))
    ends = [*(start for start, _ in changes[1:]), subscription.terminated_at]
    versions = sorted({version_id for _, version_id in changes})
    lines = await plans.lines(session, subscription.merchant_id, versions)

    def sold(version_id: str, start: datetime) -> list[PlanPrice]:
        cadence = terms.cadence_under(version_id, start)
        return [_plan_price(cadence, *each) for each in lines[version_id]]

    return [
        VersionSpan(version_id, start, end, sold(version_id, start))
        for (start, version_id), end in zip(changes, ends, strict=True)
        if end is None or start < end
    ]


async def _begun(session: AsyncSession, terms: Terms) -> Sequence[Invoice]:
    """The invoices of windows that have begun, in their order."""
    rows = await session.exec(
        select(Invoice)
        .where(
            col(Invoice.merchant_id) == terms.subscription.merchant_id,
            col(Invoice.subscription_id) == terms.subscription.id,
            col(Invoice.ended_from).is_not(None),
        )
        .order_by(col(Invoice.sequence_number))
    )
    return rows.all()


def _version_changes(terms: Terms, begun: Sequence[Invoice]) -> list[tuple[datetime, str]]:
    """From when which version was billed; the first from the start on."""
    subscription = terms.subscription
    starts = [(each.ended_from, each.plan_version_id) for each in begun]
    if not begun:
        starts = [(None, subscription.plan_version_id)]
    elif begun[-1].status == "ACTIVE":
        starts.append((begun[-1].ended_to, next_version(terms, begun[-1].plan_version_id)))
    changes: list[tuple[datetime, str]] = []
    for start, version_id in starts:
        if not changes:
            changes.append((subscription.started_at, version_id))
        elif changes[-1][1] != version_id and start is not None:
            changes.append((start, version_id))
    return changes


async def catalogue(
    session: AsyncSession, merchant_id: str, price_ids: set[str]
) -> dict[str, CatalogPrice]:
    """These prices, as far as an interval cares; those that are not the merchant's are left out."""
    rows = await session.exec(
        select(Price).where(col(Price.merchant_id) == merchant_id, col(Price.id).in_(price_ids))
    )
    return {
        row.id: CatalogPrice(
            kind="fee" if row.fee_id is not None else "metric",
            model=row.model,
            properties=row.properties,
            is_obligation=row.is_obligation,
            in_scope=row.tax.get("supplyScope", "IN_SCOPE") == "IN_SCOPE",
        )
        for row in rows.all()
    }


async def write(
    session: AsyncSession, merchant_id: str, subscription_id: str, interval: Interval
) -> None:
    """Stores an interval, new or changed."""
    await session.merge(_row(merchant_id, subscription_id, interval))
    await session.flush()


async def remove(session: AsyncSession, merchant_id: str, interval_id: str) -> None:
    """Takes one off; its row stays, since invoices name it."""
    await session.exec(
        update(SubscriptionInterval)
        .where(
            col(SubscriptionInterval.merchant_id) == merchant_id,
            col(SubscriptionInterval.id) == interval_id,
        )
        .values(removed_at=wall_now(), updated_at=wall_now())
        .execution_options(synchronize_session="fetch")
    )


@dataclass(frozen=True, slots=True)
class ChangeFilter:
    """What a list of changes may be narrowed by; `start` is included, `end` is not."""

    subscription_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    change_reason: str | None = None


def changes_oldest_first(
    merchant_id: str, narrowed: ChangeFilter
) -> SelectOfScalar[IntervalChange]:
    """A merchant's changes of intervals, as far as the filter lets them through."""
    statement = select(IntervalChange).where(col(IntervalChange.merchant_id) == merchant_id)
    if narrowed.subscription_id is not None:
        statement = statement.where(col(IntervalChange.subscription_id) == narrowed.subscription_id)
    if narrowed.start is not None:
        statement = statement.where(col(IntervalChange.created_at) >= narrowed.start)
    if narrowed.end is not None:
        statement = statement.where(col(IntervalChange.created_at) < narrowed.end)
    if narrowed.change_reason is not None:
        statement = statement.where(col(IntervalChange.change_reason) == narrowed.change_reason)
    return statement.order_by(col(IntervalChange.created_at), col(IntervalChange.id))


async def change(session: AsyncSession, merchant_id: str, change_id: str) -> IntervalChange | None:
    """One change."""
    rows = await session.exec(
        select(IntervalChange).where(
            col(IntervalChange.merchant_id) == merchant_id, col(IntervalChange.id) == change_id
        )
    )
    return rows.first()


@dataclass(frozen=True, slots=True)
class Agreed:
    """Terms that a line was billed by, to find who agreed to them; no interval: the plan's."""

    key: str
    version_id: str
    interval: Interval | None

    def stands_in(self, record: IntervalChange) -> bool:
        """Whether the record made these terms."""
        entries = [each for each in record.entries if each["after"] is not None]
        if self.interval is not None:
            terms = shown(self.interval).items()
            ours = [each for each in entries if each["intervalId"] == self.interval.interval_id]
            return any(terms <= each["after"].items() for each in ours)
        return any(
            each["intervalId"]
            == plan_line_id(
                record.subscription_id,
                self.key,
                self.version_id,
                datetime.fromisoformat(each["after"]["startDate"]),
            )
            for each in entries
        )


async def agreements(
    session: AsyncSession, merchant_id: str, subscription_id: str, terms: Sequence[Agreed]
) -> list[IntervalChange | None]:
    """The newest record that made each of the terms; None where none did."""
    if not terms:
        return []
    statement = changes_oldest_first(merchant_id, ChangeFilter(subscription_id))
    records = list(reversed((await session.exec(statement)).all()))
    return [next((row for row in records if each.stands_in(row)), None) for each in terms]


def shown(interval: Interval) -> dict[str, Any]:
    """An interval as the wire shows it, in texts, so that a change can keep it."""
    return {
        "priceId": interval.price_id,
        "priceKey": interval.key,
        "planVersionId": interval.version_id,
        "unitPrice": None if interval.unit_price is None else plain(interval.unit_price),
        "baseQuantity": plain(interval.base_quantity),
        "quantityTransitions": [
            {"effectiveDate": _instant(at), "quantity": plain(quantity)}
            for at, quantity in interval.transitions
        ],
        "billingCadence": interval.cadence,
        "billingMode": interval.mode,
        "billDate": None if interval.bill_date is None else _instant(interval.bill_date),
        "startDate": _instant(interval.start),
        "endDate": None if interval.end is None else _instant(interval.end),
    }


def _instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _plan_price(cadence: str, line: PlanLine, price: Price) -> PlanPrice:
    return PlanPrice(
        key=line.key,
        price_id=price.id,
        quantity=Decimal(price.quantity),
        cadence=price.billing_cadence or cadence,
        mode="advance" if price.payment_term == "in_advance" else "arrears",
    )


def _interval(row: SubscriptionInterval) -> Interval:
    return Interval(
        interval_id=row.id,
        key=row.price_key,
        kind="plan_line" if row.kind == "plan_line" else "subscription_owned",
        price_id=row.price_id,
        version_id=row.plan_version_id,
        unit_price=row.unit_price,
        base_quantity=row.base_quantity,
        transitions=tuple(
            (datetime.fromisoformat(at), Decimal(quantity))
            for at, quantity in row.quantity_transitions
        ),
        cadence=row.billing_cadence,
        mode="advance" if row.billing_mode == "advance" else "arrears",
        bill_date=row.bill_date,
        start=row.start_date,
        end=row.end_date,
        ends_key=row.ends_key,
    )


def _row(merchant_id: str, subscription_id: str, interval: Interval) -> SubscriptionInterval:
    return SubscriptionInterval(
        id=interval.interval_id,
        merchant_id=merchant_id,
        subscription_id=subscription_id,
        price_id=interval.price_id,
        plan_version_id=interval.version_id,
        price_key=interval.key,
        kind=interval.kind,
        unit_price=interval.unit_price,
        base_quantity=interval.base_quantity,
        quantity_transitions=[
            [at.isoformat(), plain(quantity)] for at, quantity in interval.transitions
        ],
        billing_cadence=interval.cadence,
        billing_mode=interval.mode,
        bill_date=interval.bill_date,
        start_date=interval.start,
        end_date=interval.end,
        ends_key=interval.ends_key,
    )
