"""Portal links: addresses under which a customer reads about his subscription, for a while."""

from datetime import datetime

from sqlmodel import Field

from models.base import Table, instant, stored_at


class PortalLink(Table, table=True):
    """One link; of its secret only the hash is kept."""

    __tablename__ = "portal_links"

    id: str = Field(primary_key=True)
    """The SHA-256 of the secret in the address."""
    merchant_id: str = Field(foreign_key="merchants.id")
    subscription_id: str = Field(foreign_key="subscriptions.id", index=True)
    expires_at: datetime = instant()
    """In wall time, also for a subscription on a test clock: it guards a secret."""
    created_at: datetime = stored_at()
