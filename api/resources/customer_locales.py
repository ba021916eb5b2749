"""The language in which a customer's documents are written; the contract has no word for it."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import StringConstraints

from activities.documents.wording import parse_locale
from api.deps import Caller, Now, Session
from api.idempotency import KeptRoute
from api.schema import Body, CustomerId, Wire, found
from models.queries import customers

router = APIRouter(prefix="/v0/customers", tags=["Customers"], route_class=KeptRoute)

LocaleName = Annotated[str, StringConstraints(pattern="^[a-zA-Z]{2,3}(-[a-zA-Z0-9]{1,8}){0,3}$")]


class LocaleInput(Body):
    """A locale as BCP 47 names it ("de-AT"); null for English."""

    locale: LocaleName | None


class CustomerLocale(Wire):
    """How a customer's documents are written."""

    object: Literal["customerLocale"] = "customerLocale"
    customer_id: str
    locale: str | None


@router.get("/{id}/locale", operation_id="getCustomerLocale")
async def get_customer_locale(id: CustomerId, caller: Caller, session: Session) -> CustomerLocale:
    """Get the locale of a customer's documents; null is English."""
    row = found(await customers.get(session, caller.merchant_id, id), "customer")
    return CustomerLocale(customer_id=row.id, locale=row.locale)


@router.put("/{id}/locale", operation_id="setCustomerLocale")
async def set_customer_locale(
    id: CustomerId, body: LocaleInput, caller: Caller, now: Now, session: Session
) -> CustomerLocale:
    """Set the locale of a customer's documents; what is issued already keeps its own."""
    row = found(await customers.get(session, caller.merchant_id, id, lock=True), "customer")
    if body.locale is not None:
        parse_locale(body.locale)
    row.locale, row.updated_at = body.locale, now
    return CustomerLocale(customer_id=row.id, locale=row.locale)
