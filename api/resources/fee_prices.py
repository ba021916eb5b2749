"""What a fee costs in a subscription (legacy); the price itself belongs to the catalogue."""

from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Path

from api.deps import Caller, Session
from api.idempotency import KeptRoute
from api.schema import FeeId, Rate, SubscriptionId, Wire, found
from billing.money import exact
from billing.rating import PriceTerms
from models.queries import fees, subscriptions
from models.queries.terms import price_set, terms_of

router = APIRouter(prefix="/v0/fees", tags=["Fees"], route_class=KeptRoute)


class FeePrice(Wire):
    """The price of a fee in a subscription's plan, with the tax rate in percent."""

    id: str
    fee_id: str
    model: Literal["standard"] = "standard"
    payment_term: str
    invoice_display_name: str
    properties: dict[str, Any]
    tax_rate: Rate

    @classmethod
    def of(cls, price: PriceTerms) -> Self:
        """The answer for a price as billing sees it."""
        with exact():
            percent = price.tax_rate.scaleb(2)
        return cls(
            id=price.price_id,
            fee_id=price.source_id,
            payment_term=price.payment_term,
            invoice_display_name=price.display_name,
            properties=dict(price.properties),
            tax_rate=percent,
        )


@router.get("/{id}/price/{subscriptionId}", operation_id="getFeePrice")
async def get_fee_price(
    id: FeeId,
    subscription_id: Annotated[SubscriptionId, Path(alias="subscriptionId")],
    caller: Caller,
    session: Session,
) -> FeePrice:
    """Get what a fee costs in a subscription."""
    merchant_id = caller.merchant_id
    found(await fees.get(session, merchant_id, id), "fee")
    row = found(await subscriptions.get(session, merchant_id, subscription_id), "subscription")
    terms = await terms_of(session, row)
    offered = await price_set(session, terms, row.plan_version_id)
    price = next((each for each in offered.prices if each.source_id == id), None)
    return FeePrice.of(found(price, "price of this fee in the subscription"))
