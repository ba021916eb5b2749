"""Reported usage for activity tests: token events of a shop's customer."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Raw
from psycopg import AsyncConnection
from sqlmodel.ext.asyncio.session import AsyncSession

from models.base import new_id
from models.database import Database
from models.event_rows import EventRow
from models.queries import usage_appends
from tests.activity.rows import Shop


async def report(
    database: Database,
    shop: Shop,
    amounts: Sequence[int],
    first: datetime,
    *,
    subject: str | None = None,
    external_subject: str | None = None,
) -> None:
    """One event an amount, a minute apart; of the shop's customer unless somebody else is named.

    Its number stands where the API puts it, which is where many are read together.
    """
    events = [
        EventRow(
            merchant_id=shop.merchant_id,
            source="test",
            idempotency_key=new_id("key"),
            type="tokens.used",
            subject=subject or (None if external_subject else shop.customer_id),
            external_subject=external_subject,
            external_id=None,
            timestamp=first + timedelta(minutes=number),
            properties=Raw(json.dumps({"tokens": amount})),
            quantity=str(amount),
            quantity_path="$.tokens",
        )
        for number, amount in enumerate(amounts)
    ]
    async with database.transaction() as session:
        assert all(await appended(session, events))


async def appended(session: AsyncSession, events: Sequence[EventRow]) -> list[bool]:
    """Stores events in the session's transaction; whether each is new."""
    raw = await (await session.connection()).get_raw_connection()
    assert isinstance(raw.driver_connection, AsyncConnection)
    created = await usage_appends.append_beside_rivals(raw.driver_connection, events)
    return [True] * len(events) if created is None else created
