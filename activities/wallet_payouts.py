"""Wallet payout transactions: prepaid funds that a merchant gives back; he moves the money."""

from dataclasses import dataclass
from decimal import Decimal

from billing import ledger as bookkeeping
from billing.errors import Conflict, InsufficientFunds
from billing.ids import derived_id, request_digest
from billing.money import text
from models.base import wall_now
from models.database import Database, repeats_deadlocks
from models.queries import ledger, wallet_payouts
from models.wallet_payouts import WalletPayout


@dataclass(frozen=True, slots=True, kw_only=True)
class PayOutWallet:
    """Whose funds, how much of them, and why; the same key again is the first payout."""

    merchant_id: str
    customer_id: str
    currency: str
    amount: Decimal
    """In whole minor units."""
    reason: str
    idempotency_key: str


class WalletPayoutActivities:
    """The only writer of wallet payouts; no activities: the API calls them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @repeats_deadlocks
    async def pay_out(self, command: PayOutWallet) -> str:
        """Books the payout past the provider; returns its id.

        Funds that are held for uses to come are not free: InsufficientFunds.
        """
        async with self._database.transaction() as session:
            payout_id = derived_id("wpo", command.customer_id, command.idempotency_key)
            merchant_id, customer_id = command.merchant_id, command.customer_id
            balance = await ledger.wallet_balance(
                session, merchant_id, customer_id, command.currency, lock=True
            )
            first = await wallet_payouts.get(session, merchant_id, payout_id)
            if first is not None:
                if first.request_digest != request_digest(command):
                    raise Conflict("The idempotency key was used for another payout")
                return first.id
            if command.amount > balance:
                raise InsufficientFunds(
                    f"The wallet has {text(balance)} {command.currency} to give back"
                )
            await ledger.post(session, _booking(command, payout_id))
            session.add(
                WalletPayout(
                    id=payout_id,
                    merchant_id=merchant_id,
                    customer_id=customer_id,
                    currency=command.currency,
                    amount=command.amount,
                    reason=command.reason,
                    request_digest=request_digest(command),
                    booked_at=wall_now(),
                )
            )
            return payout_id


def _booking(command: PayOutWallet, payout_id: str) -> ledger.Booking:
    parties = bookkeeping.Parties(command.merchant_id, command.customer_id, command.currency)
    return ledger.Booking(
        merchant_id=command.merchant_id,
        transfer_id=derived_id("ltr", payout_id),
        booked_at=wall_now(),
        transfer=bookkeeping.wallet_paid_out(parties, payout_id, amount=command.amount),
    )
