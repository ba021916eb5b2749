"""Statements that delete a sandbox merchant's rows, or one customer's; nothing else deletes these.

What is deleted follows from the tables' foreign keys, so that a new table is covered when it has
one; what is tied by an id alone is listed here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import ColumnElement, Table, func, literal, or_
from sqlalchemy import select as core_select
from sqlmodel import SQLModel, col, delete, insert, select, update
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from models.customers import Consumer, Customer
from models.external_references import ExternalReference
from models.idempotency import IdempotencyKey
from models.invoices import Invoice, InvoiceCounter
from models.ledger import LedgerAccount, LedgerEntry, LedgerTransfer
from models.organizations import Merchant
from models.outbox import OutboxRow
from models.payments import Payment, PaymentAttempt
from models.refunds import Refund
from models.reservations import Reservation
from models.resets import ForgottenAttempt
from models.subscriptions import Subscription
from models.test_clocks import TestClock, TestClockMember
from models.usage import UsageConflict, UsageEvent
from models.usage_voids import UsageVoid

CONFIGURATION = frozenset(
    {
        "merchants",
        "users",
        "api_keys",
        "merchant_integrations",
        # How stored quantities were read: true of every event that is still being written.
        "usage_quantity_paths",
        # Follows what is deleted.
        "list_totals",
        # Never deleted: who did what, and what the provider charged.
        "audit_events",
        "forgotten_attempts",
    }
)
"""What no reset deletes."""
CATALOGUE = frozenset(
    {
        "products",
        "features",
        "items",
        "external_references",
        "billable_metrics",
        "fees",
        "prices",
        "plans",
        "plan_versions",
        "plan_lines",
    }
)
"""What a reset deletes unless the catalogue is to be kept."""
CLOSING = ("CLOSING", "CLOSED", "CALCULATING", "DRAFT")
COLLECTING = ("ISSUED", "PAYMENT_FAILED")
RUNNING = ("pending_payment", "active")
# Deleted by whole transfers, never by the entries of one account.
LEDGER = frozenset({"ledger_accounts", "ledger_transfers", "ledger_entries"})


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose rows: all of a merchant's, or one customer's."""

    merchant_id: str
    customer_id: str | None = None
    external_id: str | None = None
    """The customer's, by which usage names him."""


async def lock_merchant(session: AsyncSession, merchant_id: str) -> Merchant | None:
    """The merchant, locked: whoever adds a row of his waits until the reset is over."""
    statement = select(Merchant).where(Merchant.id == merchant_id).with_for_update()
    return (await session.exec(statement)).one_or_none()


async def customer(session: AsyncSession, merchant_id: str, customer_id: str) -> Customer | None:
    """A customer of this merchant, also one that was deleted softly."""
    statement = select(Customer).where(
        Customer.merchant_id == merchant_id, Customer.id == customer_id
    )
    return (await session.exec(statement)).one_or_none()


async def workflow_ids(session: AsyncSession, scope: Scope) -> list[str]:
    """The workflows that live for these rows, as their ids are derived."""
    found: list[str] = []
    closing_id = func.concat(
        "invoice-close/", col(Invoice.subscription_id), "/", col(Invoice.sequence_number)
    )
    for name, table, statuses in (
        (literal("subscription/") + col(Subscription.id), Subscription, RUNNING),
        (closing_id, Invoice, CLOSING),
        (literal("payment/") + col(Invoice.id), Invoice, COLLECTING),
        (literal("payment/") + col(Payment.id), Payment, ("pending",)),
        (literal("reservation/") + col(Reservation.id), Reservation, ("reserved",)),
        (literal("refund/") + col(Refund.id), Refund, ("ISSUED",)),
    ):
        statement = select(name).where(
            col(table.merchant_id) == scope.merchant_id, col(table.status).in_(statuses)
        )
        if scope.customer_id is not None:
            statement = statement.where(col(table.customer_id) == scope.customer_id)
        found.extend((await session.exec(statement)).all())
    if scope.customer_id is None:
        clocks = select(literal("test-clock/") + col(TestClock.id)).where(
            TestClock.merchant_id == scope.merchant_id
        )
        found.extend((await session.exec(clocks)).all())
    return found


async def allow_deletion(session: AsyncSession, scope: Scope) -> None:
    """Opens the append-only tables to deletion until the transaction's end; the audit log is told.

    It hears of the whole reset once; what goes with it is not told row by row.
    """
    emptied = scope.customer_id or scope.merchant_id
    await session.exec(
        select(
            func.set_config("durabill.reset", "on", True),
            func.record_reset(scope.merchant_id, emptied),
        )
    )


async def remember_charges(session: AsyncSession, scope: Scope) -> None:
    """Keeps what reconciliation needs of the attempts that are about to go."""
    names = (
        "id",
        "merchant_id",
        "collection_id",
        "gateway_method_id",
        "status",
        "amount",
        "currency",
    )
    attempts = core_select(*(_column(PaymentAttempt, name) for name in names), func.now()).where(
        col(PaymentAttempt.merchant_id) == scope.merchant_id
    )
    if scope.customer_id is not None:
        attempts = attempts.where(_collected(scope))
    await session.exec(insert(ForgottenAttempt).from_select([*names, "created_at"], attempts))


async def delete_merchants(session: AsyncSession, scope: Scope, *, keep_catalogue: bool) -> None:
    """Deletes a merchant's customers and all that hangs on them, and the catalogue if wanted."""
    kept = CONFIGURATION | (CATALOGUE if keep_catalogue else frozenset())
    await session.exec(
        delete(ExternalReference).where(
            col(ExternalReference.merchant_id) == scope.merchant_id,
            col(ExternalReference.entity_type) == "customer",
        )
    )
    for table in reversed(SQLModel.metadata.sorted_tables):
        if table.name not in kept:
            await session.exec(delete(table).where(table.c.merchant_id == scope.merchant_id))


async def delete_customers(session: AsyncSession, scope: Scope, ended: Sequence[str]) -> None:
    """Deletes one customer and all that hangs on him; `ended` are his workflows."""
    await _keep_count(session, scope)
    for table, tied in _tied_by_id(scope, ended):
        merchants = _column(table, "merchant_id") == scope.merchant_id
        await session.exec(delete(table).where(merchants, tied))
    await _delete_transfers(session, scope)
    owned = _owned(scope)
    consumer_id = (
        await session.exec(
            select(Customer.consumer_id).where(
                Customer.merchant_id == scope.merchant_id, Customer.id == scope.customer_id
            )
        )
    ).one()
    for core in reversed(SQLModel.metadata.sorted_tables):
        if core.name in owned:
            await session.exec(delete(core).where(owned[core.name]))
    remaining = select(Customer.id).where(
        Customer.merchant_id == scope.merchant_id, Customer.consumer_id == consumer_id
    )
    await session.exec(
        delete(Consumer).where(
            col(Consumer.merchant_id) == scope.merchant_id,
            col(Consumer.id) == consumer_id,
            ~remaining.exists(),
        )
    )


async def delete_answers(session: AsyncSession, merchant_id: str) -> None:
    """Forgets the answers that are kept under keys: they may name what is gone."""
    await session.exec(delete(IdempotencyKey).where(col(IdempotencyKey.merchant_id) == merchant_id))


def _column(table: type[SQLModel], name: str) -> ColumnElement[Any]:
    return cast("ColumnElement[Any]", getattr(table, name))


def _invoices(scope: Scope) -> SelectOfScalar[str]:
    return select(Invoice.id).where(
        Invoice.merchant_id == scope.merchant_id, Invoice.customer_id == scope.customer_id
    )


def _collected(scope: Scope) -> ColumnElement[bool]:
    """An attempt names what it collects: an invoice or a one-off payment."""
    payments = select(Payment.id).where(
        Payment.merchant_id == scope.merchant_id, Payment.customer_id == scope.customer_id
    )
    collection = col(PaymentAttempt.collection_id)
    return or_(collection.in_(_invoices(scope)), collection.in_(payments))


def _reported(table: type[UsageEvent | UsageConflict], scope: Scope) -> ColumnElement[bool]:
    """Usage names the customer, one of his subscriptions, or his external id."""
    subscriptions = select(Subscription.id).where(
        Subscription.merchant_id == scope.merchant_id,
        Subscription.customer_id == scope.customer_id,
    )
    subject, external = col(table.subject), col(table.external_subject)
    return or_(
        subject == scope.customer_id,
        subject.in_(subscriptions),
        subject.is_(None) & (external == scope.external_id),
    )


def _tied_by_id(
    scope: Scope, ended: Sequence[str]
) -> list[tuple[type[SQLModel], ColumnElement[bool]]]:
    """What no foreign key ties to the customer, in an order in which it can be found."""
    events = select(UsageEvent.id).where(
        UsageEvent.merchant_id == scope.merchant_id, _reported(UsageEvent, scope)
    )
    return [
        (PaymentAttempt, _collected(scope)),
        (UsageVoid, col(UsageVoid.event_id).in_(events)),
        (UsageConflict, _reported(UsageConflict, scope)),
        (UsageEvent, _reported(UsageEvent, scope)),
        (OutboxRow, col(OutboxRow.workflow_id).in_(ended)),
        (TestClockMember, col(TestClockMember.workflow_id).in_(ended)),
        (
            ExternalReference,
            (col(ExternalReference.entity_type) == "customer")
            & (col(ExternalReference.entity_id) == scope.customer_id),
        ),
    ]


def _owned(scope: Scope) -> dict[str, ColumnElement[bool]]:
    """By table, which rows hang on the customer: by his id, or by a row that does."""
    owned: dict[str, ColumnElement[bool]] = {}
    for table in SQLModel.metadata.sorted_tables:
        if table.name in CONFIGURATION | CATALOGUE | LEDGER:
            continue
        ties = _ties(table, scope, owned)
        if ties:
            owned[table.name] = (table.c.merchant_id == scope.merchant_id) & or_(*ties)
    owned["ledger_accounts"] = (col(LedgerAccount.merchant_id) == scope.merchant_id) & (
        col(LedgerAccount.owner_id) == scope.customer_id
    )
    return owned


def _ties(
    table: Table, scope: Scope, owned: Mapping[str, ColumnElement[bool]]
) -> list[ColumnElement[bool]]:
    if table.name == "customers":
        return [table.c.id == scope.customer_id]
    ties: list[ColumnElement[bool]] = []
    for key in table.foreign_keys:
        parent = key.column.table
        if parent.name in owned:
            ties.append(key.parent.in_(core_select(key.column).where(owned[parent.name])))
    return ties


async def _delete_transfers(session: AsyncSession, scope: Scope) -> None:
    """Every transfer with an entry on one of his accounts, whole: each balances by itself."""
    statement = (
        select(LedgerEntry.transfer_id)
        .join(LedgerAccount, col(LedgerAccount.id) == col(LedgerEntry.account_id))
        .where(
            LedgerAccount.merchant_id == scope.merchant_id,
            LedgerAccount.owner_id == scope.customer_id,
        )
        .distinct()
    )
    transfer_ids = (await session.exec(statement)).all()
    for table, key in ((LedgerEntry, "transfer_id"), (LedgerTransfer, "id")):
        await session.exec(
            delete(table).where(
                col(table.merchant_id) == scope.merchant_id,
                _column(table, key).in_(transfer_ids),
            )
        )


async def _keep_count(session: AsyncSession, scope: Scope) -> None:
    """Invoice numbers have no gaps but for those that a reset made, which are counted."""
    month = func.substr(Invoice.invoice_number, len("INV-") + 1, len("YYYY-MM"))
    statement = (
        select(month, func.count())
        .where(
            Invoice.merchant_id == scope.merchant_id,
            Invoice.customer_id == scope.customer_id,
            col(Invoice.invoice_number).is_not(None),
        )
        .group_by(month)
    )
    for each, count in (await session.exec(statement)).all():
        await session.exec(
            update(InvoiceCounter)
            .where(
                col(InvoiceCounter.merchant_id) == scope.merchant_id,
                col(InvoiceCounter.month) == each,
            )
            .values(reset_count=col(InvoiceCounter.reset_count) + count)
        )
