"""How an external reference looks on the wire, as references and items both show it."""

from typing import Any, Literal, Self

from api.schema import Instant, Wire
from models.external_references import ExternalReference as ReferenceRow


class ExternalReference(Wire):
    """A code by which another system knows an item or a customer."""

    object: Literal["externalReference"] = "externalReference"
    id: str
    merchant_id: str
    entity_type: str
    entity_id: str
    provider: str
    external_id: str
    external_label: str | None
    metadata: dict[str, Any]
    is_primary: bool
    is_default: bool
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: ReferenceRow) -> Self:
        """The answer for a row."""
        return cls.from_row(row, metadata=row.custom)
