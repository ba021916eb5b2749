"""The statements of charged uses."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlmodel
from sqlalchemy import case, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from models.customers import Customer
from models.invoices import Invoice
from models.usage_charges import UsageCharge, UsageChargeItem

OPEN_STATUSES = ("ACTIVE", "CLOSING")


@dataclass(frozen=True, slots=True)
class UsageFilter:
    """What a list of charged uses is narrowed by: a window, and whose they are."""

    start: datetime
    end: datetime
    customer_id: str | None = None
    consumer_id: str | None = None
    subscription_id: str | None = None


@dataclass(frozen=True, slots=True)
class Accrued:
    """What uses have added to an invoice under one price: how much, and for what."""

    quantity: Decimal
    price: Decimal


async def get(
    session: AsyncSession, merchant_id: str, charge_id: str, *, lock: bool = False
) -> UsageCharge | None:
    """The charged use."""
    statement = select(UsageCharge).where(
        col(UsageCharge.merchant_id) == merchant_id, col(UsageCharge.id) == charge_id
    )
    if lock:
        statement = statement.with_for_update(key_share=True)
    return (await session.exec(statement)).first()


async def add(session: AsyncSession, row: UsageCharge, items: Sequence[UsageChargeItem]) -> bool:
    """Inserts under the id that its key derives; False when another request has made it."""
    done = await session.exec(
        insert(UsageCharge)
        .values(**row.model_dump())
        .on_conflict_do_nothing()
        .returning(col(UsageCharge.id))
    )
    if done.scalar_one_or_none() is None:
        return False
    await session.exec(insert(UsageChargeItem).values([item.model_dump() for item in items]))
    return True


async def change(session: AsyncSession, merchant_id: str, charge_id: str, **changes: Any) -> None:
    """Writes some columns."""
    await session.exec(
        update(UsageCharge)
        .where(col(UsageCharge.merchant_id) == merchant_id, col(UsageCharge.id) == charge_id)
        .values(**changes)
        .execution_options(synchronize_session="fetch")
    )


async def among(
    session: AsyncSession, merchant_id: str, charge_ids: Collection[str]
) -> dict[str, UsageCharge]:
    """These charged uses, by id."""
    rows = await session.exec(
        select(UsageCharge).where(
            col(UsageCharge.merchant_id) == merchant_id, col(UsageCharge.id).in_(charge_ids)
        )
    )
    return {row.id: row for row in rows.all()}


async def consumers(
    session: AsyncSession, merchant_id: str, customer_ids: Collection[str]
) -> dict[str, str]:
    """The consumer of each of these customers, deleted or not."""
    rows = await session.exec(
        select(col(Customer.id), col(Customer.consumer_id)).where(
            col(Customer.merchant_id) == merchant_id, col(Customer.id).in_(customer_ids)
        )
    )
    return {row[0]: row[1] for row in rows.all()}


async def still_open(
    session: AsyncSession, merchant_id: str, invoice_ids: Collection[str]
) -> set[str]:
    """Which of these invoices are not drafted yet."""
    rows = await session.exec(
        select(col(Invoice.id)).where(
            col(Invoice.merchant_id) == merchant_id,
            col(Invoice.id).in_(invoice_ids),
            col(Invoice.status).in_(OPEN_STATUSES),
        )
    )
    return set(rows.all())


async def items_of(
    session: AsyncSession, merchant_id: str, charge_ids: Collection[str]
) -> dict[str, list[UsageChargeItem]]:
    """The parts of these uses, in their order, by the use's id."""
    rows = await session.exec(
        select(UsageChargeItem)
        .where(
            col(UsageChargeItem.merchant_id) == merchant_id,
            col(UsageChargeItem.usage_charge_id).in_(charge_ids),
        )
        .order_by(col(UsageChargeItem.usage_charge_id), col(UsageChargeItem.position))
    )
    found: dict[str, list[UsageChargeItem]] = {}
    for row in rows.all():
        found.setdefault(row.usage_charge_id, []).append(row)
    return found


async def open_invoice(
    session: AsyncSession, merchant_id: str, subscription_id: str, timestamp: datetime
) -> Invoice | None:
    """The open invoice whose period holds the instant, shared: it is not drafted meanwhile.

    An instant past the running period's end belongs to the last open invoice: its successor is
    made as soon as the boundary is noticed.
    """
    rows = await session.exec(
        select(Invoice)
        .where(
            col(Invoice.merchant_id) == merchant_id,
            col(Invoice.subscription_id) == subscription_id,
            col(Invoice.status).in_(OPEN_STATUSES),
            col(Invoice.ended_from) <= timestamp,
        )
        .order_by(col(Invoice.sequence_number).desc())
        .limit(1)
        .with_for_update(read=True)
    )
    return rows.first()


async def accrued(
    session: AsyncSession, merchant_id: str, invoice_id: str
) -> Mapping[str, Accrued]:
    """What accrues on an invoice, by price; what was refunded does not."""
    rows = await session.exec(
        select(
            col(UsageChargeItem.price_id),
            func.sum(UsageChargeItem.quantity),
            func.sum(col(UsageChargeItem.quantity) * func.coalesce(UsageChargeItem.unit_price, 0)),
        )
        .join(UsageCharge, col(UsageCharge.id) == col(UsageChargeItem.usage_charge_id))
        .where(
            col(UsageChargeItem.merchant_id) == merchant_id,
            col(UsageCharge.invoice_id) == invoice_id,
            col(UsageCharge.refunded_at).is_(None),
            col(UsageChargeItem.is_accrued),
        )
        .group_by(col(UsageChargeItem.price_id))
    )
    return {price_id: Accrued(quantity, price) for price_id, quantity, price in rows}


async def move_prices(session: AsyncSession, merchant_id: str, moved: Mapping[str, str]) -> None:
    """Lets what accrues on open invoices under the old ids accrue under the new ones."""
    if not moved:
        return
    named = col(UsageChargeItem.price_id)
    accruing = (
        select(col(UsageCharge.id))
        .join(Invoice, col(Invoice.id) == col(UsageCharge.invoice_id))
        .where(col(UsageCharge.merchant_id) == merchant_id, col(Invoice.status).in_(OPEN_STATUSES))
    )
    await session.exec(
        update(UsageChargeItem)
        .where(
            col(UsageChargeItem.merchant_id) == merchant_id,
            named.in_(moved),
            col(UsageChargeItem.is_accrued),
            col(UsageChargeItem.usage_charge_id).in_(accruing),
        )
        .values(price_id=case(dict(moved), value=named))
        .execution_options(synchronize_session=False)
    )


async def owing_refunds(
    session: AsyncSession, merchant_id: str, invoice_ids: Collection[str]
) -> set[str]:
    """Which of these invoices billed a use that was refunded after they had been drafted."""
    rows = await session.exec(
        select(col(UsageCharge.invoice_id))
        .where(
            col(UsageCharge.merchant_id) == merchant_id,
            col(UsageCharge.invoice_id).in_(invoice_ids),
            col(UsageCharge.is_refund_owed),
        )
        .distinct()
    )
    return {invoice_id for invoice_id in rows.all() if invoice_id is not None}


def newest_first(merchant_id: str, narrowed: UsageFilter) -> SelectOfScalar[UsageCharge]:
    """A merchant's charged uses in a window, as far as the filter lets them through."""
    statement = sqlmodel.select(UsageCharge).where(
        UsageCharge.merchant_id == merchant_id,
        col(UsageCharge.timestamp) >= narrowed.start,
        col(UsageCharge.timestamp) < narrowed.end,
    )
    if narrowed.customer_id is not None:
        statement = statement.where(UsageCharge.customer_id == narrowed.customer_id)
    if narrowed.subscription_id is not None:
        statement = statement.where(UsageCharge.subscription_id == narrowed.subscription_id)
    if narrowed.consumer_id is not None:
        statement = statement.join(
            Customer, col(Customer.id) == col(UsageCharge.customer_id)
        ).where(Customer.consumer_id == narrowed.consumer_id)
    return statement.order_by(col(UsageCharge.timestamp).desc(), col(UsageCharge.id).desc())
