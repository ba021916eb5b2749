"""Statements on merchant integrations."""

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from models.merchant_integrations import MerchantIntegration


def newest_first(
    merchant_id: str, provider: str | None = None
) -> SelectOfScalar[MerchantIntegration]:
    """A merchant's connections, all or one provider's."""
    statement = select(MerchantIntegration).where(MerchantIntegration.merchant_id == merchant_id)
    if provider is not None:
        statement = statement.where(MerchantIntegration.provider == provider)
    return statement.order_by(
        col(MerchantIntegration.created_at).desc(), col(MerchantIntegration.id).desc()
    )


async def get(
    session: AsyncSession, merchant_id: str, integration_id: str, *, lock: bool = False
) -> MerchantIntegration | None:
    """A connection of this merchant."""
    statement = select(MerchantIntegration).where(
        MerchantIntegration.merchant_id == merchant_id, MerchantIntegration.id == integration_id
    )
    if lock:
        statement = statement.with_for_update(key_share=True)
    return (await session.exec(statement)).one_or_none()


async def of_provider(session: AsyncSession, fresh: MerchantIntegration) -> MerchantIntegration:
    """The merchant's connection to this provider, made from `fresh` where there is none; locked."""
    await session.exec(
        insert(MerchantIntegration)
        .values(**fresh.model_dump())
        .on_conflict_do_nothing(
            index_elements=[col(MerchantIntegration.merchant_id), col(MerchantIntegration.provider)]
        )
    )
    statement = newest_first(fresh.merchant_id, fresh.provider).with_for_update(key_share=True)
    return (await session.exec(statement)).one()
