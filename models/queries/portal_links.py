"""The statements of portal links."""

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.portal_links import PortalLink


async def by_hash(session: AsyncSession, secret_hash: str) -> PortalLink | None:
    """The link; its secret is what stands for the merchant here."""
    rows = await session.exec(select(PortalLink).where(col(PortalLink.id) == secret_hash))
    return rows.first()
