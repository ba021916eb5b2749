"""All tables in one import, for migrations and structure tests."""

from sqlmodel import SQLModel

from models import (
    billable_metrics,
    customers,
    disputes,
    external_references,
    features,
    fees,
    invoices,
    items,
    ledger,
    merchant_integrations,
    organizations,
    outbox,
    payments,
    plans,
    prices,
    products,
    reservations,
    subscriptions,
    test_clocks,
    usage,
    usage_charges,
    usage_voids,
)

MODULES = (
    billable_metrics,
    customers,
    disputes,
    external_references,
    features,
    fees,
    invoices,
    items,
    ledger,
    merchant_integrations,
    organizations,
    outbox,
    payments,
    plans,
    prices,
    products,
    reservations,
    subscriptions,
    test_clocks,
    usage,
    usage_charges,
    usage_voids,
)
metadata = SQLModel.metadata
