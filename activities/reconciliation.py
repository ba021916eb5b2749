"""Reconciliation: proves that ledger, invoices and the payment provider tell the same story.

It repairs nothing: a difference is for people.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from decimal import Decimal

from sqlmodel.ext.asyncio.session import AsyncSession

from activities.gateways.port import GatewayCharge, PaymentGateway
from billing.currencies import minor_unit
from billing.invoicing import totals
from billing.taxes import TaxBehavior
from models.database import Database
from models.invoices import Invoice, InvoiceLine
from models.queries import ledger, reconciliation
from models.queries.reconciliation import Attempt

BATCH_SIZE = 500
Proof = Callable[[AsyncSession], Awaitable[str | None]]


class ReconciliationActivities:
    """Runs the proofs, over all merchants, in one snapshot."""

    def __init__(self, database: Database, gateway: PaymentGateway) -> None:
        self._database = database
        self._gateway = gateway

    async def first_difference(self) -> str | None:
        """The first proof that fails, in words; None when every proof holds."""
        before = await self._gateway.list_charges()
        async with self._database.transaction() as session:
            await reconciliation.freeze(session)
            for proof in PROOFS:
                difference = await proof(session)
                if difference is not None:
                    return difference
            attempts = await reconciliation.attempts(session)
            given_back = await reconciliation.given_back(session)
        after = await self._gateway.list_charges()
        return _charges_difference(before, attempts, after) or _refunds_difference(
            before, given_back, after
        )


async def _transfers_balance(session: AsyncSession) -> str | None:
    found = await ledger.unbalanced_transfer(session)
    if found is None:
        return None
    return f"ledger transfer {found[1]} of {found[0]} does not balance: {found[2]}"


async def _balances_are_folds(session: AsyncSession) -> str | None:
    found = await ledger.wrong_balance(session)
    if found is None:
        return None
    return f"ledger account {found[1]} of {found[0]} says {found[2]}, its entries {found[3]}"


async def _invoices_are_their_lines(session: AsyncSession) -> str | None:
    async for invoice, lines in _with_lines(session):
        charged = [line for line in lines if line.kind != "wallet"]
        behavior: TaxBehavior = "inclusive" if invoice.tax_behavior == "inclusive" else "exclusive"
        due = totals(charged, invoice.currency, behavior)
        stored = (invoice.subtotal - invoice.wallet_charge, invoice.total_tax)
        if stored != (due.subtotal, due.tax) or sum(stored, invoice.wallet_charge) != (
            invoice.grand_total
        ):
            return (
                f"invoice {invoice.id} says {invoice.subtotal} + {invoice.total_tax} = "
                f"{invoice.grand_total}, its lines {due.subtotal} + {due.tax} "
                f"+ {invoice.wallet_charge} for the wallet"
            )
    return None


async def _with_lines(
    session: AsyncSession,
) -> AsyncIterator[tuple[Invoice, list[InvoiceLine]]]:
    after = ""
    while True:
        batch = await reconciliation.stored_invoices(session, after, BATCH_SIZE)
        if not batch:
            return
        lines = await reconciliation.lines_by_invoice(session, [row.id for row in batch])
        for invoice in batch:
            yield invoice, lines.get(invoice.id, [])
        after = batch[-1].id


async def _receivables_are_unpaid(session: AsyncSession) -> str | None:
    found = await reconciliation.wrong_receivable(session)
    if found is None:
        return None
    return f"customer {found[0]} owes {found[2]} {found[1]} by invoices, {found[3]} by the ledger"


async def _holds_are_reserved(session: AsyncSession) -> str | None:
    found = await reconciliation.wrong_hold(session)
    if found is None:
        return None
    return f"customer {found[0]} has holds of {found[1]}, reserved funds of {found[2]}"


async def _credits_are_owed(session: AsyncSession) -> str | None:
    found = await reconciliation.wrong_credit(session)
    if found is None:
        return None
    return f"customer {found[0]} has credits of {found[2]} {found[1]}, {found[3]} in the ledger"


async def _no_rest_is_lost(session: AsyncSession) -> str | None:
    for subscription_id, line_id, currency, rest in await reconciliation.unowed_rests(session):
        # What is less than the smallest coin cannot be owed.
        if rest >= Decimal(1).scaleb(-minor_unit(currency)):
            return (
                f"subscription {subscription_id} has ended, and nobody owes the rest of {line_id}"
            )
    return None


async def _uses_are_booked(session: AsyncSession) -> str | None:
    found = await reconciliation.wrong_use(session)
    if found is None:
        return None
    return f"use {found[0]} tells of {found[2]}, the ledger of {found[3]} ({found[1]})"


async def _wallets_got_their_charge(session: AsyncSession) -> str | None:
    found = await reconciliation.wrong_wallet_charge(session)
    if found is None:
        return None
    return f"invoice {found[0]} charges {found[1]} for the wallet, which got {found[2]}"


async def _numbers_have_no_gaps(session: AsyncSession) -> str | None:
    found = await reconciliation.number_gap(session)
    if found is None:
        return None
    return f"merchant {found[0]} took {found[2]} numbers in {found[1]} for {found[3]} invoices"


async def _periods_have_no_gaps(session: AsyncSession) -> str | None:
    found = await reconciliation.period_gap(session)
    if found is None:
        return None
    return f"subscription {found[0]}: invoice {found[1]} does not follow the one before it"


PROOFS: tuple[Proof, ...] = (
    _transfers_balance,
    _balances_are_folds,
    _invoices_are_their_lines,
    _receivables_are_unpaid,
    _holds_are_reserved,
    _credits_are_owed,
    _no_rest_is_lost,
    _uses_are_booked,
    _wallets_got_their_charge,
    _numbers_have_no_gaps,
    _periods_have_no_gaps,
)


def _charges_difference(
    before: list[GatewayCharge], attempts: Mapping[str, Attempt], after: list[GatewayCharge]
) -> str | None:
    """The provider's book against ours: what it had before must be ours, ours must be there after.

    An attempt that is still pending may have been charged: its record is on its way.
    """
    succeeded = [charge for charge in before if charge.status == "succeeded"]
    for charge in succeeded:
        difference = _unknown_charge(charge, attempts.get(charge.idempotency_key))
        if difference is not None:
            return difference
    collected = [charge.invoice_id for charge in succeeded]
    twice = sorted({each for each in collected if collected.count(each) > 1})
    if twice:
        return f"{twice[0]} was charged {collected.count(twice[0])} times at the provider"
    booked = {charge.idempotency_key for charge in after if charge.status == "succeeded"}
    for key, attempt in sorted(attempts.items()):
        if attempt.status == "succeeded" and key not in booked:
            return f"attempt {key} on {attempt.collection_id} succeeded, but not at the provider"
    return None


def _refunds_difference(
    before: list[GatewayCharge],
    given_back: Mapping[str, tuple[Decimal, Decimal]],
    after: list[GatewayCharge],
) -> str | None:
    """What the provider gave back was owed, and what we booked as given back is in its book.

    A refund that is not settled may have been made: its record is on its way.
    """
    for charge in before:
        owed = given_back.get(charge.idempotency_key)
        if owed is not None and charge.amount_refunded > owed[1]:
            return (
                f"the provider gave back {charge.amount_refunded} of {charge.invoice_id}, "
                f"we owed {owed[1]}"
            )
    for charge in after:
        booked = given_back.get(charge.idempotency_key)
        if booked is not None and charge.amount_refunded < booked[0]:
            return (
                f"{booked[0]} of {charge.invoice_id} went back for us, "
                f"{charge.amount_refunded} at the provider"
            )
    return None


def _unknown_charge(charge: GatewayCharge, attempt: Attempt | None) -> str | None:
    if attempt is None:
        return f"the provider charged {charge.amount} {charge.currency} under an unknown key"
    ours = (attempt.collection_id, attempt.amount, attempt.currency)
    theirs = (charge.invoice_id, Decimal(charge.amount), charge.currency)
    if ours != theirs:
        return f"attempt {charge.idempotency_key}: we say {ours}, the provider {theirs}"
    if attempt.status == "failed":
        return f"attempt {charge.idempotency_key} failed for us, but the provider charged it"
    return None
