"""A merchant with a product and a clock, as stories use it: through the official client.

It judges nothing: amounts come back as the client reads them.
"""

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx2
import psycopg
from paygentic_sdk import Paygentic
from paygentic_sdk.models import (
    Invoice,
    InvoiceLineItem,
    MintPlanLineInput,
    PlanLineInput,
    Subscription,
)

from activities.organizations import CreatedMerchant

CLOCK_TIMEOUT_MS = 240_000
ASKED_MAX = 1200
ASKED_EVERY_SECONDS = 0.05


def at(text: str) -> datetime:
    """An instant; midnight UTC where the text says no more than a day."""
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Meter:
    """A priced metric: what a plan lists and what events are sent to."""

    price_id: str
    metric_id: str
    event_type: str


Charged = Meter | str


@dataclass(frozen=True)
class Contract:
    """A subscription and who holds it."""

    id: str
    customer_id: str
    first: Subscription
    """As it was answered at its creation."""


def price_of(charged: Charged) -> str:
    """The price's id."""
    return charged.price_id if isinstance(charged, Meter) else charged


class Shop:
    """One merchant's doings; every story on its clock shares it."""

    def __init__(
        self, addresses: Mapping[str, str], merchant: CreatedMerchant, opened: datetime
    ) -> None:
        self.merchant_id = merchant.merchant_id
        self.now = opened
        self.client = Paygentic(
            server_url=addresses["apiUrl"], bearer_auth=merchant.api_key, timeout_ms=30_000
        )
        self.http = httpx2.Client(
            base_url=addresses["apiUrl"],
            headers={"Authorization": f"Bearer {merchant.api_key}"},
            timeout=30,
        )
        self._numbers = itertools.count(1)
        self._database_url = addresses["databaseUrl"]
        self._admin_key = addresses["adminKey"]
        self.product_id = self.client.products.create(
            name="Everything", description="All that is sold", merchant_id=self.merchant_id
        ).id
        self.clock_id = self.client.test_clocks.create(
            name="Stage", current_time=opened, merchant_id=self.merchant_id
        ).id

    def fee(
        self,
        name: str,
        amount: str,
        *,
        every: str = "P1M",
        term: Any = "in_advance",
        **options: Any,
    ) -> str:
        """A fee and its price; returns the price."""
        fee = self.client.fees.create(
            name=name,
            description=name,
            merchant_id=self.merchant_id,
            product_id=self.product_id,
        )
        return self.client.prices.create(
            invoice_display_name=name,
            payment_term=term,
            properties={"unit_price": amount},
            fee_id=fee.id,
            billing_cadence=every,
            **options,
        ).id

    def metric(self, name: str, aggregation: Any = "SUM", **options: Any) -> tuple[str, str]:
        """A metric and the type of its events."""
        event_type = f"event.{next(self._numbers)}"
        path = {} if aggregation == "COUNT" else {"valueProperty": "$.amount"}
        made = self._post(
            "/v0/billableMetrics",
            name=name,
            description=name,
            unit="unit",
            aggregation=aggregation,
            eventType=event_type,
            productId=self.product_id,
            merchantId=self.merchant_id,
            **path,
            **options,
        )
        return made["id"], event_type

    def meter(
        self,
        name: str,
        unit_price: str | None = None,
        *,
        of: tuple[str, str] | None = None,
        aggregation: str = "SUM",
        **options: Any,
    ) -> Meter:
        """A metered price at so much a unit; `of` names a metric that is there already."""
        metric_id, event_type = of or self.metric(name, aggregation)
        options.setdefault("model", "standard")
        if unit_price is not None:
            options.setdefault("properties", {"unitPrice": unit_price})
        made = self._post(
            "/v0/prices",
            billableMetricId=metric_id,
            invoiceDisplayName=name,
            **{"paymentTerm": "in_arrears", **options},
        )
        return Meter(made["id"], metric_id, event_type)

    def tiered(self, name: str, model: str, *bands: Sequence[str | None]) -> Meter:
        """A metered price with bands of (up to, a unit's price[, flat amount])."""
        names = ("upTo", "unitPrice", "flatAmount")
        tiers = [dict(zip(names, band, strict=False)) for band in bands]
        return self.meter(name, model=model, properties={"tiers": tiers})

    def plan(
        self, *charged: Charged, keyed: Mapping[str, Charged] | None = None, **options: Any
    ) -> str:
        """A plan in dollars without tax, unless the options say otherwise.

        Lines that a later version replaces are `keyed`.
        """
        defaults: dict[str, Any] = {"currency": "USD", "billing_cadence": "P1M"}
        lines: list[PlanLineInput | str] = [price_of(each) for each in charged]
        lines += [
            PlanLineInput(price_id=price_of(each), key=key) for key, each in (keyed or {}).items()
        ]
        return self.client.plans.create(
            name=f"Plan {next(self._numbers)}",
            merchant_id=self.merchant_id,
            product_id=self.product_id,
            prices=lines,
            **defaults | options,
        ).id

    def mint(self, plan_id: str, **keyed: Charged) -> None:
        """A new version of the plan, which is its default at once."""
        prices: list[MintPlanLineInput | str] = [
            MintPlanLineInput(price_id=price_of(each), key=key) for key, each in keyed.items()
        ]
        self.client.plans.mint_plan_version(id=plan_id, prices=prices)

    def customer(self, **options: Any) -> str:
        """A customer of this story's own."""
        number = next(self._numbers)
        return self.client.customers.create(
            merchant_id=self.merchant_id,
            consumer={
                "name": f"Customer {number}",
                "email": f"customer.{number}@example.com",
                "address": {"country": "DE", "zip_code": "10115"},
            },
            **options,
        ).customer_id

    def subscribe(
        self,
        plan_id: str,
        start: datetime | None = None,
        *,
        customer_id: str | None = None,
        pays: bool = True,
        **options: Any,
    ) -> Contract:
        """A subscription from now; a first payment is made by transfer, unless nobody `pays`."""
        held_by = customer_id or self.customer()
        made = self.client.subscriptions.create(
            name="Contract",
            plan_id=plan_id,
            customer_id=held_by,
            started_at=start or self.now,
            test_clock_id=self.clock_id,
            **options,
        )
        contract = Contract(made.id, held_by, made)
        if made.status == "pending_payment" and pays:
            self.transfer(self.invoices(contract)[0].id)
            self.await_status(contract, "active")
        return contract

    def approve(self, contract: Contract, number: int) -> None:
        """The operator agrees to a draft."""
        invoice = self.invoices(contract)[number]
        path = f"/internal/v1/invoices/{invoice.id}/approval"
        answer = self.http.post(path, headers={"Authorization": f"Bearer {self._admin_key}"})
        assert answer.is_success, answer.text

    def explained(self, contract: Contract, number: int) -> Any:
        """What the operator is told about the amounts of an invoice."""
        path = f"/internal/v1/invoices/{self.invoices(contract)[number].id}/explanation"
        answer = self.http.get(path, headers={"Authorization": f"Bearer {self._admin_key}"})
        assert answer.is_success, answer.text
        return answer.json()

    def transfer(self, invoice_id: str) -> None:
        """The customer pays an invoice past the provider."""
        self.client.invoices_v2.record_invoice_payment(id=invoice_id, method="out_of_band")

    def save_card(self, customer_id: str, card: str) -> None:
        """The customer saves a card on a hosted page."""
        self.fill(self.client.customers.create_customer_payment_method(id=customer_id).url, card)

    def fill(self, page_url: str, card: str) -> str:
        """Fills a hosted page's form as a browser would; returns what the page says."""
        with httpx2.Client(timeout=30, follow_redirects=True) as browser:
            browser.get(page_url).raise_for_status()
            details = {"cardNumber": card, "expiry": "12/40", "cvc": "123"}
            return browser.post(page_url, data=details).text

    def attempts(self, contract: Contract, number: int) -> list[tuple[str, datetime]]:
        """How each attempt to collect an invoice ended, and when it was made."""
        invoice = self.invoices(contract)[number]
        with psycopg.connect(self._database_url) as connection:
            return connection.execute(
                "SELECT status, attempted_at FROM payment_attempts "
                "WHERE collection_id = %s ORDER BY number",
                [invoice.id],
            ).fetchall()

    def await_status(self, contract: Contract, status: str) -> Subscription:
        """Asks until the subscription has this status (a minute at most)."""
        for _ in range(ASKED_MAX):
            found = self.client.subscriptions.get(id=contract.id)
            if found.status == status:
                return found
            time.sleep(ASKED_EVERY_SECONDS)
        raise TimeoutError(f"{contract.id} is not {status}")

    def await_paid(self, contract: Contract, number: int) -> Invoice:
        """Asks until the invoice is PAID (a minute at most)."""
        for _ in range(ASKED_MAX):
            found = self.invoices(contract)[number]
            if found.status == "PAID":
                return found
            time.sleep(ASKED_EVERY_SECONDS)
        raise TimeoutError(f"Invoice {number} of {contract.id} is not paid")

    def use(
        self,
        contract: Contract,
        meter: Meter,
        amount: float | str,
        when: datetime | str | None = None,
        **content: Any,
    ) -> str:
        """One event, a minute from now unless the story says when; returns its id."""
        instant = at(when) if isinstance(when, str) else when
        return self.report(contract.customer_id, meter, amount, instant, **content)

    def report(
        self,
        subject: str,
        meter: Meter,
        amount: float | str,
        when: datetime | None = None,
        **content: Any,
    ) -> str:
        """The same of whoever is the subject."""
        sent = self.client.events.ingest(
            request={
                "type": meter.event_type,
                "source": "story",
                "subject": subject,
                "data": {"amount": amount, **content},
                "timestamp": when or self.now + timedelta(minutes=1),
                "idempotency_key": f"use-{next(self._numbers)}",
            }
        )
        return str(sent.id)

    def void(self, event_id: str) -> None:
        """An event shall not count."""
        self._post(f"/v0/events/{event_id}/void", reason="Reported by mistake")

    def advance(self, to: datetime) -> None:
        """Moves the clock; answers when all that is due by then has happened."""
        if to <= self.now:
            return
        self.client.test_clocks.advance(
            id=self.clock_id, request_body={"current_time": to}, timeout_ms=CLOCK_TIMEOUT_MS
        )
        self.now = to

    def invoices(self, contract: Contract) -> list[Invoice]:
        """All invoices of the subscription, by sequence number."""
        found = self.client.invoices_v2.list(
            request={"subscription_id": contract.id, "limit": 100}
        ).data
        return sorted(found, key=lambda invoice: invoice.sequence_number)

    def bills(self, contract: Contract) -> list[str]:
        """Each invoice as state, subtotal, tax and total."""
        return [
            f"{each.status} {each.subtotal} + {each.total_tax} = {each.grand_total}"
            for each in self.invoices(contract)
        ]

    def lines(self, contract: Contract, number: int) -> list[InvoiceLineItem]:
        """The lines of the invoice with this sequence number."""
        invoice = self.invoices(contract)[number]
        return self.client.invoices_v2.get_line_items(id=invoice.id).line_items

    def charges(self, contract: Contract, number: int) -> dict[str, Decimal]:
        """What each line of an invoice comes to, unrounded, by its name."""
        lines = self.lines(contract, number)
        found = {each.invoice_display_name: Decimal(each.total_price) for each in lines}
        assert len(found) == len(lines), "Two lines have one name"
        return found

    def windows(self, contract: Contract, number: int) -> dict[str, tuple[datetime, datetime]]:
        """What time each line of an invoice is for, by its name."""
        return {
            each.invoice_display_name: (each.period_start, each.period_end)
            for each in self.lines(contract, number)
            if each.period_start is not None and each.period_end is not None
        }

    def invoice_numbers(self) -> list[str]:
        """The numbers of all that the merchant has issued."""
        with psycopg.connect(self._database_url) as connection:
            rows = connection.execute(
                "SELECT invoice_number FROM invoices "
                "WHERE merchant_id = %s AND invoice_number IS NOT NULL",
                [self.merchant_id],
            ).fetchall()
        return [number for (number,) in rows]

    def terminate(self, contract: Contract) -> Subscription:
        """The merchant ends the subscription now."""
        return self.client.subscriptions.terminate(id=contract.id, reason="End of the story")

    def _post(self, path: str, **body: Any) -> Any:
        """What the client's models do not know (our own models and switches), by plain HTTP."""
        answer = self.http.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()
