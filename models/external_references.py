"""External references: the codes by which other systems know an item or a customer."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field

from models.base import Table, document, stored_at


class ExternalReference(Table, table=True):
    """One code of one provider for one entity.

    A primary one claims its code: an arriving code resolves to one entity. The default one is what
    is sent to the provider for its entity.
    """

    __tablename__ = "external_references"
    __table_args__ = (
        UniqueConstraint("merchant_id", "entity_type", "entity_id", "provider", "external_id"),
        Index(
            "uq_external_references_claim",
            "merchant_id",
            "provider",
            "external_id",
            unique=True,
            postgresql_where=text("is_primary"),
        ),
        Index(
            "uq_external_references_default",
            "merchant_id",
            "entity_type",
            "entity_id",
            "provider",
            unique=True,
            postgresql_where=text("is_default"),
        ),
        Index("ix_external_references_newest", "merchant_id", "created_at", "id"),
        Index("ix_external_references_code", "merchant_id", "provider", "external_id"),
    )

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    entity_type: str
    """item or customer."""
    entity_id: str
    provider: str
    external_id: str
    external_label: str | None = None
    custom: dict[str, Any] = document(default_factory=dict)
    is_primary: bool
    is_default: bool
    created_at: datetime = stored_at()
    updated_at: datetime = stored_at()
