"""Statements on customers and the consumers behind them; saved cards are not read here."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, SQLColumnExpression, func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from models.customers import Consumer, Customer
from models.disputes import Dispute
from models.invoices import Invoice
from models.reservations import Reservation
from models.subscriptions import Subscription

SHOWN_MAX = 10
OPEN_INVOICE_STATUSES = ("DRAFT", "ACTIVE", "CLOSING", "ISSUED", "PAYMENT_FAILED")


@dataclass(frozen=True, slots=True)
class CustomerFilter:
    """What a list of customers may be narrowed by."""

    name: str | None = None
    email: str | None = None
    external_id: str | None = None


@dataclass(frozen=True, slots=True)
class Blocker:
    """Objects that keep a customer from being deleted, the first of them as (id, status)."""

    type: str
    count: int
    shown: Sequence[tuple[str, str]]


def _contains(column: SQLColumnExpression[str], part: str) -> ColumnElement[bool]:
    return func.strpos(func.lower(column), part.lower()) > 0


def newest_first(merchant_id: str, narrowed: CustomerFilter) -> SelectOfScalar[Customer]:
    """A merchant's customers; names and emails match in part, without case."""
    statement = select(Customer).where(
        Customer.merchant_id == merchant_id, col(Customer.deleted_at).is_(None)
    )
    if narrowed.external_id is not None:
        statement = statement.where(Customer.external_id == narrowed.external_id)
    if narrowed.name is not None or narrowed.email is not None:
        statement = statement.join(Consumer, col(Consumer.id) == col(Customer.consumer_id))
    if narrowed.name is not None:
        statement = statement.where(_contains(col(Consumer.name), narrowed.name))
    if narrowed.email is not None:
        statement = statement.where(_contains(col(Consumer.email), narrowed.email))
    return statement.order_by(col(Customer.created_at).desc(), col(Customer.id).desc())


async def get(
    session: AsyncSession, merchant_id: str, customer_id: str, *, lock: bool = False
) -> Customer | None:
    """A customer of this merchant."""
    statement = select(Customer).where(
        Customer.merchant_id == merchant_id,
        Customer.id == customer_id,
        col(Customer.deleted_at).is_(None),
    )
    if lock:
        statement = statement.with_for_update(key_share=True)
    return (await session.exec(statement)).one_or_none()


async def of_consumer(session: AsyncSession, merchant_id: str, consumer_id: str) -> Customer | None:
    """The consumer as this merchant's customer."""
    statement = select(Customer).where(
        Customer.merchant_id == merchant_id,
        Customer.consumer_id == consumer_id,
        col(Customer.deleted_at).is_(None),
    )
    return (await session.exec(statement)).one_or_none()


async def has_external_id(session: AsyncSession, merchant_id: str, external_id: str) -> bool:
    """Whether a living customer has this external id."""
    narrowed = CustomerFilter(external_id=external_id)
    return (await session.exec(newest_first(merchant_id, narrowed).limit(1))).first() is not None


async def consumer(session: AsyncSession, merchant_id: str, consumer_id: str) -> Consumer | None:
    """A consumer that this merchant manages."""
    statement = select(Consumer).where(
        Consumer.merchant_id == merchant_id, Consumer.id == consumer_id
    )
    return (await session.exec(statement)).one_or_none()


async def consumers_of(
    session: AsyncSession, merchant_id: str, customers: Sequence[Customer]
) -> dict[str, Consumer]:
    """The consumers behind these customers, by id."""
    ids = [customer.consumer_id for customer in customers]
    statement = select(Consumer).where(
        Consumer.merchant_id == merchant_id, col(Consumer.id).in_(ids)
    )
    return {row.id: row for row in (await session.exec(statement)).all()}


async def consumer_by_email(session: AsyncSession, fresh: Consumer) -> Consumer:
    """The consumer with this email, made from `fresh` where there is none.

    Locked until the end of the transaction: two requests for the same person take turns.
    """
    await session.exec(
        insert(Consumer)
        .values(**fresh.model_dump())
        .on_conflict_do_nothing(
            index_elements=[col(Consumer.merchant_id), func.lower(col(Consumer.email))]
        )
    )
    statement = (
        select(Consumer)
        .where(
            Consumer.merchant_id == fresh.merchant_id,
            func.lower(Consumer.email) == func.lower(fresh.email),
        )
        .with_for_update(key_share=True)
    )
    return (await session.exec(statement)).one()


async def blockers(session: AsyncSession, merchant_id: str, customer_id: str) -> list[Blocker]:
    """What keeps the customer from being deleted: whatever runs, is owed, disputed or held."""
    subscriptions = select(Subscription.id, Subscription.status).where(
        Subscription.merchant_id == merchant_id,
        Subscription.customer_id == customer_id,
        Subscription.status != "terminated",
    )
    invoices = select(Invoice.id, Invoice.status).where(
        Invoice.merchant_id == merchant_id,
        Invoice.customer_id == customer_id,
        col(Invoice.status).in_(OPEN_INVOICE_STATUSES),
    )
    disputes = select(Dispute.id, Dispute.status).where(
        Dispute.merchant_id == merchant_id,
        Dispute.customer_id == customer_id,
        Dispute.status == "pending",
    )
    holds = select(Reservation.id, Reservation.status).where(
        Reservation.merchant_id == merchant_id,
        Reservation.customer_id == customer_id,
        Reservation.status == "reserved",
    )
    found = []
    for kind, statement in (
        ("subscriptions", subscriptions),
        ("invoices", invoices),
        ("disputes", disputes),
        ("entitlements", holds),
    ):
        rows = (await session.exec(statement)).all()
        if rows:
            found.append(Blocker(kind, len(rows), rows[:SHOWN_MAX]))
    return found
