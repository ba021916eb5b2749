"""Life cycles without Temporal: what a workflow would call is called here, on the real database.

A subclass, not a mock: creations, cards and the gateway are the product's own; only what needs a
running workflow is replaced by the workflow's activities, one after the other.
"""

import asyncio
from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
from fastapi import FastAPI
from temporalio.client import Client as TemporalClient

from activities.gateways.port import (
    ChargeOutcome,
    ChargeRequest,
    PaymentGateway,
    SavedCard,
)
from activities.gateways.simulated import SimulatedGateway
from activities.invoices import DraftInvoice, InvoiceActivities
from activities.organizations import CreatedMerchant
from activities.payment_attempts import BeginAttempt, CardChoice, RecordAttempt
from activities.payment_collections import OpenCollection
from activities.payments import PaymentActivities
from activities.subscription_changes import ChangeSubscription
from activities.subscription_endings import Terminate
from activities.subscription_plans import ChangePlan
from activities.subscription_rolls import RollPeriod
from activities.subscriptions import SubscriptionActivities, SubscriptionRef
from api.app import create_app
from api.commands import Commands, SetPaused, TerminateSubscription, UpdateSubscription
from api.workflow_calls import Unavailable
from api.workflow_starts import Collecting
from local.gateway import create_gateway
from models.base import wall_now
from models.database import Database
from models.payments import PaymentSession
from models.queries import payments, subscriptions
from models.queries import test_clocks as clocks
from settings import Settings
from workflows.connection import connect
from workflows.payment_collection import PayResult
from workflows.test_clock import Advanced

Client = httpx2.AsyncClient
NOWHERE = "127.0.0.1:9"
_numbers = count(1)


async def away() -> TemporalClient:
    """A client of a Temporal that is not there."""
    return await connect(NOWHERE, None, lazy=True, patient=False)


def gateway_of(folder: Path) -> SimulatedGateway:
    """The simulated gateway, called in this process."""
    gateway = SimulatedGateway("http://gateway.test")
    gateway._client = httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=create_gateway(folder / "book.db")),
        base_url="http://gateway.test",
    )
    return gateway


class InProcess(Commands):
    """Commands whose changes happen at once."""

    def __init__(self, database: Database, client: TemporalClient, gateway: PaymentGateway) -> None:
        super().__init__(database, client, gateway)
        self.database = database
        self.gateway = gateway
        self.locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.deleted: list[str] = []
        self.is_away = False
        self.loses_answers = False

    async def _refuse_away(self) -> None:
        if self.is_away:
            raise Unavailable("Temporal is away")

    async def now_of(self, merchant_id: str, subscription_id: str | None) -> datetime:
        async with self.database.transaction() as session:
            if subscription_id is None:
                return wall_now()
            row = await subscriptions.get(session, merchant_id, subscription_id)
            assert row is not None
            return await clocks.now_of(session, merchant_id, row.test_clock_id, wall_now())

    async def terminate_subscription(self, command: TerminateSubscription) -> None:
        await self._refuse_away()
        merchant_id = command.merchant_id
        now = await self.now_of(merchant_id, command.subscription_id)
        await SubscriptionActivities(self.database).terminate_subscription(
            Terminate(
                merchant_id=merchant_id,
                subscription_id=command.subscription_id,
                now=now if command.at is None else min(command.at, now),
                reason=command.reason,
                change_reason=command.change_reason,
                terminated_by=command.terminated_by,
            )
        )

    async def change_subscription(self, command: UpdateSubscription) -> None:
        await self._refuse_away()
        merchant_id = command.merchant_id
        await SubscriptionActivities(self.database).change_subscription(
            ChangeSubscription(
                merchant_id=merchant_id,
                subscription_id=command.subscription_id,
                now=await self.now_of(merchant_id, command.subscription_id),
                changes=command.changes,
            )
        )

    async def approve_first_invoice(self, collecting: Collecting) -> None:
        await self._refuse_away()
        assert collecting.subscription_id is not None
        await SubscriptionActivities(self.database).approve_first_invoice(
            SubscriptionRef(
                merchant_id=collecting.merchant_id,
                subscription_id=collecting.subscription_id,
                now=collecting.clock_now or wall_now(),
            )
        )

    async def set_paused(self, command: SetPaused) -> None:
        await self._refuse_away()
        activities = SubscriptionActivities(self.database)
        merchant_id, subscription_id = command.merchant_id, command.subscription_id
        now = await self.now_of(merchant_id, subscription_id)
        if command.paused:
            await activities.pause_subscription(
                SubscriptionRef(merchant_id=merchant_id, subscription_id=subscription_id, now=now)
            )
        else:
            await activities.resume_subscription(
                SubscriptionRef(merchant_id=merchant_id, subscription_id=subscription_id, now=now)
            )

    async def change_plan(self, command: ChangePlan) -> None:
        await self._refuse_away()
        await SubscriptionActivities(self.database).change_plan(command)

    async def advance_test_clock(
        self, merchant_id: str, clock_id: str, now: datetime, target: datetime
    ) -> Advanced:
        await self._refuse_away()
        if now < target:
            async with self.database.transaction() as session:
                await clocks.move(session, merchant_id, clock_id, target, target)
        return Advanced(target)

    async def delete_test_clock(self, clock_id: str) -> None:
        await self._refuse_away()
        self.deleted.append(clock_id)

    async def pay(
        self,
        session: PaymentSession,
        card: SavedCard,
        *,
        clock_now: datetime | None,
        clock_id: str | None,
        save: bool,
    ) -> PayResult:
        await self._refuse_away()
        assert (clock_now is None) == (clock_id is None)
        choice = CardChoice.of(card, save=save)
        async with self.locks[session.collection_id]:
            return await self.attempt(session, choice, clock_now or wall_now())

    async def attempt(
        self, session: PaymentSession, choice: CardChoice, now: datetime
    ) -> PayResult:
        activities = PaymentActivities(self.database, self.gateway)
        merchant_id, collection_id = session.merchant_id, session.collection_id
        opened = await activities.open_collection(
            OpenCollection(merchant_id=merchant_id, collection_id=collection_id, now=now)
        )
        begun = await activities.begin_attempt(
            BeginAttempt(
                merchant_id=merchant_id,
                collection_id=collection_id,
                number=opened.attempts + 1,
                now=now,
                card=choice,
            )
        )
        if begun.attempt_id is None:
            return PayResult(status=begun.refusal or "not_payable")
        recorded = await activities.record_attempt(
            RecordAttempt(
                merchant_id=merchant_id,
                collection_id=collection_id,
                attempt_id=begun.attempt_id,
                outcome=await self.charge(merchant_id, begun.attempt_id),
                now=now,
                card=choice,
            )
        )
        if recorded.status == "succeeded" and session.subscription_id is not None:
            await SubscriptionActivities(self.database).activate_subscription(
                SubscriptionRef(
                    merchant_id=merchant_id, subscription_id=session.subscription_id, now=now
                )
            )
        return PayResult(recorded.status, recorded.decline_code, recorded.message)

    async def charge(self, merchant_id: str, attempt_id: str) -> ChargeOutcome:
        async with self.database.transaction() as session:
            attempt = await payments.get_attempt(session, merchant_id, attempt_id)
        assert attempt is not None
        outcome = await self.gateway.charge(
            ChargeRequest(
                idempotency_key=attempt.id,
                amount=attempt.amount,
                currency=attempt.currency,
                payment_method_id=attempt.gateway_method_id,
                invoice_id=attempt.collection_id,
            )
        )
        if self.loses_answers:
            raise Unavailable("no answer")
        return outcome

    async def close_period(self, merchant_id: str, subscription_id: str, number: int) -> str:
        """Rolls a period over and issues its invoice, as the workflows do after the grace."""
        rolled = await SubscriptionActivities(self.database).roll_period(
            RollPeriod(
                merchant_id=merchant_id,
                subscription_id=subscription_id,
                sequence_number=number,
                now=await self.now_of(merchant_id, subscription_id),
            )
        )
        assert rolled.closing is not None
        closing = rolled.closing
        await self.issue(merchant_id, closing.invoice_id, closing.grace_period_end)
        return closing.invoice_id

    async def issue(self, merchant_id: str, invoice_id: str, now: datetime) -> None:
        """Drafts and issues an invoice that has begun to close."""
        ref = DraftInvoice(merchant_id=merchant_id, invoice_id=invoice_id, now=now)
        invoicing = InvoiceActivities(self.database)
        await invoicing.draft_invoice(ref)
        await invoicing.finalize_invoice(ref)


def app_with(database: Database, commands: Commands) -> FastAPI:
    """The API with these commands."""
    return create_app(Settings(), database=database, commands=commands)


def accepted(answer: httpx2.Response) -> Any:
    """The body of an answer that grants the request."""
    assert answer.is_success, answer.text
    return answer.json()


class Shop:
    """A merchant's catalogue and customers, made over HTTP with defaults."""

    def __init__(self, client: Client, merchant: CreatedMerchant) -> None:
        self.client = client
        self.merchant_id = merchant.merchant_id

    async def post(self, path: str, **body: Any) -> Any:
        return accepted(await self.client.post(path, json=body))

    async def product(self) -> str:
        made = await self.post(
            "/v0/products", merchantId=self.merchant_id, name="Tokens", description="d"
        )
        return str(made["id"])

    async def fee_price(self, product: str, amount: str, **members: Any) -> str:
        fee = await self.post(
            "/v0/fees",
            merchantId=self.merchant_id,
            productId=product,
            name="Base fee",
            description="d",
        )
        body = {
            "feeId": fee["id"],
            "model": "standard",
            "properties": {"unitPrice": amount},
            "paymentTerm": "in_advance",
            "billingCadence": "P1M",
            "invoiceDisplayName": "Base fee",
        }
        return str((await self.post("/v0/prices", **(body | members)))["id"])

    async def metric_price(self, product: str, unit_price: str, **members: Any) -> tuple[str, str]:
        metric = await self.post(
            "/v0/billableMetrics",
            merchantId=self.merchant_id,
            productId=product,
            name="Tokens used",
            description="All of them",
            unit="token",
            aggregation="SUM",
            eventType="completion",
            valueProperty="$.tokens",
        )
        body = {
            "billableMetricId": metric["id"],
            "model": "standard",
            "properties": {"unitPrice": unit_price},
            "paymentTerm": "in_arrears",
            "invoiceDisplayName": "Tokens",
        }
        price = await self.post("/v0/prices", **(body | members))
        return str(metric["id"]), str(price["id"])

    async def plan(self, product: str, *prices: str, **members: Any) -> str:
        body = {
            "merchantId": self.merchant_id,
            "productId": product,
            "name": "Pro",
            "currency": "USD",
            "prices": list(prices),
            "defaultTaxRate": 10,
        }
        return str((await self.post("/v0/plans", **(body | members)))["id"])

    async def advance_plan(self, amount: str = "49.00", **members: Any) -> str:
        """A plan whose fee is due in advance."""
        product = await self.product()
        return await self.plan(product, await self.fee_price(product, amount), **members)

    async def customer(self) -> str:
        made = await self.post("/v0/customers", merchantId=self.merchant_id, consumer=consumer())
        return str(made["customerId"])

    async def clock(self, at: str = "2026-01-31T00:00:00Z") -> str:
        return str((await self.post("/v0/testClocks", currentTime=at))["id"])

    async def subscribe(self, plan: str, **members: Any) -> Any:
        body = {"name": "Sub", "planId": plan, "startedAt": wall_now().isoformat()}
        if "customer" not in members:
            body["customerId"] = members.pop("customerId", None) or await self.customer()
        return await self.post("/v0/subscriptions", **(body | members))


def consumer(email: str | None = None) -> dict[str, Any]:
    """Somebody who buys, never the same twice."""
    return {
        "name": "Ada",
        "email": email or f"ada{next(_numbers)}@example.com",
        "address": {"country": "DE", "zipCode": "10115"},
    }


CARD = {"cardNumber": "4242 4242 4242 4242", "expiry": "12/40", "cvc": "123"}
DECLINED = CARD | {"cardNumber": "4000000000000002"}
INSUFFICIENT = CARD | {"cardNumber": "4000000000009995"}


async def add_wallet(commands: InProcess, merchant_id: str, customer_id: str, amount: str) -> None:
    """Money on a customer's wallet."""
    from activities.reservations import ReservationActivities, TopUp

    await ReservationActivities(commands.database).top_up(
        TopUp(
            merchant_id=merchant_id,
            customer_id=customer_id,
            currency="USD",
            top_up_id=f"top-up-{next(_numbers)}",
            amount=Decimal(amount),
            now=wall_now(),
        )
    )


def hours_ago(hours: float) -> str:
    """An instant in the past, as the wire writes it."""
    return (wall_now() - timedelta(hours=hours)).isoformat()
