"""Puts the API together: servers behind it, routers, errors; it holds no resource's route."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import psycopg
import structlog
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import select

from activities.documents.typesetting import Typesetter
from api import errors, event_batches, event_lane, internal
from api.auth import KeyRing, Needs
from api.commands import Commands
from api.committer import Committer
from api.event_lane import EventLane
from api.event_types import EventTypes
from api.fast_lane import FastLane
from api.intake import Intake
from api.pages import checkout, portal
from api.pages.rendering import mount_static
from api.resources import (
    adjustments,
    billable_metrics,
    customer_locales,
    customers,
    disputes,
    entitlements,
    event_corrections,
    events,
    external_references,
    feature_reconciliations,
    features,
    fee_prices,
    fees,
    invoice_documents,
    invoice_payments,
    invoices,
    items,
    line_items,
    merchant_integrations,
    merchants,
    meters,
    payment_methods,
    payment_sessions,
    payments,
    plan_versions,
    plans,
    portal_links,
    prices,
    products,
    projected_invoices,
    refunds,
    revenue,
    subscription_intervals,
    subscription_pauses,
    subscriptions,
    test_clocks,
    usage_conflicts,
    usage_events,
    users,
    version_migrations,
)
from api.workflow_calls import Unavailable
from models.database import Database
from settings import Settings

READY_TIMEOUT_SECONDS = 3.0

# One router a resource, with the area of its permission: a caller needs `<area>:read` for what
# reads and `<area>:write` for all else. The order is the order of the documentation page.
ROUTERS: tuple[tuple[APIRouter, str], ...] = (
    (products.router, "products"),
    (features.router, "features"),
    (items.router, "items"),
    (billable_metrics.router, "billableMetrics"),
    (meters.router, "billableMetrics"),
    (fees.router, "fees"),
    (prices.router, "prices"),
    (plans.router, "plans"),
    (plan_versions.router, "plans"),
    (customers.router, "customers"),
    (customer_locales.router, "customers"),
    (users.router, "users"),
    (external_references.router, "externalReferences"),
    (merchant_integrations.router, "integrations"),
    (merchants.router, "merchants"),
    (events.router, "events"),
    (usage_conflicts.router, "events"),
    (subscriptions.router, "subscriptions"),
    (subscription_pauses.router, "subscriptions"),
    (portal_links.router, "subscriptions"),
    (adjustments.router, "subscriptions"),
    (feature_reconciliations.router, "subscriptions"),
    (version_migrations.router, "subscriptions"),
    (subscription_intervals.router, "subscriptions"),
    (line_items.router, "invoices"),
    (projected_invoices.router, "invoices"),
    (invoices.router, "invoices"),
    (invoice_documents.router, "invoices"),
    (invoice_payments.router, "invoices"),
    (refunds.router, "invoices"),
    (payments.router, "payments"),
    (payment_sessions.router, "payments"),
    (payment_methods.router, "customers"),
    (test_clocks.router, "testClocks"),
    (entitlements.router, "entitlements"),
    (event_corrections.router, "events"),
    (usage_events.router, "usage"),
    (fee_prices.router, "fees"),
    (disputes.router, "disputes"),
    (revenue.router, "revenue"),
)

operations = APIRouter(tags=["Operations"])


class Ready(BaseModel):
    """Whether the servers behind the API answer."""

    postgres: Literal["ok", "down"]
    temporal: Literal["ok", "down"]


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


@operations.get("/healthz", operation_id="health")
async def health() -> Health:
    """Tell that the process is alive."""
    return Health()


@operations.get("/readyz", operation_id="ready", responses={503: {"model": Ready}})
async def ready(request: Request) -> JSONResponse:
    """Tell whether PostgreSQL and Temporal answer."""
    postgres, temporal = await asyncio.gather(
        _postgres_answers(request.app.state.database), _temporal_answers(request.app)
    )
    body = Ready(postgres="ok" if postgres else "down", temporal="ok" if temporal else "down")
    return JSONResponse(body.model_dump(), status_code=200 if postgres and temporal else 503)


async def _postgres_answers(database: Database) -> bool:
    try:
        async with asyncio.timeout(READY_TIMEOUT_SECONDS), database.transaction() as session:
            await session.exec(select(1))
    except (SQLAlchemyError, psycopg.Error, OSError, TimeoutError):
        return False
    return True


async def _temporal_answers(app: FastAPI) -> bool:
    commands: Commands | None = app.state.commands
    if commands is None:
        return False
    try:
        async with asyncio.timeout(READY_TIMEOUT_SECONDS):
            return await commands.ready()
    except TimeoutError:
        return False


def create_app(
    settings: Settings, *, database: Database | None = None, commands: Commands | None = None
) -> FastAPI:
    """The application; a database or commands that are passed in are used and not closed.

    Its own commands are opened when it starts to serve.
    """
    configure_logging()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if commands is None:
            app.state.commands = await Commands.open(
                opened,
                temporal_address=settings.temporal_address,
                temporal_namespace=settings.temporal_namespace,
                gateway_url=settings.gateway_url,
            )
        yield
        if commands is None:
            await app.state.commands.close()
        if database is None:
            await opened.close()

    opened = database or Database(settings.database_url, pool_size=settings.database_pool_size)
    app = FastAPIOffline(
        title="Durabill",
        version="0.1.0",
        description="Durable, usage-based billing: promises are workflows, money is a ledger.",
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.settings = settings
    app.state.database = opened
    app.state.commands = commands
    app.state.key_ring = KeyRing(opened)
    app.state.event_types = EventTypes(opened)
    app.state.committer = Committer(opened)
    app.state.typesetter = Typesetter()
    _include_routers(app)
    mount_static(app)
    errors.install(app)
    app.add_exception_handler(Unavailable, errors.server_away)
    app.add_middleware(Intake, bulky={event_batches.PATH: event_batches.BODY_BYTES_MAX})
    return app


def served(app: FastAPI) -> FastLane:
    """The application as it is served: events go past the framework where they can."""
    lane = EventLane(app.state.key_ring, app.state.event_types, app.state.committer)
    return FastLane(app, {event_lane.PATH: lane})


def _include_routers(app: FastAPI) -> None:
    app.include_router(operations)
    app.state.needs = {}
    for router, area in ROUTERS:
        needs = Needs(area)
        app.include_router(router, dependencies=[Depends(needs)], responses=errors.RESPONSES)
        app.state.needs |= {getattr(route, "endpoint", None): needs for route in router.routes}
    app.include_router(internal.router, responses=errors.RESPONSES)
    app.include_router(checkout.router)
    app.include_router(portal.router)


def configure_logging() -> None:
    """One JSON object a line, with the request's id and merchant; never a frame's locals."""
    tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(tracebacks),
        structlog.processors.JSONRenderer(),
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=False,
    )
