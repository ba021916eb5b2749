"""Every row belongs to a merchant, and every statement says whose rows it wants."""

import ast
import importlib
import inspect
import typing
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from types import ModuleType
from typing import Any

import pytest

from models import tables
from tests.structure.source import ROOT, Function, read, stems

QUERIES = sorted(stems("models/queries"))
# Statements that look across merchants, or before one is known; each with its reason.
ACROSS_MERCHANTS = {
    "organizations.get": "a merchant's key is its own id",
    "organizations.key_by_digest": "authentication: finds out who the merchant is",
    "organizations.revoke_key": "an operator names a key, not a merchant",
    "payments.session_by_token": "a hosted page: the unguessable token says whose it is",
    "portal_links.by_hash": "a page: the hash of its unguessable secret says whose it is",
    "explanations.any_merchants": "an operator names an invoice, not a merchant",
    "wallet_payouts.any_merchants_customer": "an operator names a customer, not a merchant",
    "customer_credits.any_merchants": "an operator names a credit, not a merchant",
    "simulations.any_merchants_plan": "an operator names a plan, not a merchant",
    "simulations.read_only": "the state of a transaction, not of a table",
    "plan_changes.any_merchants_subscription": "an operator names a subscription, no merchant",
    "outbox.claim": "the relay starts what any merchant is owed",
    "retention.advance": "a walk over the events of all merchants",
    "retention.block_count": "the size of a table",
    "retention.delete_in": "a walk over the events of all merchants",
    "usage_rollups._unseen": "a condition of statements that name the merchant",
    "usage_rollups._insert": "stores what `_raw` selects, which names the merchant",
    "usage._of_parts": "adds up readings that name the merchant",
    "usage_rollups.switched_on": "the night's work for all merchants",
    "usage_rollups.repeatable": "the state of a transaction, not of a table",
    "overdue.workflows": "the sweep looks for what any merchant is owed",
    "ledger.unbalanced_transfer": "a proof over all books",
    "ledger.wrong_balance": "a proof over all books",
    "sides._one_at_a_time": "a lock, not a table",
    "invoices.snapshot": "the state of the database, not of a table",
}
# Proofs read everything, in one snapshot; nothing of it reaches the API.
OPERATORS_MODULES = {"reconciliation"}
# They add the merchant's filter to the statement that they are handed.
FILTERS = {"_selected"}
STATEMENTS = {"select", "update", "delete", "text"}


def test_every_table_has_its_merchant() -> None:
    orphans = {
        table.name
        for table in tables.metadata.sorted_tables
        if (column := table.columns.get("merchant_id")) is None or column.nullable
    }
    assert orphans == {"merchants"}


def test_every_table_module_is_known_to_the_migrations() -> None:
    rows = {"event_rows", "packing", "page", "row_sets"}
    floor = {"base", "database", "statement_pipe", "tables"} | rows
    known = {module.__name__.removeprefix("models.") for module in tables.MODULES}
    assert stems("models") - floor == known


def test_every_table_module_has_its_statements_beside_it() -> None:
    known = {module.__name__.removeprefix("models.") for module in tables.MODULES}
    assert known <= set(QUERIES)


@pytest.mark.parametrize("name", QUERIES)
def test_every_public_query_is_told_whose_rows_it_works_on(name: str) -> None:
    if name in OPERATORS_MODULES:
        return
    module = importlib.import_module(f"models.queries.{name}")
    untold = [
        function.__name__
        for function in _public_queries(module)
        if f"{name}.{function.__name__}" not in ACROSS_MERCHANTS and not _is_told(function)
    ]
    assert untold == []


@pytest.mark.parametrize("name", QUERIES)
def test_every_statement_names_the_merchant(name: str) -> None:
    if name in OPERATORS_MODULES:
        return
    module = read(ROOT / "models/queries" / f"{name}.py")
    unfiltered = [
        function.name
        for function in module.tree.body
        if isinstance(function, Function)
        and f"{name}.{function.name}" not in ACROSS_MERCHANTS
        and _makes_statement(function)
        and not _names_merchant(function)
    ]
    assert unfiltered == []


def test_every_exception_is_still_needed() -> None:
    found = set()
    for entry in ACROSS_MERCHANTS:
        name, function = entry.split(".")
        if hasattr(importlib.import_module(f"models.queries.{name}"), function):
            found.add(entry)
    assert found == set(ACROSS_MERCHANTS)


def _public_queries(module: ModuleType) -> Iterator[Any]:
    for name, function in inspect.getmembers(module, inspect.isfunction):
        is_own = function.__module__ == module.__name__
        if (
            is_own
            and not name.startswith("_")
            and "session" in inspect.signature(function).parameters
        ):
            yield function


def _is_told(function: Any) -> bool:
    hints = typing.get_type_hints(function)
    return "merchant_id" in hints or any(_carries_merchant(hint) for hint in hints.values())


def _carries_merchant(hint: Any, depth: int = 2) -> bool:
    """Whether a value of this type brings a merchant along, itself or in a member."""
    if any(_carries_merchant(inner, depth) for inner in typing.get_args(hint)):
        return True
    if not isinstance(hint, type) or depth == 0:
        return False
    if "merchant_id" in getattr(hint, "__annotations__", {}):
        return True
    if not is_dataclass(hint):
        return False
    members = typing.get_type_hints(hint)
    return any(_carries_merchant(members[each.name], depth - 1) for each in fields(hint))


def _makes_statement(function: Function) -> bool:
    return any(
        isinstance(node, ast.Call) and _called(node) in STATEMENTS for node in ast.walk(function)
    )


def _names_merchant(function: Function) -> bool:
    return any(
        (isinstance(node, ast.Name) and node.id == "merchant_id")
        or (isinstance(node, ast.Attribute) and node.attr == "merchant_id")
        or (isinstance(node, ast.keyword) and node.arg == "merchant_id")
        or (isinstance(node, ast.Call) and _called(node) in FILTERS)
        for node in ast.walk(function)
    )


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Name):
        return node.func.id
    return node.func.attr if isinstance(node.func, ast.Attribute) else ""
