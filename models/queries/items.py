"""Statements on items and on which metrics and fees are anchored to one."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from models.billable_metrics import BillableMetric
from models.external_references import ExternalReference
from models.fees import Fee
from models.items import Item


def newest_first(
    merchant_id: str, *, catalog_id: str | None = None, archived: bool = False
) -> SelectOfScalar[Item]:
    """A merchant's items, all or of one product, with or without archived ones."""
    statement = select(Item).where(Item.merchant_id == merchant_id)
    if catalog_id is not None:
        statement = statement.where(Item.catalog_id == catalog_id)
    if not archived:
        statement = statement.where(col(Item.archived_at).is_(None))
    return statement.order_by(col(Item.created_at).desc(), col(Item.id).desc())


def mapped_to(
    merchant_id: str, provider: str, external_id: str, *, catalog_id: str | None = None
) -> SelectOfScalar[Item]:
    """The items that a provider's code stands for, its claimant first; archived ones resolve."""
    statement = (
        select(Item)
        .join(ExternalReference, col(ExternalReference.entity_id) == col(Item.id))
        .where(
            Item.merchant_id == merchant_id,
            ExternalReference.merchant_id == merchant_id,
            ExternalReference.entity_type == "item",
            ExternalReference.provider == provider,
            ExternalReference.external_id == external_id,
        )
    )
    if catalog_id is not None:
        statement = statement.where(Item.catalog_id == catalog_id)
    return statement.order_by(
        col(ExternalReference.is_primary).desc(), col(Item.created_at).desc(), col(Item.id).desc()
    )


async def get(
    session: AsyncSession, merchant_id: str, item_id: str, *, lock: bool = False
) -> Item | None:
    """An item of this merchant; locked by whoever anchors a charge to it or archives it."""
    statement = select(Item).where(Item.merchant_id == merchant_id, Item.id == item_id)
    if lock:
        statement = statement.with_for_update(key_share=True)
    return (await session.exec(statement)).one_or_none()


async def among(session: AsyncSession, merchant_id: str, item_ids: Sequence[str]) -> list[Item]:
    """These items, archived or not."""
    statement = select(Item).where(Item.merchant_id == merchant_id, col(Item.id).in_(item_ids))
    return list((await session.exec(statement)).all())


async def anchored(session: AsyncSession, merchant_id: str, item_id: str) -> dict[str, list[str]]:
    """The ids of what is anchored to the item, by kind; deleted fees do not count."""
    metrics = select(BillableMetric.id).where(
        BillableMetric.merchant_id == merchant_id, BillableMetric.item_id == item_id
    )
    fees = select(Fee.id).where(
        Fee.merchant_id == merchant_id, Fee.item_id == item_id, col(Fee.deleted_at).is_(None)
    )
    found = {}
    for kind, statement in (("billableMetrics", metrics), ("fees", fees)):
        ids = (await session.exec(statement.order_by("id"))).all()
        if ids:
            found[kind] = list(ids)
    return found


async def move_anchored(
    session: AsyncSession, merchant_id: str, item_id: str, product_id: str, now: datetime
) -> None:
    """Files what is anchored to the item under another product, together with it."""
    for table in (BillableMetric, Fee):
        await session.exec(
            update(table)
            .where(col(table.merchant_id) == merchant_id, col(table.item_id) == item_id)
            .values(product_id=product_id, updated_at=now)
        )
