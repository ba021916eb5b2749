"""Subscriptions on the wire: created here at once, ended through their workflow."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field, StringConstraints

from activities.customers import DescribedCustomer
from activities.subscription_changes import SubscriptionChanges
from activities.subscription_intervals import Why
from activities.subscription_starts import CreateSubscription
from api.commands import TerminateSubscription, UpdateSubscription
from api.deps import Caller, Commands, PublicUrl, Session
from api.idempotency import KeptRoute
from api.pagination import Listing, Paging, listing, paginate
from api.schema import (
    Amount,
    Body,
    ConsumerId,
    CustomerId,
    Description,
    Email,
    Instant,
    Label,
    MerchantId,
    MetadataKey,
    Name,
    Patch,
    PlanId,
    Rate,
    SubscriptionId,
    TestClockId,
    WebAddress,
    omitted,
)
from api.subscription_answers import Subscription, SubscriptionReader, View
from api.workflow_calls import Unavailable
from billing.addresses import tax_address_problem
from billing.errors import Conflict, InvalidValue
from billing.money import text
from models import subscriptions as tables
from models.queries import subscriptions
from models.queries.subscriptions import SubscriptionFilter

router = APIRouter(prefix="/v0/subscriptions", tags=["Subscriptions"], route_class=KeptRoute)

TERMINATED_BY_UPDATE = "terminated"
_ENDING = frozenset({"terminated_at", "terminated_by", "termination_reason"})
SESSION_MINUTES_MAX = 366 * 24 * 60
METADATA_KEYS_MAX = 100

Status = Literal["pending_payment", "active", "terminated"]
ChangeReason = Literal["commercial", "correction", "migration", "unspecified"]
EndingReason = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Scalars = Annotated[
    dict[MetadataKey, Description | bool | int | float], Field(max_length=METADATA_KEYS_MAX)
]
Percent = Annotated[Rate, Field(ge=0, le=100)]


class AddressInput(Body):
    """A postal address; tax needs the country, the zip code and, in the US and Canada, a state."""

    country: Annotated[str, StringConstraints(pattern="^[a-zA-Z]{2}$")]
    zip_code: Annotated[str, StringConstraints(min_length=1, max_length=32)]
    line1: Label | None = None
    line2: Label | None = None
    city: Label | None = None
    state: Label | None = None


class CustomerInput(Body):
    """Who subscribes, where no customer is named; the one with the same email is reused."""

    name: Name
    email: Email
    address: AddressInput
    phone: Annotated[str, StringConstraints(max_length=64)] | None = None
    tax_rates: Annotated[dict[MetadataKey, Percent], Field(max_length=100)] = Field(
        default_factory=dict
    )

    def check(self) -> None:
        """Refuses an address without the state that tax needs; the shape holds the rest of it."""
        problem = tax_address_problem(self.address.model_dump(by_alias=True))
        if problem is not None:
            raise InvalidValue(problem, field="customer.address.state")

    def described(self) -> DescribedCustomer:
        """The same for the transaction that creates the subscription."""
        return DescribedCustomer(
            name=self.name,
            email=self.email,
            address=self.address.model_dump(by_alias=True, exclude_none=True),
            phone=self.phone,
            tax_rates={key: text(rate) for key, rate in self.tax_rates.items()},
        )


class RedirectUrls(Body):
    """Where the checkout sends the customer afterwards."""

    on_success: WebAddress | None = None
    on_failure: WebAddress | None = None


class NewSubscription(Body):
    """A subscription to create, for a named or for a described customer."""

    name: Name
    plan_id: PlanId
    started_at: Instant
    customer_id: CustomerId | None = None
    customer: CustomerInput | None = None
    auto_charge: bool = False
    tax_exempt: bool = False
    ending_at: Instant | None = None
    prefund_amount: Amount | None = None
    """Read and not used: the contract has dropped it."""
    minimum_account_balance: Annotated[Amount, Field(ge=0)] | None = None
    redirect_urls: RedirectUrls | None = None
    elapsed_period_billing: Literal["none", "per_period"] = "none"
    test_clock_id: TestClockId | None = None
    renewal_reminder_enabled: bool | None = None
    renewal_reminder_days: Annotated[int, Field(ge=1, le=30)] | None = None
    payment_term_days: Annotated[int, Field(ge=0, le=365)] = 0
    session_expiry_minutes: Annotated[float, Field(ge=1, le=SESSION_MINUTES_MAX)] | None = None
    version_policy: Literal["floating", "pinned"] = "floating"
    metadata: Scalars = Field(default_factory=dict)
    change_reason: ChangeReason | None = None
    change_description: Description | None = None
    change_metadata: Scalars = Field(default_factory=dict)

    def command(self, merchant_id: str) -> CreateSubscription:
        """The same for the transaction."""
        redirects = self.redirect_urls
        return CreateSubscription(
            merchant_id=merchant_id,
            customer_id=self.customer_id,
            described_customer=None if self.customer is None else self.customer.described(),
            redirect_urls=None if redirects is None else redirects.model_dump(by_alias=True),
            custom=self.metadata,
            why=self.why(),
            **{name: getattr(self, name) for name in _SHARED},
        )

    def why(self) -> Why | None:
        """What is said about its first intervals, if anything is."""
        if not (self.change_reason or self.change_description or self.change_metadata):
            return None
        return Why(
            change_reason=self.change_reason or "unspecified",
            description=self.change_description,
            custom=self.change_metadata,
        )


_SHARED = (
    "plan_id",
    "name",
    "started_at",
    "auto_charge",
    "tax_exempt",
    "ending_at",
    "elapsed_period_billing",
    "test_clock_id",
    "payment_term_days",
    "session_expiry_minutes",
    "minimum_account_balance",
    "version_policy",
    "renewal_reminder_enabled",
    "renewal_reminder_days",
)


class Termination(Body):
    """Why a subscription ends."""

    reason: EndingReason
    change_reason: ChangeReason | None = None


class SubscriptionPatch(Patch):
    """What may be different about a living subscription; with `terminated`, how it ends."""

    ending_at: Instant = omitted()
    status: Literal["active", "terminated"] = omitted()
    terminated_at: Instant = omitted()
    terminated_by: Annotated[str, StringConstraints(min_length=1, max_length=255)] = omitted()
    termination_reason: EndingReason = omitted()
    auto_charge: bool = omitted()
    tax_exempt: bool = omitted()
    minimum_account_balance: Annotated[Amount, Field(ge=0)] = omitted()
    renewal_reminder_enabled: bool | None = omitted()
    renewal_reminder_days: Annotated[int, Field(ge=1, le=30)] | None = omitted()
    payment_term_days: Annotated[int, Field(ge=0, le=365)] = omitted()
    version_policy: Literal["floating", "pinned"] = omitted()

    def living(self) -> SubscriptionChanges | None:
        """The changes of what goes on; None where nothing of it changes."""
        sent = {k: v for k, v in self.changes().items() if k not in {*_ENDING, "status"}}
        cleared = tuple(sorted(name for name, value in sent.items() if value is None))
        return SubscriptionChanges(**sent, cleared=cleared) if sent else None

    def ending(self, row: tables.Subscription) -> TerminateSubscription | None:
        """How it ends, if it does; only an ending is described."""
        if self.status != "terminated":
            for name in sorted(self.model_fields_set & _ENDING):
                field = type(self).model_fields[name].alias or name
                raise InvalidValue("Only together with the status terminated", field=field)
            return None
        if self.terminated_at is not None and self.terminated_at <= row.started_at:
            raise InvalidValue("must lie after the start", field="terminatedAt")
        return TerminateSubscription(
            merchant_id=row.merchant_id,
            subscription_id=row.id,
            reason=self.termination_reason or TERMINATED_BY_UPDATE,
            terminated_by=self.terminated_by or row.merchant_id,
            at=self.terminated_at,
        )


@dataclass(frozen=True, slots=True)
class _Door:
    """Changes of subscriptions that are known to live."""

    commands: Commands
    view: View

    async def living(self, merchant_id: str, subscription_id: str) -> tables.Subscription:
        """The row; refused when it has ended for ever."""
        row = await self.view.row(merchant_id, subscription_id)
        if row.status == "terminated":
            raise Conflict("The subscription is terminated already")
        return row

    async def change(self, row: tables.Subscription, changes: SubscriptionChanges) -> None:
        """Changes it through its workflow."""
        try:
            await self.commands.change_subscription(
                UpdateSubscription(
                    merchant_id=row.merchant_id, subscription_id=row.id, changes=changes
                )
            )
        except Unavailable:
            # A subscription that ended in the meantime has no workflow left that could answer.
            await self.living(row.merchant_id, row.id)
            raise

    async def end(self, command: TerminateSubscription) -> None:
        """Ends it through its workflow; found ended, it has what it wants."""
        try:
            await self.commands.terminate_subscription(command)
        except Unavailable:
            row = await self.view.row(command.merchant_id, command.subscription_id)
            if row.status != "terminated":
                raise


Door = Annotated[_Door, Depends(_Door)]


@dataclass(frozen=True, slots=True)
class _Scope:
    """Whose subscriptions are listed, and whether both sides are shown with them."""

    merchant_id: str
    is_named: bool
    with_customer: bool


async def list_scope(
    caller: Caller,
    merchant_id: Annotated[MerchantId | None, Query(alias="merchantId")] = None,
    include: Literal["customer"] | None = None,
) -> _Scope:
    """The merchant of a list, and what is included in it."""
    return _Scope(
        merchant_id=caller.own(merchant_id),
        is_named=merchant_id is not None,
        with_customer=include is not None,
    )


Scope = Annotated[_Scope, Depends(list_scope)]


@router.post(
    "",
    operation_id="createSubscription",
    status_code=201,
    responses={200: {"model": Subscription, "description": "It existed already"}},
)
async def create_subscription(
    body: NewSubscription,
    caller: Caller,
    commands: Commands,
    view: View,
    response: Response,
) -> Subscription:
    """Create a subscription; the same customer and plan again answer the first one, with 200."""
    if (body.customer_id is None) == (body.customer is None):
        raise InvalidValue("Name a customer or describe one, not both", field="customerId")
    if body.customer is not None:
        body.customer.check()
    created = await commands.create_subscription(body.command(caller.merchant_id))
    if not created.created:
        response.status_code = 200
    return await view.one(caller.merchant_id, created.subscription_id)


async def subscription_filter(
    customer_id: Annotated[CustomerId | None, Query(alias="customerId")] = None,
    consumer_id: Annotated[ConsumerId | None, Query(alias="consumerId")] = None,
    status: Annotated[list[Status] | None, Query(max_length=3)] = None,
    started_before: Annotated[Instant | None, Query(alias="startedBefore")] = None,
) -> SubscriptionFilter:
    """What a list of subscriptions may be narrowed by."""
    return SubscriptionFilter(
        customer_id=customer_id,
        consumer_id=consumer_id,
        statuses=status or (),
        started_before=started_before,
    )


@router.get("", operation_id="listSubscriptions")
async def list_subscriptions(
    scope: Scope,
    paging: Paging,
    session: Session,
    narrowed: Annotated[SubscriptionFilter, Depends(subscription_filter)],
    public_url: PublicUrl,
) -> Listing[Subscription]:
    """List subscriptions, newest first."""
    if narrowed.customer_id is not None and (scope.is_named or narrowed.consumer_id is not None):
        raise InvalidValue("Excludes merchantId and consumerId", field="customerId")
    statement = subscriptions.newest_first(scope.merchant_id, narrowed)
    page = await paginate(session, statement, paging)
    reader = SubscriptionReader(session, public_url, with_customer=scope.with_customer)
    return listing(await reader.answers(scope.merchant_id, page.rows), page.total, paging)


@router.get("/{id}", operation_id="getSubscription")
async def get_subscription(id: SubscriptionId, caller: Caller, view: View) -> Subscription:
    """Get a subscription; while its first payment is pending, with the address to pay at."""
    return await view.one(caller.merchant_id, id)


@router.post("/{id}/termination", operation_id="terminateSubscription")
async def terminate_subscription(
    id: SubscriptionId, body: Termination, caller: Caller, door: Door
) -> Subscription:
    """End a subscription now; what ran until now is billed."""
    row = await door.living(caller.merchant_id, id)
    await door.end(
        TerminateSubscription(
            merchant_id=row.merchant_id,
            subscription_id=row.id,
            reason=body.reason,
            terminated_by=caller.merchant_id,
            change_reason=body.change_reason,
        )
    )
    return await door.view.one(caller.merchant_id, id)


@router.patch("/{id}", operation_id="updateSubscription")
async def update_subscription(
    id: SubscriptionId, body: SubscriptionPatch, caller: Caller, door: Door
) -> Subscription:
    """Change a subscription; periods that have begun keep their versions. It can also end here."""
    row = await door.living(caller.merchant_id, id)
    if body.status == "active" and row.status != "active":
        raise InvalidValue("Only its first payment makes it active", field="status")
    ending, changes = body.ending(row), body.living()
    if changes is not None:
        await door.change(row, changes)
    if ending is not None:
        await door.end(ending)
    return await door.view.one(caller.merchant_id, id)
