"""Disputes of charged uses: opened for a customer, accepted or declined by the merchant; once."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from sqlmodel.ext.asyncio.session import AsyncSession

from activities import usage_refunds
from billing.errors import Conflict, NotFound
from models.base import new_id, wall_now
from models.database import Database
from models.disputes import Dispute
from models.queries import disputes, usage_charges
from models.queries import test_clocks as clocks
from models.usage_charges import UsageCharge

REFUND_REASON = "Dispute accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDispute:
    """A customer objects to a use that was charged."""

    merchant_id: str
    usage_charge_id: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerDispute:
    """The merchant's answer; accepting refunds the use."""

    merchant_id: str
    dispute_id: str
    answer: Literal["accepted", "declined"]
    message: str | None = None


class DisputeActivities:
    """The only writer of disputes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open_dispute(self, command: OpenDispute) -> str:
        """Opens the one dispute that a use may have; the API calls it."""
        async with self._database.transaction() as session:
            charge = await _charge(session, command.merchant_id, command.usage_charge_id)
            if charge.refunded_at is not None:
                raise Conflict("The usage event is refunded already")
            items = await usage_charges.items_of(session, command.merchant_id, [charge.id])
            row = Dispute(
                id=new_id("disp"),
                merchant_id=charge.merchant_id,
                usage_charge_id=charge.id,
                customer_id=charge.customer_id,
                status="pending",
                customer_message=command.message,
                currency=charge.currency,
                disputed_amount=sum(
                    (item.price + item.tax for item in items[charge.id]), Decimal(0)
                ),
            )
            if not await disputes.add(session, row):
                raise Conflict("The usage event is disputed already")
            return row.id

    async def answer_dispute(self, command: AnswerDispute) -> None:
        """Accepts or declines, once; the same answer again changes nothing. The API calls it."""
        async with self._database.transaction() as session:
            row = await disputes.get(session, command.merchant_id, command.dispute_id, lock=True)
            if row is None:
                raise NotFound(f"No dispute {command.dispute_id}")
            if row.status == command.answer:
                return
            if row.status != "pending":
                raise Conflict(f"The dispute is {row.status} already")
            if command.answer == "accepted":
                await _refund(session, row)
            now = wall_now()
            row.sqlmodel_update(
                {
                    "status": command.answer,
                    "merchant_message": command.message,
                    "resolved_at": now,
                    "updated_at": now,
                }
            )


async def _charge(session: AsyncSession, merchant_id: str, charge_id: str) -> UsageCharge:
    row = await usage_charges.get(session, merchant_id, charge_id, lock=True)
    if row is None:
        raise NotFound(f"No usage event {charge_id}")
    return row


async def _refund(session: AsyncSession, dispute: Dispute) -> None:
    """Refunds the use, unless the merchant has done so already."""
    charge = await _charge(session, dispute.merchant_id, dispute.usage_charge_id)
    if charge.refunded_at is None:
        now = await clocks.now_of_subscription(
            session, charge.merchant_id, charge.subscription_id, wall_now()
        )
        await usage_refunds.refund(session, charge, REFUND_REASON, now)
