"""The frozen list, the page, the suite and the served API agree; nothing is started for it."""

import re
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from api.app import create_app
from settings import Settings
from tests.contract import freeze, page
from tests.contract.frozen import Exchange, operations

OWN_TAGS = {"Operations", "Internal"}
# Beside the contract, because it has no way to do it.
OWN = {
    "acceptDispute",
    "declineDispute",
    "downloadInvoiceXml",
    "downloadRefundPdf",
    "downloadRefundXml",
    "endSubscriptionWithPeriod",
    "getSubscriptionLifecycle",
    "pauseSubscription",
    "resumeSubscription",
    "withdrawSubscriptionEnding",
    "getCustomerLocale",
    "ingestEventBatch",
    "listLateUsage",
    "setCustomerLocale",
    "voidEvent",
}


def served(app: FastAPI) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """The contract's operations in the OpenAPI document: id, method, path, description."""
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            own = operation["operationId"] in OWN or OWN_TAGS & set(operation["tags"])
            if not own:
                yield operation["operationId"], method.upper(), path, operation


def _anonymous(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "{}", path)


def test_the_list_is_what_the_installed_client_says() -> None:
    newest = {name: each for name, each in operations().items() if each.generation == "0.6.3"}
    read = freeze.operations()
    assert set(read) == set(newest)
    for name, each in read.items():
        assert (each["method"], each["path"]) == (newest[name].method, newest[name].path)
        assert each["answers"] == newest[name].answers


def test_all_operations_are_listed() -> None:
    assert len(operations()) == 164
    assert set(freeze.OLDER) <= set(operations())


def test_what_is_served_is_the_contract() -> None:
    app = create_app(Settings())
    wrong = {
        (name, method, path)
        for name, method, path, _operation in served(app)
        if name not in operations()
        or operations()[name].method != method
        or _anonymous(operations()[name].path) != _anonymous(path)
    }
    assert wrong == set()


def test_declared_successes_are_the_contracts() -> None:
    app = create_app(Settings())
    wrong = {
        name: declared
        for name, _method, _path, operation in served(app)
        if (declared := {status for status in operation["responses"] if status[0] == "2"})
        != set(operations()[name].answers)
    }
    assert wrong == {}


def test_every_served_operation_is_driven() -> None:
    app = create_app(Settings())
    assert {name for name, *_rest in served(app)} - page.exercised() == set()


def test_the_page_is_current() -> None:
    assert page.PAGE.read_text() == page.page(), "run: python -m tests.contract.page"


def test_a_missing_member_is_noticed() -> None:
    found = Exchange("GET", "/v0/products", 200, {"object": "list", "data": [{"id": "prod_1"}]})
    assert "data?[].name" in found.faults()
    assert "pagination?.limit" not in found.faults()
    assert "data?[].id" not in found.faults()
    assert Exchange("GET", "/v0/products", 204, None).faults() == ["status 204"]


def test_an_optional_parent_may_be_missing_but_not_empty() -> None:
    body = dict.fromkeys(operations()["getSubscription"].answers["200"])
    assert Exchange("GET", "/v0/subscriptions/sub_1", 200, body).faults() == []
    half = body | {"payment": {"status": "pending"}}
    assert Exchange("GET", "/v0/subscriptions/sub_1", 200, half).faults() == ["payment?.amount"]
