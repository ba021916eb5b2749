"""Payment sessions on the wire: every hosted page that takes money, and how it went. Read only."""

from typing import Annotated, Literal, Self

from fastapi import APIRouter, Depends, Query

from api.deps import Now, OwnMerchant, Session
from api.idempotency import KeptRoute
from api.pagination import Listing, Paging, listing, paginate
from api.schema import CustomerId, Instant, SubscriptionId, Wire
from billing.money import amount_text
from models import payments as tables
from models.queries import payment_standings, payments
from models.queries.payments import SessionFilter

router = APIRouter(prefix="/v0/paymentSessions", tags=["Payment Sessions"], route_class=KeptRoute)

Status = Literal["pending", "processing", "completed", "failed", "expired", "cancelled"]
EntityType = Literal["invoice", "subscription", "payment", "topup"]


class PaymentSession(Wire):
    """A hosted page's session."""

    object: Literal["payment_session"] = "payment_session"
    id: str
    entity_type: str
    entity_id: str
    entity_label: str | None = None
    amount: str
    currency: str
    status: str
    merchant_payment_account_id: str | None = None
    provider_payment_ref: str | None
    completed_at: Instant | None
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: tables.PaymentSession, status: str) -> Self:
        """The answer for a row, and how it stands now."""
        return cls.from_row(row, amount=amount_text(row.amount, row.currency), status=status)


async def session_filter(
    status: Status | None = None,
    customer_id: Annotated[CustomerId | None, Query(alias="customerId")] = None,
    subscription_id: Annotated[SubscriptionId | None, Query(alias="subscriptionId")] = None,
    entity_type: Annotated[EntityType | None, Query(alias="entityType")] = None,
) -> SessionFilter:
    """What a list of sessions may be narrowed by; a subscription's are its invoices' too."""
    return SessionFilter(
        status=status,
        customer_id=customer_id,
        subscription_id=subscription_id,
        entity_type=entity_type,
    )


@router.get("", operation_id="listPaymentSessions")
async def list_payment_sessions(
    merchant_id: OwnMerchant,
    paging: Paging,
    session: Session,
    now: Now,
    narrowed: Annotated[SessionFilter, Depends(session_filter)],
) -> Listing[PaymentSession]:
    """List payment sessions, newest first."""
    statement = payments.sessions_newest_first(merchant_id, narrowed, now)
    page = await paginate(session, statement, paging)
    ids = [row.id for row in page.rows]
    statuses = await payment_standings.of_sessions(session, merchant_id, ids, now)
    answers = (PaymentSession.of(row, statuses[row.id]) for row in page.rows)
    return listing(answers, page.total, paging)
