"""Taking a charged use back: what a refund and an accepted dispute share of a transaction.

Not an activity of its own: whoever calls it holds the transaction.
"""

from datetime import datetime
from decimal import Decimal

from sqlmodel.ext.asyncio.session import AsyncSession

from activities import holds
from billing import ledger as bookkeeping
from billing.entitlements import is_usable
from billing.errors import AlreadyRefunded, NotRefundable
from billing.ids import derived_id
from models.queries import invoices, ledger, reservations, usage_charges
from models.usage_charges import UsageCharge

OPEN_INVOICE = ("ACTIVE", "CLOSING")


async def refund(
    session: AsyncSession, charge: UsageCharge, reason: str | None, now: datetime
) -> None:
    """Gives a use back, once and for good; the caller holds the lock of its row.

    What was paid returns to where it came from, as long as the hold still holds; what accrued is
    not billed, or, where its invoice is drafted already, comes off the next one.
    """
    if charge.refunded_at is not None:
        raise AlreadyRefunded("The usage event is refunded already")
    owed = await _is_drafted(session, charge)
    await usage_charges.change(
        session,
        charge.merchant_id,
        charge.id,
        refunded_at=now,
        refund_reason=reason,
        is_refund_owed=owed,
    )
    if charge.paid_price + charge.paid_tax > 0:
        await _give_back(session, charge, now)


async def _is_drafted(session: AsyncSession, charge: UsageCharge) -> bool:
    """Whether its invoice counts it already; locked, so that no draft is made meanwhile."""
    if charge.invoice_id is None:
        return False
    invoice = await invoices.get(session, charge.merchant_id, charge.invoice_id, lock=True)
    if invoice is None or invoice.status in OPEN_INVOICE:
        return False
    following = await invoices.of_subscription(
        session, charge.merchant_id, charge.subscription_id, *OPEN_INVOICE
    )
    if not following:
        raise NotRefundable("It is billed, and no invoice follows that could give it back")
    return True


async def _give_back(session: AsyncSession, charge: UsageCharge, now: datetime) -> None:
    held = await _held_again(session, charge, now)
    owner = bookkeeping.Parties(charge.merchant_id, charge.customer_id, charge.currency)
    await ledger.post(
        session,
        ledger.Booking(
            merchant_id=charge.merchant_id,
            transfer_id=derived_id("ltr", charge.id, "refunded"),
            booked_at=now,
            transfer=bookkeeping.usage_refunded(
                owner, charge.id, price=charge.paid_price, tax=charge.paid_tax, held=held
            ),
        ),
    )


async def _held_again(session: AsyncSession, charge: UsageCharge, now: datetime) -> Decimal:
    """What goes back into the hold: its part, unless the hold has ended."""
    if charge.reservation_id is None or charge.held_amount == 0:
        return Decimal(0)
    row = await holds.found(session, charge.merchant_id, charge.reservation_id)
    if not is_usable(holds.state_of(row), row.expires_at, now):
        return Decimal(0)
    await reservations.change(
        session,
        row.merchant_id,
        row.id,
        consumed_amount=row.consumed_amount - charge.held_amount,
    )
    return charge.held_amount
