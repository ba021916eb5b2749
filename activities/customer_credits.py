"""Customer credit transactions: arising with a last invoice, settled by people; no waiting here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlmodel.ext.asyncio.session import AsyncSession

from billing import customer_credits as rules
from billing import ledger as bookkeeping
from billing.errors import NotFound
from billing.ids import derived_id
from billing.taxes import TaxBehavior
from models.customer_credits import CustomerCredit
from models.database import Database
from models.invoices import Invoice, InvoiceLine
from models.manual_lines import ManualLine
from models.queries import customer_credits as credits_of
from models.queries import invoices, ledger, manual_lines, subscriptions
from models.queries.terms import Terms, behavior_of, rate_of, terms_of
from models.subscriptions import Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleCredit:
    """Which credit, and why it is paid out or waived."""

    merchant_id: str
    credit_id: str
    reason: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveCredit:
    """Which credit, and which of the customer's subscriptions gives it back."""

    merchant_id: str
    credit_id: str
    subscription_id: str
    now: datetime


class CustomerCreditActivities:
    """The only writer of customer credits once they stand; no activities: the API calls them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def pay_out(self, command: SettleCredit) -> None:
        """Books that the merchant has given the money back himself, past the provider."""
        async with self._database.transaction() as session:
            row = await _found(session, command.merchant_id, command.credit_id)
            if not _is_settled(row, "paid_out"):
                paid = bookkeeping.credit_paid_out(_parties(row), row.id, amount=row.total)
                await _settle(session, row, "paid_out", paid, command.now, reason=command.reason)

    async def waive(self, command: SettleCredit) -> None:
        """Books that nothing is owed for it any more."""
        async with self._database.transaction() as session:
            row = await _found(session, command.merchant_id, command.credit_id)
            if not _is_settled(row, "waived"):
                taken = bookkeeping.credit_withdrawn(
                    _parties(row), row.id, subtotal=row.subtotal, tax=row.tax
                )
                await _settle(session, row, "waived", taken, command.now, reason=command.reason)

    async def move(self, command: MoveCredit) -> None:
        """Lets the rest wait for the next invoice of another subscription of the customer."""
        async with self._database.transaction() as session:
            row = await _found(session, command.merchant_id, command.credit_id)
            target = await subscriptions.get(
                session, command.merchant_id, command.subscription_id, lock=True
            )
            if target is None:
                raise NotFound(f"No subscription {command.subscription_id}")
            line = _moved_line(row, target, command.now)
            if _is_settled(row, "moved") and row.moved_to == line.id:
                return
            await _check_movable(session, row, target)
            await manual_lines.add(session, line)
            taken = bookkeeping.credit_withdrawn(
                _parties(row), row.id, subtotal=row.subtotal, tax=row.tax
            )
            await _settle(session, row, "moved", taken, command.now, moved_to=line.id)


async def arise(session: AsyncSession, terms: Terms, invoice: Invoice, now: datetime) -> None:
    """Turns what the last invoice could not give back into credits of the customer.

    A part of the transaction that issues it; of any other invoice the next one gives the rest.
    """
    if invoice.ended_to is None or invoice.coming_to is not None:
        return
    owner = terms.subscription
    waiting = await manual_lines.unbilled(session, owner.merchant_id, owner.id)
    rate = rate_of(terms).rate
    behavior = behavior_of(invoice)
    rests = [_rest_of_line(row, rate, behavior) for row in waiting]
    rests += [
        _Rest(
            row.id,
            row.display_name,
            -row.carried,
            row.tax_rate,
            (row.origin or {}).get("behavior", behavior),
        )
        for row in await _cut_corrections(session, invoice)
    ]
    for rest in rests:
        if rest.amount > 0:
            await _add(session, invoice, rest, now)


@dataclass(frozen=True, slots=True)
class _Rest:
    line_id: str
    display_name: str
    amount: Decimal
    tax_rate: Decimal
    behavior: TaxBehavior


def _rest_of_line(row: ManualLine, tax_rate: Decimal, behavior: TaxBehavior) -> _Rest:
    amount = -row.quantity * row.unit_price
    return _Rest(row.id, row.display_name, amount, tax_rate, behavior)


async def _cut_corrections(session: AsyncSession, invoice: Invoice) -> Sequence[InvoiceLine]:
    """Late usage that should have given back more; a manual line's rest waits as a line."""
    lines = await invoices.lines_of(session, invoice.merchant_id, [invoice.id])
    return [line for line in lines if line.carried and line.kind != "manual"]


async def _add(session: AsyncSession, invoice: Invoice, rest: _Rest, now: datetime) -> None:
    owed = rules.owed_back(rest.amount, rest.tax_rate, rest.behavior, invoice.currency)
    if owed.grand_total <= 0:
        # Less than the smallest coin: nobody can pay it.
        return
    row = CustomerCredit(
        id=derived_id("ccr", rest.line_id),
        merchant_id=invoice.merchant_id,
        customer_id=invoice.customer_id,
        subscription_id=invoice.subscription_id,
        invoice_id=invoice.id,
        line_id=rest.line_id,
        display_name=rest.display_name,
        currency=invoice.currency,
        rest=rest.amount,
        tax_behavior=rest.behavior,
        tax_rate=rest.tax_rate,
        subtotal=owed.subtotal,
        tax=owed.tax,
        total=owed.grand_total,
        arisen_at=now,
    )
    if await credits_of.add(session, row):
        arisen = bookkeeping.credit_arisen(
            _parties(row), row.id, subtotal=row.subtotal, tax=row.tax
        )
        await _post(session, row, "arisen", arisen, now)


def _is_settled(row: CustomerCredit, status: rules.Status) -> bool:
    """Whether the same was done before; what was settled in another way is refused."""
    if row.status not in ("standing", status):
        raise rules.CreditSettled(f"The credit is {row.status.replace('_', ' ')} already")
    return row.status == status


async def _settle(
    session: AsyncSession,
    row: CustomerCredit,
    status: rules.Status,
    transfer: bookkeeping.Transfer,
    now: datetime,
    **members: str,
) -> None:
    await _post(session, row, status, transfer, now)
    await credits_of.change(session, row, status=status, settled_at=now, **members)


async def _post(
    session: AsyncSession,
    row: CustomerCredit,
    step: str,
    transfer: bookkeeping.Transfer,
    now: datetime,
) -> None:
    await ledger.post(
        session,
        ledger.Booking(
            merchant_id=row.merchant_id,
            transfer_id=derived_id("ltr", row.id, step),
            booked_at=now,
            transfer=transfer,
        ),
    )


async def _check_movable(session: AsyncSession, row: CustomerCredit, target: Subscription) -> None:
    if row.status != "standing":
        raise rules.CreditSettled("The credit was moved already")
    terms = await terms_of(session, target)
    if target.status == "terminated" or terms.plan.billing_version == 0:
        raise rules.CreditNotMovable("No invoice of that subscription will give it back")
    rules.check_movable(
        rules.Terms(
            customer_id=row.customer_id,
            currency=row.currency,
            tax_behavior=row.tax_behavior,
            tax_rate=row.tax_rate,
        ),
        rules.Terms(
            customer_id=target.customer_id,
            currency=target.currency,
            tax_behavior=terms.behavior,
            tax_rate=rate_of(terms).rate,
        ),
    )


def _moved_line(row: CustomerCredit, target: Subscription, now: datetime) -> ManualLine:
    return ManualLine(
        id=derived_id("li", row.id, target.id),
        merchant_id=row.merchant_id,
        customer_id=target.customer_id,
        subscription_id=target.id,
        display_name=row.display_name,
        currency=row.currency,
        quantity=Decimal(1),
        unit_price=row.rest.copy_negate(),
        invoice_at=now,
        period_start=now,
        period_end=now,
    )


async def _found(session: AsyncSession, merchant_id: str, credit_id: str) -> CustomerCredit:
    row = await credits_of.get(session, merchant_id, credit_id, lock=True)
    if row is None:
        raise NotFound(f"No credit {credit_id}")
    return row


def _parties(row: CustomerCredit) -> bookkeeping.Parties:
    return bookkeeping.Parties(row.merchant_id, row.customer_id, row.currency)
