"""Who an invoice is between, as its documents name them; it writes nothing."""

from collections.abc import Collection
from typing import Any

import sqlalchemy
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.customers import Consumer, Customer
from models.organizations import Merchant
from models.row_sets import is_among


async def of_customer(session: AsyncSession, merchant_id: str, customer_id: str) -> dict[str, Any]:
    """Seller and buyer as they are named now; an issued invoice keeps its own copy."""
    return (await of_customers(session, merchant_id, [customer_id]))[customer_id]


async def of_customers(
    session: AsyncSession, merchant_id: str, customer_ids: Collection[str]
) -> dict[str, dict[str, Any]]:
    """The same, by customer."""
    merchants = await session.exec(
        select(
            col(Merchant.name), col(Merchant.email), col(Merchant.address), col(Merchant.tax_id)
        ).where(col(Merchant.id) == merchant_id)
    )
    name, email, address, tax_id = merchants.one()
    seller = {"name": name, "email": email, "address": address, "tax_id": tax_id}
    return {
        customer_id: {"seller": seller, "buyer": buyer}
        for customer_id, buyer in (await _buyers(session, merchant_id, customer_ids)).items()
    }


async def _buyers(
    session: AsyncSession, merchant_id: str, customer_ids: Collection[str]
) -> dict[str, dict[str, Any]]:
    connection = await session.connection()
    rows = await connection.execute(
        sqlalchemy.select(
            col(Customer.id),
            col(Consumer.name),
            col(Consumer.email),
            col(Consumer.address),
            col(Customer.tax_id),
            col(Customer.locale),
        )
        .join(Consumer, col(Consumer.id) == col(Customer.consumer_id))
        .where(col(Customer.merchant_id) == merchant_id, is_among(col(Customer.id), customer_ids))
    )
    return {
        customer_id: {
            "name": name,
            "email": email,
            "address": address,
            "tax_id": tax_id,
            "locale": locale,
        }
        for customer_id, name, email, address, tax_id, locale in rows
    }
