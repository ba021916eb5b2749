"""Rows with defaults, one plain function each; a test names only what it is about."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from sqlmodel.ext.asyncio.session import AsyncSession

from models.base import new_id
from models.billable_metrics import BillableMetric
from models.customers import Consumer, Customer
from models.features import Feature
from models.fees import Fee
from models.invoices import Invoice
from models.plans import Plan, PlanLine, PlanVersion
from models.prices import Price
from models.products import Product
from models.subscriptions import Subscription
from models.test_clocks import TestClock

START = datetime(2026, 1, 1, tzinfo=UTC)


Row = TypeVar("Row")


async def stored(session: AsyncSession, row: Row) -> Row:
    session.add(row)
    await session.flush()
    return row


async def a_product(session: AsyncSession, merchant_id: str, **fields: Any) -> Product:
    defaults: dict[str, Any] = {"name": "Tokens", "description": "By the token"}
    row = Product(id=new_id("prod"), merchant_id=merchant_id, **defaults | fields)
    return await stored(session, row)


async def a_feature(session: AsyncSession, product: Product, **fields: Any) -> Feature:
    defaults: dict[str, Any] = {"key": "api-calls", "name": "API calls", "type": "metered"}
    row = Feature(
        id=new_id("feat"),
        merchant_id=product.merchant_id,
        product_id=product.id,
        **defaults | fields,
    )
    return await stored(session, row)


async def a_metric(session: AsyncSession, product: Product, **fields: Any) -> BillableMetric:
    defaults: dict[str, Any] = {
        "name": "Tokens",
        "description": "",
        "unit": "token",
        "aggregation": "SUM",
        "event_type": "llm",
        "value_property": "$.tokens",
    }
    row = BillableMetric(
        id=new_id("bm"),
        merchant_id=product.merchant_id,
        product_id=product.id,
        **defaults | fields,
    )
    return await stored(session, row)


async def a_fee(session: AsyncSession, product: Product, **fields: Any) -> Fee:
    defaults: dict[str, Any] = {"name": "Base fee", "description": ""}
    row = Fee(
        id=new_id("fee"),
        merchant_id=product.merchant_id,
        product_id=product.id,
        **defaults | fields,
    )
    return await stored(session, row)


async def a_price(
    session: AsyncSession, source: BillableMetric | Fee, unit_price: str = "1", **fields: Any
) -> Price:
    metered = isinstance(source, BillableMetric)
    defaults: dict[str, Any] = {
        "billable_metric_id": source.id if metered else None,
        "fee_id": None if metered else source.id,
        "invoice_display_name": source.name,
        "model": "standard",
        "properties": {"unitPrice": unit_price},
        "payment_term": "in_arrears" if metered else "in_advance",
        "billing_cadence": None if metered else "P1M",
        "tax": {"supplyScope": "IN_SCOPE"},
    }
    row = Price(id=new_id("price"), merchant_id=source.merchant_id, **defaults | fields)
    return await stored(session, row)


async def a_plan(session: AsyncSession, product: Product, *prices: Price, **fields: Any) -> Plan:
    """A plan whose version 1 holds the prices."""
    defaults: dict[str, Any] = {
        "name": "Pro",
        "currency": "USD",
        "billing_cadence": "P1M",
        "default_tax_rate": Decimal(0),
        "version_transition": {"effectiveDate": "end_of_current_period", "proration": "none"},
    }
    row = Plan(
        id=new_id("plan"),
        merchant_id=product.merchant_id,
        product_id=product.id,
        default_version_id=new_id("pver"),
        **defaults | fields,
    )
    await stored(session, row)
    await a_plan_version(session, row, *prices, id=row.default_version_id)
    return row


async def a_plan_version(
    session: AsyncSession, plan: Plan, *prices: Price, **fields: Any
) -> PlanVersion:
    defaults: dict[str, Any] = {"id": new_id("pver"), "number": 1}
    version = PlanVersion(merchant_id=plan.merchant_id, plan_id=plan.id, **defaults | fields)
    await stored(session, version)
    for position, price in enumerate(prices):
        line = PlanLine(
            plan_version_id=version.id,
            key=price.id,
            merchant_id=plan.merchant_id,
            price_id=price.id,
            position=position,
        )
        await stored(session, line)
    return version


async def a_customer(session: AsyncSession, merchant_id: str, **fields: Any) -> Customer:
    """A customer with a consumer of its own."""
    consumer = Consumer(
        id=new_id("org"),
        merchant_id=merchant_id,
        name="Ann",
        email=f"{new_id('mail')}@example.com",
        address={"country": "DE", "zipCode": "10115"},
    )
    await stored(session, consumer)
    row = Customer(id=new_id("cus"), merchant_id=merchant_id, consumer_id=consumer.id, **fields)
    return await stored(session, row)


async def a_test_clock(session: AsyncSession, merchant_id: str, **fields: Any) -> TestClock:
    defaults: dict[str, Any] = {"current_time": START, "target_time": START}
    row = TestClock(id=new_id("tc"), merchant_id=merchant_id, **defaults | fields)
    return await stored(session, row)


async def a_subscription(
    session: AsyncSession, customer: Customer, plan: Plan, **fields: Any
) -> Subscription:
    """An active subscription as a row only: no workflow runs it."""
    defaults: dict[str, Any] = {
        "name": "Subscription",
        "status": "active",
        "currency": plan.currency,
        "started_at": START,
        "billing_anchor": START,
        "billing_cadence": plan.billing_cadence,
        "plan_version_id": plan.default_version_id,
    }
    row = Subscription(
        id=new_id("sub"),
        merchant_id=customer.merchant_id,
        customer_id=customer.id,
        plan_id=plan.id,
        **defaults | fields,
    )
    return await stored(session, row)


async def an_invoice(session: AsyncSession, subscription: Subscription, **fields: Any) -> Invoice:
    """An invoice as a row only: it has no lines and nothing in the ledger."""
    defaults: dict[str, Any] = {
        "sequence_number": 0,
        "status": "ACTIVE",
        "tax_behavior": "exclusive",
        "period_start": START,
        "period_end": START + timedelta(days=31),
        "grace_period_end": START + timedelta(days=32),
    }
    row = Invoice(
        id=new_id("inv"),
        merchant_id=subscription.merchant_id,
        customer_id=subscription.customer_id,
        subscription_id=subscription.id,
        plan_version_id=subscription.plan_version_id,
        currency=subscription.currency,
        **defaults | fields,
    )
    return await stored(session, row)
