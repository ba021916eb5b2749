"""Statements on prices; deleted ones are out of every list and look-up."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from models.features import Feature
from models.prices import Price

SHOWN_MAX = 10
"""How many of what stands in the way of a deletion are named."""


@dataclass(frozen=True, slots=True)
class Blockers:
    """What stands in the way: how many, and the first of them as (id, name, numbers)."""

    count: int
    shown: Sequence[tuple[str, str, Sequence[int]]]


def newest_first(merchant_id: str, metric_id: str | None = None) -> SelectOfScalar[Price]:
    """A merchant's prices, also those whose metric or fee is gone; all or of one metric."""
    statement = select(Price).where(
        Price.merchant_id == merchant_id, col(Price.deleted_at).is_(None)
    )
    if metric_id is not None:
        statement = statement.where(Price.billable_metric_id == metric_id)
    return statement.order_by(col(Price.created_at).desc(), col(Price.id).desc())


async def get(
    session: AsyncSession, merchant_id: str, price_id: str, *, lock: bool = False
) -> Price | None:
    """A price of this merchant."""
    statement = select(Price).where(
        Price.merchant_id == merchant_id, Price.id == price_id, col(Price.deleted_at).is_(None)
    )
    if lock:
        statement = statement.with_for_update(key_share=True)
    return (await session.exec(statement)).one_or_none()


async def among(
    session: AsyncSession, merchant_id: str, price_ids: Sequence[str]
) -> dict[str, Price]:
    """Those of these prices that the merchant has, by id, kept from being deleted meanwhile."""
    statement = (
        select(Price)
        .where(
            Price.merchant_id == merchant_id,
            col(Price.id).in_(price_ids),
            col(Price.deleted_at).is_(None),
        )
        .order_by(col(Price.id))
        .with_for_update(read=True)
    )
    return {price.id: price for price in (await session.exec(statement)).all()}


async def locked(
    session: AsyncSession, merchant_id: str, price_ids: Collection[str]
) -> dict[str, Price]:
    """These prices by id, locked: their values are about to move between them."""
    statement = (
        select(Price)
        .where(Price.merchant_id == merchant_id, col(Price.id).in_(price_ids))
        .order_by(col(Price.id))
        .with_for_update(key_share=True)
    )
    return {price.id: price for price in (await session.exec(statement)).all()}


async def features_of(
    session: AsyncSession, merchant_id: str, prices: Sequence[Price]
) -> dict[str, Feature]:
    """The features that these prices carry, by id; deleted ones too."""
    ids = {price.feature_id for price in prices if price.feature_id is not None}
    if not ids:
        return {}
    statement = select(Feature).where(Feature.merchant_id == merchant_id, col(Feature.id).in_(ids))
    return {feature.id: feature for feature in (await session.exec(statement)).all()}


async def of_fee(session: AsyncSession, merchant_id: str, fee_id: str) -> Blockers:
    """The living prices of a fee."""
    return await _living(session, merchant_id, col(Price.fee_id) == fee_id)


async def of_feature(session: AsyncSession, merchant_id: str, feature_id: str) -> Blockers:
    """The living prices that carry a feature."""
    return await _living(session, merchant_id, col(Price.feature_id) == feature_id)


async def _living(session: AsyncSession, merchant_id: str, tied: ColumnElement[bool]) -> Blockers:
    owned = (Price.merchant_id == merchant_id, tied, col(Price.deleted_at).is_(None))
    count = (await session.exec(select(func.count()).select_from(Price).where(*owned))).one()
    statement = select(Price).where(*owned).order_by(col(Price.id)).limit(SHOWN_MAX)
    rows = (await session.exec(statement)).all()
    return Blockers(count, [(row.id, row.invoice_display_name, ()) for row in rows])
