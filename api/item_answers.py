"""The items that an invoice's lines are tagged with, and their codes; archived ones resolve too."""

from collections.abc import Sequence
from typing import Self

from sqlmodel.ext.asyncio.session import AsyncSession

from api.reference_answers import ExternalReference
from api.schema import Instant, Wire
from models.external_references import ExternalReference as ReferenceRow
from models.items import Item
from models.queries import external_references, items


class ResolvedItem(Wire):
    """An item and the codes by which other systems know it, of one provider where one is named."""

    id: str
    name: str
    catalog_id: str | None
    archived_at: Instant | None
    external_references: list[ExternalReference]

    @classmethod
    def of(cls, row: Item, references: Sequence[ReferenceRow], provider: str | None) -> Self:
        """The answer for a row; no code of the provider is an empty list."""
        shown = [each for each in references if provider in (None, each.provider)]
        return cls.from_row(row, external_references=[ExternalReference.of(each) for each in shown])


async def resolved(
    session: AsyncSession, merchant_id: str, item_ids: Sequence[str], provider: str | None
) -> list[ResolvedItem]:
    """The items of these ids, in their order, each once."""
    ids = list(dict.fromkeys(item_ids))
    rows = {row.id: row for row in await items.among(session, merchant_id, ids)}
    references = await external_references.of_entities(session, merchant_id, "item", ids)
    return [ResolvedItem.of(rows[each], references[each], provider) for each in ids if each in rows]
