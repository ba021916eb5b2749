"""The customer of an inline description: found by its email or made; whoever calls holds the rest.

Not an activity of its own: it is a part of the transaction that creates a subscription, so that a
refused subscription leaves no customer behind.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from models.base import new_id
from models.customers import Consumer, Customer
from models.queries import customers


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedCustomer:
    """Who is to subscribe; tax rates are percents as decimal strings and count for a new one."""

    name: str
    email: str
    address: Mapping[str, Any]
    phone: str | None = None
    tax_rates: Mapping[str, str] = field(default_factory=dict)


async def customer_of(session: AsyncSession, merchant_id: str, described: DescribedCustomer) -> str:
    """The id of the merchant's customer with this email, made where there is none."""
    consumer = await customers.consumer_by_email(
        session,
        Consumer(
            id=new_id("org"),
            merchant_id=merchant_id,
            name=described.name,
            email=described.email,
            phone=described.phone,
            address=dict(described.address),
        ),
    )
    known = await customers.of_consumer(session, merchant_id, consumer.id)
    if known is not None:
        return known.id
    row = Customer(
        id=new_id("cus"),
        merchant_id=merchant_id,
        consumer_id=consumer.id,
        tax_rates=dict(described.tax_rates),
    )
    session.add(row)
    await session.flush()
    return row.id
