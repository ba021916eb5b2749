"""What a subscription is answered as: its first payment, and both sides where they are asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from fastapi import Depends
from sqlmodel.ext.asyncio.session import AsyncSession

from api.deps import PublicUrl, Transactions
from api.links import checkout_url
from api.schema import Absent, Instant, Rate, Wire, found
from billing.money import amount_text, exact, text
from billing.taxes import BUILT_IN_RATES, TaxCase
from models import subscriptions as tables
from models.customers import Consumer as ConsumerRow
from models.organizations import Merchant as MerchantRow
from models.payments import PaymentSession
from models.queries import organizations, payments, subscriptions
from models.queries.subscriptions import Bought, FirstInvoice


class Breakdown(Wire):
    """Of what a first payment consists."""

    upfront_charges: str
    wallet_charge: str


class Payment(Wire):
    """The first payment: whom or what it waits for, what it was afterwards."""

    status: Literal["awaiting_approval", "pending", "paid"]
    amount: str
    invoice_id: str
    breakdown: Absent[Breakdown] = None
    checkout_url: Absent[str] = None
    payment_session_id: Absent[str] = None


class Merchant(Wire):
    """Who sells."""

    id: str
    name: str
    email: str


class Consumer(Wire):
    """Who buys."""

    id: str
    name: str
    email: str


class SubscriptionCustomer(Wire):
    """Both sides of a subscription."""

    id: str
    merchant_id: str
    merchant: Merchant
    consumer: Consumer


class Subscription(Wire):
    """A customer's subscription of a plan."""

    object: Literal["subscription"] = "subscription"
    id: str
    merchant_id: str
    customer_id: str
    plan_id: str
    plan_version_id: str
    """As of creation."""
    version_number: int
    version_policy: str
    name: str
    status: str
    auto_charge: bool
    tax_exempt: bool
    estimated_tax_rate: Rate
    started_at: Instant
    billing_starts_at: Instant | None
    billing_anchor: Instant
    billing_cadence: str
    elapsed_period_billing: str | None
    payment_term_days: int
    payment: Absent[Payment] = None
    ending_at: Absent[Instant] = None
    minimum_account_balance: Absent[str] = None
    terminated_at: Absent[Instant] = None
    terminated_by: Absent[str] = None
    termination_reason: Absent[str] = None
    termination_change_reason: Absent[str] = None
    test_clock_id: Absent[str] = None
    renewal_reminder_enabled: bool | None
    renewal_reminder_days: int | None
    metadata: dict[str, Any]
    customer: Absent[SubscriptionCustomer] = None
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: tables.Subscription, behind: "Behind") -> Self:
        """The answer for a row and what it hangs on."""
        bought, first = behind.bought[row.id], behind.firsts[row.id]
        minimum = row.minimum_account_balance
        is_legacy = bought.plan.billing_version == 0
        return cls.from_row(
            row,
            plan_version_id=first.invoice.plan_version_id,
            version_number=first.version_number,
            estimated_tax_rate=_percent(row, bought),
            payment=_payment(row, first, behind),
            minimum_account_balance=text(minimum) if minimum is not None and is_legacy else None,
            metadata=row.custom,
            customer=_customer(row, bought.consumer, behind.merchant),
        )


@dataclass(frozen=True, slots=True)
class Behind:
    """What a page of subscriptions hangs on; a merchant only where both sides are shown."""

    bought: Mapping[str, Bought]
    firsts: Mapping[str, FirstInvoice]
    sessions: Mapping[str, PaymentSession]
    public_url: str
    merchant: MerchantRow | None


@dataclass(frozen=True, slots=True)
class SubscriptionReader:
    """Makes answers in three statements a page, whatever its length."""

    session: AsyncSession
    public_url: str
    with_customer: bool = False

    async def answers(
        self, merchant_id: str, rows: Sequence[tables.Subscription]
    ) -> list[Subscription]:
        """The answers for these rows."""
        ids = [row.id for row in rows]
        firsts = await subscriptions.first_invoices(self.session, merchant_id, ids)
        unpaid = [first.invoice.id for first in firsts.values()]
        merchant = None
        if self.with_customer:
            merchant = await organizations.get(self.session, merchant_id)
        behind = Behind(
            bought=await subscriptions.bought_by(self.session, merchant_id, ids),
            firsts=firsts,
            sessions=await payments.sessions_of(self.session, merchant_id, unpaid),
            public_url=self.public_url,
            merchant=merchant,
        )
        return [Subscription.of(row, behind) for row in rows]


@dataclass(frozen=True, slots=True)
class SubscriptionViews:
    """Reads one subscription in a transaction of its own: none is open while a change is made."""

    transactions: Transactions
    public_url: PublicUrl

    async def one(self, merchant_id: str, subscription_id: str) -> Subscription:
        """The subscription as it now stands."""
        async with self.transactions.transaction() as session:
            row = found(
                await subscriptions.get(session, merchant_id, subscription_id), "subscription"
            )
            return (await SubscriptionReader(session, self.public_url).answers(merchant_id, [row]))[
                0
            ]

    async def row(self, merchant_id: str, subscription_id: str) -> tables.Subscription:
        """Only the row."""
        async with self.transactions.transaction() as session:
            row = await subscriptions.get(session, merchant_id, subscription_id)
            return found(row, "subscription")


View = Annotated[SubscriptionViews, Depends(SubscriptionViews)]


def _percent(row: tables.Subscription, bought: Bought) -> Decimal:
    rates = {key: Decimal(str(rate)) for key, rate in bought.customer.tax_rates.items()}
    case = TaxCase(
        tax_exempt=row.tax_exempt,
        metric_id=None,
        plan_id=row.plan_id,
        customer_rates=rates,
        plan_default=bought.plan.default_tax_rate,
    )
    fraction = BUILT_IN_RATES.rate_of(case).rate
    with exact():
        return fraction.scaleb(2)


def _payment(row: tables.Subscription, first: FirstInvoice, behind: Behind) -> Payment | None:
    """The first payment, where something was due in advance."""
    invoice = first.invoice
    # An invoice that only a boundary closes has the end of a window; the one of the start has none.
    is_initial = invoice.ended_to is None and invoice.coming_to is None
    if is_initial and invoice.status == "PAID":
        amount = invoice.grand_total
        shown = amount_text(amount, row.currency) if amount else "0"
        return Payment(status="paid", amount=shown, invoice_id=invoice.id)
    asked = amount_text(invoice.grand_total, row.currency)
    if row.status == "pending_payment" and invoice.status == "DRAFT":
        return Payment(status="awaiting_approval", amount=asked, invoice_id=invoice.id)
    session = behind.sessions.get(invoice.id)
    if row.status != "pending_payment" or session is None:
        return None
    return Payment(
        status="pending",
        amount=asked,
        invoice_id=invoice.id,
        breakdown=Breakdown(
            upfront_charges=amount_text(_upfront(first), row.currency),
            wallet_charge=amount_text(invoice.wallet_charge, row.currency),
        ),
        checkout_url=checkout_url(behind.public_url, session.token),
        payment_session_id=session.id,
    )


def _upfront(first: FirstInvoice) -> Decimal:
    with exact():
        return first.invoice.grand_total - first.invoice.wallet_charge


def _customer(
    row: tables.Subscription, consumer: ConsumerRow, merchant: MerchantRow | None
) -> SubscriptionCustomer | None:
    if merchant is None:
        return None
    return SubscriptionCustomer(
        id=row.customer_id,
        merchant_id=row.merchant_id,
        merchant=Merchant(id=merchant.id, name=merchant.name, email=merchant.email),
        consumer=Consumer(id=consumer.id, name=consumer.name, email=consumer.email),
    )
