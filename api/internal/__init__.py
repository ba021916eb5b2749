"""What operators do over HTTP, with the installation's own key; no merchant's key opens it."""

from fastapi import APIRouter

from api.internal import (
    api_keys,
    audit_events,
    customer_credits,
    explanations,
    invoice_decisions,
    members,
    merchants,
    notifications,
    plan_changes,
    simulations,
    wallets,
)

router = APIRouter(prefix="/internal/v1", tags=["Internal"])
for each in (
    merchants.router,
    members.router,
    api_keys.router,
    audit_events.router,
    notifications.router,
    explanations.router,
    invoice_decisions.router,
    customer_credits.router,
    wallets.router,
    simulations.router,
    plan_changes.router,
):
    router.include_router(each)
