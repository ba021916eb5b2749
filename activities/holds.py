"""Uses and holds on a wallet: parts of a transaction that reserving, using and expiring share.

Not activities of their own: whoever calls them holds the transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlmodel.ext.asyncio.session import AsyncSession

from billing import ledger as bookkeeping
from billing.entitlements import (
    HoldState,
    PricedQuantity,
    check_resolution,
    remaining,
    reservation_cost,
)
from billing.errors import BillingVersionMismatch, InsufficientFunds, InvalidValue, NotFound
from billing.ids import derived_id
from billing.money import text
from billing.taxes import BUILT_IN_RATES, TaxBehavior, TaxCase, TaxedAmount
from models.plans import Plan
from models.prices import Price
from models.queries import customers, ledger, reservations
from models.reservations import Reservation
from models.subscriptions import Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservedItem:
    """A quantity of one metric that is used, or held for; `price` overrides a dynamic price."""

    billable_metric_id: str
    quantity: Decimal
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class PricedItem:
    """A use with the subscription that prices it."""

    subscription: Subscription
    plan: Plan
    price: Price
    item: ReservedItem

    def priced(self, rates: Mapping[str, Decimal]) -> PricedQuantity:
        """What billing must know of it; `rates` are the customer's own tax rates, in percent."""
        case = TaxCase(
            tax_exempt=self.subscription.tax_exempt,
            metric_id=self.item.billable_metric_id,
            plan_id=self.plan.id,
            customer_rates=rates,
            plan_default=self.plan.default_tax_rate,
        )
        return PricedQuantity(
            model=self.price.model,
            properties=self.price.properties,
            quantity=self.item.quantity,
            tax_rate=BUILT_IN_RATES.rate_of(case).rate,
            price=self.item.price,
            in_scope=self.price.tax.get("supplyScope", "IN_SCOPE") == "IN_SCOPE",
        )

    @property
    def behavior(self) -> TaxBehavior:
        return "inclusive" if self.plan.tax_behavior == "inclusive" else "exclusive"


async def price_uses(
    session: AsyncSession, merchant_id: str, customer_id: str, items: Sequence[ReservedItem]
) -> list[PricedItem]:
    """The price of each use; all of them by one active subscription of billing version 0."""
    if await customers.get(session, merchant_id, customer_id) is None:
        raise NotFound(f"No customer {customer_id}")
    priced = [await _price_use(session, merchant_id, customer_id, item) for item in items]
    if len({each.subscription.id for each in priced}) > 1:
        raise InvalidValue(
            "All metrics must be priced by one subscription", field="billableMetricId"
        )
    return priced


async def _price_use(
    session: AsyncSession, merchant_id: str, customer_id: str, item: ReservedItem
) -> PricedItem:
    metric_id = item.billable_metric_id
    found = await reservations.pricing_subscription(session, merchant_id, customer_id, metric_id)
    if found is None:
        raise InvalidValue(
            f"No active subscription of the customer prices {metric_id}", field="billableMetricId"
        )
    subscription, plan, price = found
    if plan.billing_version != 0:
        raise BillingVersionMismatch(
            "The customer's subscription has billing version 1: report meter events instead"
        )
    return PricedItem(subscription, plan, price, item)


async def cost_of(session: AsyncSession, priced: Sequence[PricedItem]) -> TaxedAmount:
    """What these uses cost together, to a billionth."""
    if not priced:
        return TaxedAmount(price=Decimal(0), tax=Decimal(0), total=Decimal(0))
    rates = await tax_rates(session, priced[0].subscription)
    return reservation_cost([each.priced(rates) for each in priced], priced[0].behavior)


async def tax_rates(session: AsyncSession, subscription: Subscription) -> dict[str, Decimal]:
    """The customer's own tax rates, in percent."""
    customer = await customers.get(session, subscription.merchant_id, subscription.customer_id)
    rates = {} if customer is None else customer.tax_rates
    return {key: Decimal(str(value)) for key, value in rates.items()}


async def check_funds(session: AsyncSession, owner: bookkeeping.Parties, needed: Decimal) -> None:
    """Refuses what the wallet does not cover; it stays locked until the transaction ends."""
    available = await ledger.wallet_balance(
        session, owner.merchant_id, owner.customer_id, owner.currency, lock=True
    )
    if available < needed:
        raise InsufficientFunds(
            "The wallet does not cover it",
            details={"available": text(available), "needed": text(needed)},
        )


async def found(session: AsyncSession, merchant_id: str, reservation_id: str) -> Reservation:
    """The hold, locked."""
    row = await reservations.get(session, merchant_id, reservation_id, lock=True)
    if row is None:
        raise NotFound(f"No entitlement {reservation_id}")
    return row


def state_of(row: Reservation) -> HoldState:
    """The row's state as the rules know it."""
    states: dict[str, HoldState] = {
        "reserved": "reserved",
        "consumed": "consumed",
        "released": "released",
        "expired": "expired",
    }
    return states[row.status]


def parties(row: Reservation) -> bookkeeping.Parties:
    """Between whom the held money moves."""
    return bookkeeping.Parties(row.merchant_id, row.customer_id, row.currency)


async def expire_overdue(
    session: AsyncSession, merchant_id: str, customer_id: str, now: datetime
) -> None:
    """Holds past their expiry count no more, whether their workflows have come to it or not."""
    for row in await reservations.overdue(session, merchant_id, customer_id, now):
        await resolve(session, row, "expired", row.expires_at)


async def resolve(session: AsyncSession, row: Reservation, state: HoldState, now: datetime) -> None:
    """Ends the hold once and gives back what was not consumed."""
    check_resolution(state_of(row), state)
    left = remaining(row.amount, row.consumed_amount)
    await reservations.change(session, row.merchant_id, row.id, status=state, resolved_at=now)
    if left > 0:
        await ledger.post(
            session,
            ledger.Booking(
                merchant_id=row.merchant_id,
                transfer_id=derived_id("ltr", row.id, "resolved"),
                booked_at=now,
                transfer=bookkeeping.reservation_released(
                    parties(row), row.id, amount=left, expired=state == "expired"
                ),
            ),
        )
