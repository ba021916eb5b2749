"""The main job as a merchant's script: usage in, paid invoice out, through the official client.

The demo tells it to a person and the scenario test checks its amounts; it judges nothing itself.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx2
from paygentic_sdk import Paygentic
from paygentic_sdk.models import (
    Invoice,
    InvoiceLineItem,
    PaymentPending,
    PlanLineInput,
    Subscription,
)

PAYING_CARD = "4242424242424242"
# Of each invoice it declines the first two charges (docs/operations/embedded.md).
DECLINES_TWICE_CARD = "4000009000000011"
PAGE_TIMEOUT_SECONDS = 30.0
CLOCK_TIMEOUT_MS = 120_000


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """What the merchant charges, and when the story begins."""

    start: datetime = datetime(2026, 1, 31, 9, tzinfo=UTC)
    currency: str = "USD"
    monthly_fee: str = "49.00"
    token_price: str = "0.002"  # noqa: S105 - what a token costs
    tax_percent: float = 10
    events: int = 1000


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """What the merchant set up once."""

    product_id: str
    metric_id: str
    plan_id: str
    fee_price_id: str
    token_price_id: str


class Story:
    """One merchant's month, step by step; `tell` hears of each."""

    def __init__(
        self, addresses: dict[str, str], numbers: Numbers, tell: Callable[[str], None]
    ) -> None:
        self.numbers = numbers
        self.merchant_id = addresses["merchantId"]
        self.client = Paygentic(
            server_url=addresses["apiUrl"], bearer_auth=addresses["apiKey"], timeout_ms=30_000
        )
        self._tell = tell

    def set_up_catalogue(self) -> Catalogue:
        """Product, metric, feature, fee, two prices, one plan."""
        numbers, merchant_id = self.numbers, self.merchant_id
        product = self.client.products.create(
            name="Inference API", description="Text in, text out", merchant_id=merchant_id
        )
        metric = self.client.billable_metrics.create(
            name="Tokens",
            description="Tokens read and written",
            unit="token",
            aggregation="SUM",
            event_type="tokens.used",
            value_property="$.tokens",
            merchant_id=merchant_id,
            product_id=product.id,
        )
        self.client.features.create(
            key="inference", name="Inference", merchant_id=merchant_id, product_id=product.id
        )
        fee = self.client.fees.create(
            name="Platform", description="Monthly fee", merchant_id=merchant_id,
            product_id=product.id,
        )  # fmt: skip
        fee_price = self.client.prices.create(
            invoice_display_name="Platform fee",
            payment_term="in_advance",
            properties={"unit_price": numbers.monthly_fee},
            fee_id=fee.id,
            billing_cadence="P1M",
        )
        token_price = self.client.prices.create(
            invoice_display_name="Tokens",
            payment_term="in_arrears",
            properties={"unit_price": numbers.token_price},
            billable_metric_id=metric.id,
            model="standard",
        )
        lines: list[PlanLineInput | str] = [fee_price.id, token_price.id]
        plan = self.client.plans.create(
            name="Pro",
            currency=numbers.currency,
            merchant_id=merchant_id,
            product_id=product.id,
            prices=lines,
            default_tax_rate=numbers.tax_percent,
            tax_behavior="exclusive",
        )
        self._tell(
            f"A plan: {numbers.monthly_fee} a month in advance, {numbers.token_price} a token "
            f"in arrears, {numbers.tax_percent} % tax on top"
        )
        return Catalogue(
            product_id=product.id,
            metric_id=metric.id,
            plan_id=plan.id,
            fee_price_id=fee_price.id,
            token_price_id=token_price.id,
        )

    def create_clock(self) -> str:
        """A test clock at the story's start."""
        clock = self.client.test_clocks.create(
            name="Story", current_time=self.numbers.start, merchant_id=self.merchant_id
        )
        self._tell(f"A test clock stands at {clock.current_time:%Y-%m-%d %H:%M} UTC")
        return clock.id

    def create_customer(self, name: str = "Ada Analytics") -> str:
        """A customer with an address that is good for tax."""
        created = self.client.customers.create(
            merchant_id=self.merchant_id,
            consumer={
                "name": name,
                "email": f"{name.lower().replace(' ', '.')}@example.com",
                "address": {"line1": "1 Main Street", "city": "Berlin", "country": "DE",
                            "zip_code": "10115"},
            },
        )  # fmt: skip
        self._tell(f"A customer: {name}")
        return created.customer_id

    def subscribe(self, catalogue: Catalogue, customer_id: str, clock_id: str) -> Subscription:
        """The plan, on the clock, collected from a saved card."""
        subscription = self.client.subscriptions.create(
            name="Pro for Ada",
            plan_id=catalogue.plan_id,
            customer_id=customer_id,
            started_at=self.numbers.start,
            test_clock_id=clock_id,
            auto_charge=True,
        )
        self._tell(f"A subscription, {subscription.status}")
        return subscription

    def pay(self, page_url: str, card: str = PAYING_CARD) -> str:
        """Fills the hosted page's form as a browser would; returns what the page says."""
        with httpx2.Client(timeout=PAGE_TIMEOUT_SECONDS, follow_redirects=True) as browser:
            browser.get(page_url).raise_for_status()
            answer = browser.post(
                page_url, data={"cardNumber": card, "expiry": "12/40", "cvc": "123"}
            )
        self._tell(f"The hosted page took card …{card[-4:]}: {answer.status_code}")
        return answer.text

    def await_status(self, subscription_id: str, status: str) -> Subscription:
        """Asks until the subscription has this status (a minute at most)."""
        for _attempt in range(1200):
            subscription = self.client.subscriptions.get(id=subscription_id)
            if subscription.status == status:
                self._tell(f"The subscription is {status}")
                return subscription
            time.sleep(0.05)
        raise TimeoutError(f"The subscription is not {status}")

    def use_tokens(
        self, customer_id: str, amounts: Iterable[int], *, first: datetime, prefix: str
    ) -> None:
        """Reports usage, a minute between two events; the same prefix repeats the same events."""
        for number, tokens in enumerate(amounts):
            self.client.events.ingest(
                request={
                    "type": "tokens.used",
                    "source": "story",
                    "subject": customer_id,
                    "data": {"tokens": tokens},
                    "timestamp": first + timedelta(minutes=number),
                    "idempotency_key": f"{prefix}-{number}",
                }
            )

    def advance(self, clock_id: str, to: datetime) -> datetime:
        """Moves the clock; answers when everything due by then has happened."""
        clock = self.client.test_clocks.advance(
            id=clock_id, request_body={"current_time": to}, timeout_ms=CLOCK_TIMEOUT_MS
        )
        self._tell(f"The clock stands at {clock.current_time:%Y-%m-%d %H:%M} UTC")
        return clock.current_time

    def save_card(self, customer_id: str, card: str) -> str:
        """The customer saves another card on a hosted page."""
        session = self.client.customers.create_customer_payment_method(id=customer_id)
        return self.pay(session.url, card)

    def terminate(self, subscription_id: str) -> Subscription:
        """The merchant ends the subscription."""
        ended = self.client.subscriptions.terminate(id=subscription_id, reason="End of the story")
        self._tell(f"The subscription is {ended.status}")
        return ended

    def invoices(self, subscription_id: str) -> list[Invoice]:
        """All invoices of the subscription, by sequence number."""
        found = self.client.invoices_v2.list(
            request={"subscription_id": subscription_id, "limit": 100}
        )
        return sorted(found.data, key=lambda invoice: invoice.sequence_number)

    def lines(self, invoice_id: str) -> list[InvoiceLineItem]:
        """The lines of an invoice."""
        return self.client.invoices_v2.get_line_items(id=invoice_id).line_items


def token_amounts(count: int) -> list[int]:
    """The story's usage: 1, 2, …, 100, 1, 2, … tokens."""
    return [1 + number % 100 for number in range(count)]


def checkout_url(subscription: Subscription) -> str:
    """Where the customer pays a subscription that waits for its first payment."""
    if not isinstance(subscription.payment, PaymentPending):
        raise TypeError(f"Nothing is to be paid for {subscription.id}")
    return subscription.payment.checkout_url
