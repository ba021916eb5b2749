"""Customers on the wire: a merchant and a consumer; what hangs on a customer lives elsewhere."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from api.address_input import AddressInput
from api.deps import Caller, Now, Session
from api.idempotency import KeptRoute
from api.pagination import Listing, Paging, listing, paginate
from api.schema import (
    Absent,
    Body,
    ConsumerId,
    CustomerId,
    Email,
    Instant,
    Label,
    MerchantId,
    MetadataKey,
    Name,
    Patch,
    Rate,
    Wire,
    found,
    omitted,
)
from api.tax_ids import check_tax_id
from billing.addresses import tax_address_problem
from billing.errors import Conflict, InvalidValue, NotAllowed
from billing.money import text
from models import customers as tables
from models.base import new_id
from models.queries import customers, list_totals

router = APIRouter(prefix="/v0/customers", tags=["Customers"], route_class=KeptRoute)

NOTIFICATIONS = {"invoiceIssued": True, "invoicePaid": True, "renewalReminder": True}
TAX_RATES_MAX = 100

Percent = Annotated[Rate, Field(ge=0, le=100)]
TaxRates = Annotated[dict[MetadataKey, Percent], Field(max_length=TAX_RATES_MAX)]


def _rates(value: Any) -> Any:
    """One number stands for the default rate."""
    return value if isinstance(value, dict) else {"default": value}


_RATE_SCHEMA = {"type": "number", "minimum": 0, "maximum": 100}
RatesInput = Annotated[
    TaxRates,
    BeforeValidator(_rates),
    WithJsonSchema(
        {"anyOf": [_RATE_SCHEMA, {"type": "object", "additionalProperties": _RATE_SCHEMA}]}
    ),
]


class ConsumerInput(Body):
    """Who buys; the one with the same email is reused."""

    name: Name
    email: Email
    address: AddressInput
    phone: Annotated[str, StringConstraints(max_length=64)] | None = None


class NewCustomer(Body):
    """A customer to create, of a known or of a new consumer."""

    merchant_id: MerchantId
    consumer: ConsumerInput | None = None
    consumer_id: ConsumerId | None = None
    tax_id: Label | None = None
    external_id: Name | None = None
    tax_rates: TaxRates = Field(default_factory=dict)


class NotificationPatch(Patch):
    """Which mails the customer gets; what is omitted stays."""

    invoice_issued: bool = omitted()
    invoice_paid: bool = omitted()
    renewal_reminder: bool = omitted()


class CustomerPatch(Patch):
    """A change of a customer."""

    tax_id: Label | None = None
    external_id: Name | None = None
    tax_rates: RatesInput = omitted()
    notification_settings: NotificationPatch = omitted()


class ValidTaxAddress(Wire):
    """Whether tax can be computed for the address."""

    valid: bool
    message: Absent[str] = None

    @classmethod
    def of(cls, address: Mapping[str, Any]) -> Self:
        """The judgment on an address."""
        problem = tax_address_problem(address)
        return cls(valid=problem is None, message=problem)


class CreatedCustomer(Wire):
    """The customer's id, new or not."""

    customer_id: str
    valid_tax_address: ValidTaxAddress


class CustomerOrganization(Wire):
    """The consumer behind a customer."""

    id: str
    name: str
    address: dict[str, str]
    billing_emails: list[str]
    phone: Absent[str] = None

    @classmethod
    def of(cls, row: tables.Consumer) -> Self:
        """The answer for a row."""
        return cls.from_row(row, billing_emails=[row.email])


class NotificationSettings(Wire):
    """Which mails the customer gets."""

    invoice_issued: bool
    invoice_paid: bool
    renewal_reminder: bool


class Customer(Wire):
    """A consumer as this merchant's customer."""

    object: Literal["customer"] = "customer"
    id: str
    consumer_id: str
    merchant_id: str
    organization: CustomerOrganization
    tax_id: Absent[str] = None
    external_id: Absent[str] = None
    tax_rates: dict[str, Rate]
    notification_settings: NotificationSettings
    valid_tax_address: ValidTaxAddress
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: tables.Customer, consumer: tables.Consumer) -> Self:
        """The answer for a row and its consumer."""
        return cls.from_row(
            row,
            organization=CustomerOrganization.of(consumer),
            tax_rates={key: Decimal(rate) for key, rate in row.tax_rates.items()},
            notification_settings=NotificationSettings.model_validate(
                NOTIFICATIONS | row.notification_settings
            ),
            valid_tax_address=ValidTaxAddress.of(consumer.address),
        )


class DuplicateExternalId(Conflict):
    """Another living customer has this external id."""

    code = "DUPLICATE_RESOURCE"


class CustomerInUse(Conflict):
    """Subscriptions or invoices hang on the customer."""

    code = "CUSTOMER_IN_USE"


@router.post(
    "",
    operation_id="createCustomer",
    status_code=201,
    responses={200: {"model": CreatedCustomer, "description": "The customer existed already"}},
)
async def create_customer(
    body: NewCustomer, caller: Caller, session: Session, response: Response
) -> CreatedCustomer:
    """Create a customer; the same consumer again gives the same customer, with status 200."""
    merchant_id = caller.own(body.merchant_id)
    consumer = await _consumer(session, merchant_id, body)
    check_tax_id(body.tax_id, _country(consumer))
    row = await customers.of_consumer(session, merchant_id, consumer.id)
    if row is None:
        await _refuse_taken(session, merchant_id, body.external_id)
        row = tables.Customer(
            id=new_id("cus"),
            merchant_id=merchant_id,
            consumer_id=consumer.id,
            external_id=body.external_id,
            tax_id=body.tax_id,
            tax_rates=_stored_rates(body.tax_rates),
            notification_settings=NOTIFICATIONS,
        )
        session.add(row)
    else:
        response.status_code = 200
    address = ValidTaxAddress.of(consumer.address)
    return CreatedCustomer(customer_id=row.id, valid_tax_address=address)


Part = Annotated[str, StringConstraints(min_length=3, max_length=255)]


async def customer_filter(
    name: Part | None = None,
    email: Part | None = None,
    external_id: Annotated[Label | None, Query(alias="externalId")] = None,
) -> customers.CustomerFilter:
    """What a list of customers may be narrowed by; parts match without case."""
    return customers.CustomerFilter(name=name, email=email, external_id=external_id)


Filter = Annotated[customers.CustomerFilter, Depends(customer_filter)]


@router.get("", operation_id="listCustomers")
async def list_customers(
    caller: Caller,
    paging: Paging,
    session: Session,
    narrowed: Filter,
    organization_id: Annotated[MerchantId | None, Query(alias="organizationId")] = None,
) -> Listing[Customer]:
    """List customers, newest first."""
    merchant_id = caller.own(organization_id)
    is_whole = narrowed == customers.CustomerFilter()
    total = await list_totals.of(session, merchant_id, tables.Customer) if is_whole else None
    page = await paginate(session, customers.newest_first(merchant_id, narrowed), paging, total)
    consumers = await customers.consumers_of(session, merchant_id, page.rows)
    answers = (Customer.of(row, consumers[row.consumer_id]) for row in page.rows)
    return listing(answers, page.total, paging)


@router.get("/{id}", operation_id="getCustomer")
async def get_customer(id: CustomerId, caller: Caller, session: Session) -> Customer:
    """Get a customer."""
    row = found(await customers.get(session, caller.merchant_id, id), "customer")
    return await _answer(session, row)


@router.patch("/{id}", operation_id="updateCustomer")
async def update_customer(
    id: CustomerId, body: CustomerPatch, caller: Caller, now: Now, session: Session
) -> Customer:
    """Change a customer; null takes a tax id or an external id away."""
    row = found(await customers.get(session, caller.merchant_id, id, lock=True), "customer")
    changes = body.changes()
    if changes.get("external_id", row.external_id) != row.external_id:
        await _refuse_taken(session, row.merchant_id, changes["external_id"])
    if changes.get("tax_id") is not None:
        consumer = await customers.consumer(session, row.merchant_id, row.consumer_id)
        check_tax_id(changes["tax_id"], _country(found(consumer, "consumer")))
    if "tax_rates" in changes:
        changes["tax_rates"] = _stored_rates(changes["tax_rates"])
    if "notification_settings" in changes:
        sent = body.notification_settings.model_dump(by_alias=True, exclude_unset=True)
        changes["notification_settings"] = NOTIFICATIONS | row.notification_settings | sent
    row.sqlmodel_update(changes | {"updated_at": now})
    return await _answer(session, row)


@router.delete("/{id}", operation_id="deleteCustomer", status_code=204)
async def delete_customer(id: CustomerId, caller: Caller, now: Now, session: Session) -> None:
    """Delete a customer on whom nothing runs and who owes nothing."""
    row = found(await customers.get(session, caller.merchant_id, id, lock=True), "customer")
    blockers = await customers.blockers(session, row.merchant_id, row.id)
    if blockers:
        details = {
            "blockers": [
                {
                    "type": blocker.type,
                    "count": blocker.count,
                    "items": [{"id": id_, "status": status} for id_, status in blocker.shown],
                }
                for blocker in blockers
            ]
        }
        raise CustomerInUse("The customer cannot be deleted yet", details=details)
    row.deleted_at = now


async def _consumer(session: Session, merchant_id: str, body: NewCustomer) -> tables.Consumer:
    """The named consumer, or the one with this email, made where there is none."""
    if body.consumer_id is not None:
        known = await customers.consumer(session, merchant_id, body.consumer_id)
        if known is None:
            raise NotAllowed("The consumer is not managed by this merchant")
        return known
    if body.consumer is None:
        raise InvalidValue("Name a consumer, or describe one", field="consumer")
    fresh = tables.Consumer(
        id=new_id("org"),
        merchant_id=merchant_id,
        name=body.consumer.name,
        email=body.consumer.email,
        phone=body.consumer.phone,
        address=body.consumer.address.model_dump(by_alias=True, exclude_none=True),
    )
    return await customers.consumer_by_email(session, fresh)


def _country(consumer: tables.Consumer) -> str:
    return str(consumer.address.get("country") or "")


async def _refuse_taken(session: Session, merchant_id: str, external_id: str | None) -> None:
    if external_id is None:
        return
    with session.no_autoflush:
        taken = await customers.has_external_id(session, merchant_id, external_id)
    if taken:
        raise DuplicateExternalId("Another customer has this external id")


def _stored_rates(rates: Mapping[str, Decimal]) -> dict[str, str]:
    return {key: text(rate) for key, rate in rates.items()}


async def _answer(session: Session, row: tables.Customer) -> Customer:
    consumer = await customers.consumer(session, row.merchant_id, row.consumer_id)
    return Customer.of(row, found(consumer, "consumer"))
