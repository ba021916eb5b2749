"""Customers' wallets on the internal wire: what they hold, and what is given back of it."""

from typing import Annotated, Literal, Self

from fastapi import APIRouter, Depends, Path
from pydantic import Field

from activities.wallet_payouts import PayOutWallet, WalletPayoutActivities
from api.deps import Session, Transactions
from api.internal.admin import administrator
from api.pagination import Listing, Paging, listing, paginate
from api.schema import Amount, Body, Currency, CustomerId, Instant, Key, Reason, Wire, found
from billing.money import amount_text, text
from models import wallet_payouts as tables
from models.queries import wallet_payouts

router = APIRouter(prefix="/customers/{id}/wallet", dependencies=[Depends(administrator)])

Id = Annotated[CustomerId, Path(alias="id")]


class Funds(Wire):
    """What is paid ahead in a currency; an invoice or a use takes it from what is available."""

    currency: str
    available: str
    reserved: str

    @classmethod
    def of(cls, row: wallet_payouts.Funds) -> Self:
        """The answer for a currency."""
        return cls(
            currency=row.currency, available=text(row.available), reserved=text(row.reserved)
        )


class Wallet(Wire):
    """A customer's prepaid funds; they are his, whichever subscription ends."""

    object: Literal["wallet"] = "wallet"
    customer_id: str
    merchant_id: str
    funds: list[Funds]


class NewPayout(Body):
    """What the merchant has given back, and the reference of the transfer."""

    currency: Currency
    amount: Annotated[Amount, Field(gt=0)]
    reason: Reason
    idempotency_key: Key


class Payout(Wire):
    """A payout of prepaid funds."""

    object: Literal["walletPayout"] = "walletPayout"
    id: str
    merchant_id: str
    customer_id: str
    currency: str
    amount: str
    reason: str
    booked_at: Instant
    created_at: Instant

    @classmethod
    def of(cls, row: tables.WalletPayout) -> Self:
        """The answer for a row."""
        return cls.from_row(row, amount=amount_text(row.amount, row.currency))


@router.get("", operation_id="internalGetWallet")
async def get_wallet(customer_id: Id, session: Session) -> Wallet:
    """Get what a customer has paid ahead."""
    owner = found(await wallet_payouts.any_merchants_customer(session, customer_id), "customer")
    held = await wallet_payouts.funds(session, owner.merchant_id, owner.id)
    return Wallet(
        customer_id=owner.id, merchant_id=owner.merchant_id, funds=[Funds.of(each) for each in held]
    )


@router.post("/payouts", operation_id="internalPayOutWallet", status_code=201)
async def pay_out_wallet(customer_id: Id, body: NewPayout, transactions: Transactions) -> Payout:
    """Record that prepaid funds were given back; the same key again is the first payout."""
    async with transactions.transaction() as session:
        owner = found(await wallet_payouts.any_merchants_customer(session, customer_id), "customer")
    payout_id = await WalletPayoutActivities(transactions).pay_out(
        PayOutWallet(
            merchant_id=owner.merchant_id,
            customer_id=owner.id,
            currency=body.currency,
            amount=body.amount,
            reason=body.reason,
            idempotency_key=body.idempotency_key,
        )
    )
    async with transactions.transaction() as session:
        return Payout.of(
            found(await wallet_payouts.get(session, owner.merchant_id, payout_id), "payout")
        )


@router.get("/payouts", operation_id="internalListWalletPayouts")
async def list_wallet_payouts(customer_id: Id, paging: Paging, session: Session) -> Listing[Payout]:
    """List what was given back of a customer's funds, newest first."""
    owner = found(await wallet_payouts.any_merchants_customer(session, customer_id), "customer")
    statement = wallet_payouts.newest_first(owner.merchant_id, owner.id)
    page = await paginate(session, statement, paging)
    return listing(map(Payout.of, page.rows), page.total, paging)
