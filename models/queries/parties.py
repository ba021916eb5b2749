"""Who an invoice is between, as its documents name them; it writes nothing."""

from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.customers import Consumer, Customer
from models.organizations import Merchant


async def of_customer(session: AsyncSession, merchant_id: str, customer_id: str) -> dict[str, Any]:
    """Seller and buyer as they are named now; an issued invoice keeps its own copy."""
    rows = await session.exec(
        select(Merchant, Customer, Consumer)
        .join(Customer, col(Customer.merchant_id) == col(Merchant.id))
        .join(Consumer, col(Consumer.id) == col(Customer.consumer_id))
        .where(
            col(Customer.merchant_id) == merchant_id,
            col(Customer.id) == customer_id,
        )
    )
    merchant, customer, consumer = rows.one()
    return {
        "seller": {
            "name": merchant.name,
            "email": merchant.email,
            "address": merchant.address,
            "tax_id": merchant.tax_id,
        },
        "buyer": {
            "name": consumer.name,
            "email": consumer.email,
            "address": consumer.address,
            "tax_id": customer.tax_id,
            "locale": customer.locale,
        },
    }
