"""The statements of payments, sessions, attempts and saved cards."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlmodel
from sqlalchemy import text, update
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from models import row_sets
from models.base import wall_now
from models.customers import PaymentMethod
from models.payments import Payment, PaymentAttempt, PaymentSession
from models.queries import payment_standings as standings
from models.row_sets import is_among


async def get_payment(
    session: AsyncSession, merchant_id: str, payment_id: str, *, lock: bool = False
) -> Payment | None:
    """The one-off payment."""
    statement = select(Payment).where(
        col(Payment.merchant_id) == merchant_id, col(Payment.id) == payment_id
    )
    if lock:
        statement = statement.with_for_update(key_share=True)
    return (await session.exec(statement)).first()


async def locked_payments(
    session: AsyncSession, merchant_id: str, payment_ids: Collection[str]
) -> list[Payment]:
    """These one-off payments, locked in the order of their ids."""
    return await row_sets.of_ids(session, Payment, merchant_id, payment_ids, lock=True)


async def payment_by_key(
    session: AsyncSession, merchant_id: str, idempotency_key: str
) -> Payment | None:
    """The payment that this key made."""
    rows = await session.exec(
        select(Payment).where(
            col(Payment.merchant_id) == merchant_id,
            col(Payment.idempotency_key) == idempotency_key,
        )
    )
    return rows.first()


async def add_payment(session: AsyncSession, payment: Payment) -> bool:
    """Inserts; False when its idempotency key is taken."""
    done = await session.exec(
        insert(Payment)
        .values(**payment.model_dump())
        .on_conflict_do_nothing()
        .returning(col(Payment.id))
    )
    return done.scalar_one_or_none() is not None


async def change_payment(
    session: AsyncSession, merchant_id: str, payment_id: str, **changes: Any
) -> None:
    """Writes some columns."""
    await session.exec(
        update(Payment)
        .where(col(Payment.merchant_id) == merchant_id, col(Payment.id) == payment_id)
        .values(updated_at=wall_now(), **changes)
        .execution_options(synchronize_session="fetch")
    )


async def session_by_token(session: AsyncSession, token: str) -> PaymentSession | None:
    """The hosted page's session; its token is what stands for the merchant here."""
    rows = await session.exec(select(PaymentSession).where(col(PaymentSession.token) == token))
    return rows.first()


async def get_session(
    session: AsyncSession, merchant_id: str, session_id: str
) -> PaymentSession | None:
    """The session with this id."""
    rows = await session.exec(
        select(PaymentSession).where(
            col(PaymentSession.merchant_id) == merchant_id, col(PaymentSession.id) == session_id
        )
    )
    return rows.first()


async def sessions_of(
    session: AsyncSession, merchant_id: str, collection_ids: Collection[str]
) -> dict[str, PaymentSession]:
    """The newest session of each of these invoices or payments."""
    rows = await session.exec(
        select(PaymentSession)
        .where(
            col(PaymentSession.merchant_id) == merchant_id,
            col(PaymentSession.collection_id).in_(collection_ids),
        )
        .order_by(col(PaymentSession.created_at), col(PaymentSession.id))
    )
    return {row.collection_id: row for row in rows.all()}


async def all_sessions_of(
    session: AsyncSession, merchant_id: str, collection_id: str
) -> list[PaymentSession]:
    """Every session that one invoice or payment has had, oldest first."""
    rows = await session.exec(
        select(PaymentSession)
        .where(
            col(PaymentSession.merchant_id) == merchant_id,
            col(PaymentSession.collection_id) == collection_id,
        )
        .order_by(col(PaymentSession.created_at), col(PaymentSession.id))
    )
    return list(rows.all())


async def add_session(session: AsyncSession, row: PaymentSession) -> None:
    """Inserts under the derived id; a retry changes nothing."""
    await add_sessions(session, row.merchant_id, [row.model_dump()])


async def add_sessions(
    session: AsyncSession, merchant_id: str, rows: Sequence[Mapping[str, Any]]
) -> None:
    """The same for many, as columns."""
    owned = [{**row, "merchant_id": merchant_id} for row in rows]
    await row_sets.insert_new(session, PaymentSession, owned)


async def change_sessions(
    session: AsyncSession, merchant_id: str, collection_id: str, **changes: Any
) -> None:
    """Writes some columns of the collection's sessions that money can still come from.

    A failed one is among them: its customer may pay after the last retry.
    """
    await session.exec(
        update(PaymentSession)
        .where(
            col(PaymentSession.merchant_id) == merchant_id,
            col(PaymentSession.collection_id) == collection_id,
            col(PaymentSession.status).in_(("pending", "processing", "failed")),
        )
        .values(updated_at=wall_now(), **changes)
        .execution_options(synchronize_session="fetch")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """An invoice or payment that was paid, when, and what the provider calls the charge."""

    collection_id: str
    completed_at: datetime
    provider_payment_ref: str


# Of those that money can still come from, as in `change_sessions`.
_COMPLETE_SESSIONS = """
UPDATE payment_sessions AS kept
SET status = 'completed', completed_at = paid.completed_at, updated_at = :now,
    provider_payment_ref = paid.provider_payment_ref
FROM unnest(
    CAST(:collection_ids AS text[]), CAST(:instants AS timestamptz[]), CAST(:refs AS text[])
) AS paid(collection_id, completed_at, provider_payment_ref)
WHERE kept.merchant_id = :merchant_id AND kept.collection_id = paid.collection_id
    AND kept.status IN ('pending', 'processing', 'failed')
"""


async def complete_sessions(
    session: AsyncSession, merchant_id: str, completions: Sequence[Completion]
) -> None:
    """Ends the pages of what was paid; rows that the session has loaded are not told."""
    if not completions:
        return
    connection = await session.connection()
    values = {
        "merchant_id": merchant_id,
        "now": wall_now(),
        "collection_ids": [each.collection_id for each in completions],
        "instants": [each.completed_at for each in completions],
        "refs": [each.provider_payment_ref for each in completions],
    }
    await connection.execute(text(_COMPLETE_SESSIONS), values)


async def change_session(
    session: AsyncSession, merchant_id: str, session_id: str, **changes: Any
) -> None:
    """Writes some columns of one session."""
    await session.exec(
        update(PaymentSession)
        .where(col(PaymentSession.merchant_id) == merchant_id, col(PaymentSession.id) == session_id)
        .values(updated_at=wall_now(), **changes)
        .execution_options(synchronize_session="fetch")
    )


async def get_attempt(
    session: AsyncSession, merchant_id: str, attempt_id: str
) -> PaymentAttempt | None:
    """The attempt with this id."""
    return (await attempts_by_id(session, merchant_id, [attempt_id])).get(attempt_id)


async def attempts_by_id(
    session: AsyncSession, merchant_id: str, attempt_ids: Collection[str]
) -> dict[str, PaymentAttempt]:
    """The attempts with these ids."""
    rows = await row_sets.of_ids(session, PaymentAttempt, merchant_id, attempt_ids)
    return {row.id: row for row in rows}


async def attempts_of(
    session: AsyncSession, merchant_id: str, collection_id: str
) -> list[PaymentAttempt]:
    """The attempts to collect an invoice or payment, first to last."""
    return (await attempts_of_all(session, merchant_id, [collection_id])).get(collection_id, [])


async def attempts_of_all(
    session: AsyncSession, merchant_id: str, collection_ids: Collection[str]
) -> dict[str, list[PaymentAttempt]]:
    """The same of several; one that nobody has tried to collect is left out."""
    rows = await session.exec(
        select(PaymentAttempt)
        .where(
            col(PaymentAttempt.merchant_id) == merchant_id,
            is_among(col(PaymentAttempt.collection_id), collection_ids),
        )
        .order_by(col(PaymentAttempt.collection_id), col(PaymentAttempt.number))
    )
    found: dict[str, list[PaymentAttempt]] = {}
    for row in rows.all():
        found.setdefault(row.collection_id, []).append(row)
    return found


async def add_attempts(
    session: AsyncSession, merchant_id: str, attempts: Sequence[PaymentAttempt]
) -> None:
    """Inserts under the derived ids; a retry changes nothing."""
    owned = [{**row.model_dump(), "merchant_id": merchant_id} for row in attempts]
    await row_sets.insert_new(session, PaymentAttempt, owned)


async def change_attempts(
    session: AsyncSession, merchant_id: str, changes: Sequence[row_sets.Change]
) -> None:
    """Writes some columns of each, which the loaded rows are told."""
    await row_sets.change(session, PaymentAttempt, merchant_id, changes)


async def newest_method(
    session: AsyncSession, merchant_id: str, customer_id: str
) -> PaymentMethod | None:
    """The customer's newest saved card: the one that is charged."""
    return (await newest_methods(session, merchant_id, [customer_id])).get(customer_id)


async def newest_methods(
    session: AsyncSession, merchant_id: str, customer_ids: Collection[str]
) -> dict[str, PaymentMethod]:
    """The same of several customers, by their ids."""
    rows = await session.exec(
        select(PaymentMethod)
        .where(
            col(PaymentMethod.merchant_id) == merchant_id,
            is_among(col(PaymentMethod.customer_id), customer_ids),
        )
        .order_by(
            col(PaymentMethod.customer_id),
            col(PaymentMethod.created_at).desc(),
            col(PaymentMethod.id).desc(),
        )
        .ext(distinct_on(col(PaymentMethod.customer_id)))
    )
    return {row.customer_id: row for row in rows.all()}


async def methods_of(
    session: AsyncSession, merchant_id: str, customer_id: str
) -> list[PaymentMethod]:
    """The customer's saved cards, newest first."""
    rows = await session.exec(
        select(PaymentMethod)
        .where(
            col(PaymentMethod.merchant_id) == merchant_id,
            col(PaymentMethod.customer_id) == customer_id,
        )
        .order_by(col(PaymentMethod.created_at).desc(), col(PaymentMethod.id).desc())
    )
    return list(rows.all())


async def add_method(session: AsyncSession, method: PaymentMethod) -> None:
    """Saves a card; the same gateway token is saved once."""
    await session.exec(insert(PaymentMethod).values(**method.model_dump()).on_conflict_do_nothing())


def newest_first(
    merchant_id: str, wall: datetime, *, status: str | None = None, customer_id: str | None = None
) -> SelectOfScalar[Payment]:
    """A merchant's one-off payments, narrowed by how they stand now."""
    statement = sqlmodel.select(Payment).where(Payment.merchant_id == merchant_id)
    if status is not None:
        statement = statement.where(standings.of_payment(wall) == status)
    if customer_id is not None:
        statement = statement.where(Payment.customer_id == customer_id)
    return statement.order_by(col(Payment.created_at).desc(), col(Payment.id).desc())


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """What a list of payment sessions may be narrowed by."""

    status: str | None = None
    customer_id: str | None = None
    subscription_id: str | None = None
    entity_type: str | None = None


def sessions_newest_first(
    merchant_id: str, narrowed: SessionFilter, wall: datetime
) -> SelectOfScalar[PaymentSession]:
    """A merchant's sessions, narrowed by how they stand now; those that save a card are not in."""
    statement = sqlmodel.select(PaymentSession).where(
        PaymentSession.merchant_id == merchant_id, PaymentSession.entity_type != "setup"
    )
    if narrowed.status is not None:
        statement = statement.where(standings.of_session(wall) == narrowed.status)
    for column, value in (
        (PaymentSession.customer_id, narrowed.customer_id),
        (PaymentSession.subscription_id, narrowed.subscription_id),
        (PaymentSession.entity_type, narrowed.entity_type),
    ):
        if value is not None:
            statement = statement.where(col(column) == value)
    return statement.order_by(col(PaymentSession.created_at).desc(), col(PaymentSession.id).desc())
