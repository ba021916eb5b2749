"""Customers' credits on the internal wire: what ended subscriptions owe, and what becomes of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Depends, Path, Query

from activities.customer_credits import MoveCredit, SettleCredit
from api.deps import Commands, Session, Transactions
from api.internal.admin import administrator
from api.pagination import Listing, Paging, listing, paginate
from api.schema import (
    Body,
    CreditId,
    CustomerId,
    Instant,
    MerchantId,
    Reason,
    SubscriptionId,
    Wire,
    found,
)
from billing.money import amount_text, text
from models import customer_credits as tables
from models.base import wall_now
from models.queries import customer_credits as credits_of
from models.queries import subscriptions, test_clocks
from models.queries.customer_credits import CreditFilter

router = APIRouter(prefix="/credits", dependencies=[Depends(administrator)])

Status = Literal["standing", "paid_out", "moved", "waived"]


class Credit(Wire):
    """The rest of a credit behind the last invoice of its subscription."""

    object: Literal["customerCredit"] = "customerCredit"
    id: str
    merchant_id: str
    customer_id: str
    subscription_id: str
    invoice_id: str
    line_id: str
    display_name: str
    status: Status
    currency: str
    rest: str
    """Unrounded, with its tax inside where that is inclusive."""
    tax_behavior: str
    tax_rate: str
    """A fraction."""
    subtotal: str
    tax: str
    total: str
    arisen_at: Instant
    settled_at: Instant | None
    reason: str | None
    moved_to: str | None
    """The manual line that gives it back."""
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: tables.CustomerCredit) -> Self:
        """The answer for a row."""
        return cls.from_row(
            row,
            rest=text(row.rest),
            tax_rate=text(row.tax_rate),
            subtotal=amount_text(row.subtotal, row.currency),
            tax=amount_text(row.tax, row.currency),
            total=amount_text(row.total, row.currency),
        )


class Settlement(Body):
    """Why a credit is paid out or waived: a reference of the transfer, an agreement."""

    reason: Reason


class Move(Body):
    """Which subscription of the customer gives it back."""

    subscription_id: SubscriptionId


async def credit_filter(
    merchant_id: Annotated[MerchantId | None, Query(alias="merchantId")] = None,
    customer_id: Annotated[CustomerId | None, Query(alias="customerId")] = None,
    subscription_id: Annotated[SubscriptionId | None, Query(alias="subscriptionId")] = None,
    status: Status | None = None,
) -> CreditFilter:
    """Whose credits an operator looks for."""
    return CreditFilter(
        merchant_id=merchant_id,
        customer_id=customer_id,
        subscription_id=subscription_id,
        status=status,
    )


@router.get("", operation_id="internalListCredits")
async def list_credits(
    narrowed: Annotated[CreditFilter, Depends(credit_filter)], paging: Paging, session: Session
) -> Listing[Credit]:
    """List the credits that ended subscriptions have left, newest first."""
    page = await paginate(session, credits_of.newest_first(narrowed), paging)
    return listing(map(Credit.of, page.rows), page.total, paging)


@dataclass(frozen=True, slots=True)
class _Desk:
    """Settles credits, and reads in transactions of its own."""

    transactions: Transactions
    commands: Commands

    async def settle(
        self, credit_id: str, reason: str, settle: Callable[[SettleCredit], Awaitable[None]]
    ) -> Credit:
        """Settles it at its subscription's time; answers it as it then stands."""
        async with self.transactions.transaction() as session:
            row = found(await credits_of.any_merchants(session, credit_id), "credit")
            now = await test_clocks.now_of_subscription(
                session, row.merchant_id, row.subscription_id, wall_now()
            )
        await settle(
            SettleCredit(merchant_id=row.merchant_id, credit_id=row.id, reason=reason, now=now)
        )
        return await self.answer(credit_id)

    async def move(self, credit_id: str, subscription_id: str) -> Credit:
        """Moves it at the time of the subscription that takes it."""
        async with self.transactions.transaction() as session:
            row = found(await credits_of.any_merchants(session, credit_id), "credit")
            target = found(
                await subscriptions.get(session, row.merchant_id, subscription_id), "subscription"
            )
            clock_id = target.test_clock_id
            now = await test_clocks.now_of(session, row.merchant_id, clock_id, wall_now())
        await self.commands.move_credit(
            MoveCredit(
                merchant_id=row.merchant_id,
                credit_id=row.id,
                subscription_id=subscription_id,
                now=now,
            )
        )
        return await self.answer(credit_id)

    async def answer(self, credit_id: str) -> Credit:
        """The credit as it now stands."""
        async with self.transactions.transaction() as session:
            row = found(await credits_of.any_merchants(session, credit_id), "credit")
            return Credit.of(row)


Desk = Annotated[_Desk, Depends(_Desk)]


@router.post("/{id}/payout", operation_id="internalPayOutCredit")
async def pay_out_credit(
    credit_id: Annotated[CreditId, Path(alias="id")], body: Settlement, desk: Desk
) -> Credit:
    """Record that the merchant has given a credit back himself."""
    return await desk.settle(credit_id, body.reason, desk.commands.pay_out_credit)


@router.post("/{id}/waiver", operation_id="internalWaiveCredit")
async def waive_credit(
    credit_id: Annotated[CreditId, Path(alias="id")], body: Settlement, desk: Desk
) -> Credit:
    """Record that nothing is owed for a credit any more."""
    return await desk.settle(credit_id, body.reason, desk.commands.waive_credit)


@router.post("/{id}/move", operation_id="internalMoveCredit")
async def move_credit(
    credit_id: Annotated[CreditId, Path(alias="id")], body: Move, desk: Desk
) -> Credit:
    """Let another subscription of the customer give a credit back, on its next invoice."""
    return await desk.move(credit_id, body.subscription_id)
