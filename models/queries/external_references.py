"""Statements on external references."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from models.external_references import ExternalReference


@dataclass(frozen=True, slots=True)
class ReferenceFilter:
    """What a list of references may be narrowed by; all members must hold."""

    entity_type: str | None = None
    entity_id: str | None = None
    provider: str | None = None
    external_id: str | None = None


def newest_first(merchant_id: str, narrowed: ReferenceFilter) -> SelectOfScalar[ExternalReference]:
    """A merchant's references."""
    statement = select(ExternalReference).where(ExternalReference.merchant_id == merchant_id)
    if narrowed.entity_type is not None:
        statement = statement.where(ExternalReference.entity_type == narrowed.entity_type)
    if narrowed.entity_id is not None:
        statement = statement.where(ExternalReference.entity_id == narrowed.entity_id)
    if narrowed.provider is not None:
        statement = statement.where(ExternalReference.provider == narrowed.provider)
    if narrowed.external_id is not None:
        statement = statement.where(ExternalReference.external_id == narrowed.external_id)
    return statement.order_by(
        col(ExternalReference.created_at).desc(), col(ExternalReference.id).desc()
    )


async def get(
    session: AsyncSession, merchant_id: str, reference_id: str, *, lock: bool = False
) -> ExternalReference | None:
    """A reference of this merchant."""
    statement = select(ExternalReference).where(
        ExternalReference.merchant_id == merchant_id, ExternalReference.id == reference_id
    )
    if lock:
        statement = statement.with_for_update(key_share=True)
    return (await session.exec(statement)).one_or_none()


async def of_entities(
    session: AsyncSession, merchant_id: str, entity_type: str, entity_ids: Sequence[str]
) -> dict[str, list[ExternalReference]]:
    """The references of these entities, newest first, by entity."""
    found: dict[str, list[ExternalReference]] = {entity_id: [] for entity_id in entity_ids}
    if not found:
        return found
    statement = newest_first(merchant_id, ReferenceFilter(entity_type=entity_type)).where(
        col(ExternalReference.entity_id).in_(entity_ids)
    )
    for reference in (await session.exec(statement)).all():
        found[reference.entity_id].append(reference)
    return found


async def claimant(
    session: AsyncSession, merchant_id: str, provider: str, external_id: str
) -> ExternalReference | None:
    """The reference that claims a code, locked."""
    statement = (
        select(ExternalReference)
        .where(
            ExternalReference.merchant_id == merchant_id,
            ExternalReference.provider == provider,
            ExternalReference.external_id == external_id,
            col(ExternalReference.is_primary),
        )
        .with_for_update(key_share=True)
    )
    return (await session.exec(statement)).one_or_none()


async def default_of(
    session: AsyncSession, reference: ExternalReference
) -> ExternalReference | None:
    """What is sent to the reference's provider for its entity, locked."""
    statement = (
        select(ExternalReference)
        .where(
            ExternalReference.merchant_id == reference.merchant_id,
            ExternalReference.entity_type == reference.entity_type,
            ExternalReference.entity_id == reference.entity_id,
            ExternalReference.provider == reference.provider,
            col(ExternalReference.is_default),
        )
        .with_for_update(key_share=True)
    )
    return (await session.exec(statement)).one_or_none()


async def release_claims(
    session: AsyncSession, merchant_id: str, entity_type: str, entity_id: str, now: datetime
) -> None:
    """Frees every code that the entity claims; the references stay."""
    await session.exec(
        update(ExternalReference)
        .where(
            col(ExternalReference.merchant_id) == merchant_id,
            col(ExternalReference.entity_type) == entity_type,
            col(ExternalReference.entity_id) == entity_id,
            col(ExternalReference.is_primary),
        )
        .values(is_primary=False, updated_at=now)
    )
