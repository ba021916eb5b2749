"""The OpenAPI document against the running API: no 5xx, and no answer that is not declared.

A short, repeatable run by default. DURABILL_SCHEMATHESIS_EXAMPLES=200 makes it long and random.
"""

import os
import re
import zlib
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.app import create_app
from settings import Settings
from tests.contract.world import World

ASKED = os.environ.get("DURABILL_SCHEMATHESIS_EXAMPLES")
EXAMPLES_DEFAULT = 10
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# These end what the path names, so they only get made-up ids.
ENDING = {"DELETE"}
EMPTYING = {"/v0/merchants/{merchantId}/reset"}
# Where a request ends is the HTTP server's to find out, before there is an answer of the API.
FRAMING = {"content-length", "transfer-encoding"}
OBJECT = re.compile(r"/(\w+)/\{(id|merchantId)\}")
Case = schemathesis.Case[Any]
schema = schemathesis.openapi.from_dict(create_app(Settings()).openapi())


@pytest.fixture(scope="session")
def known(fuzzed_world: World) -> dict[str, str]:
    """Objects that exist, by the first part of the path under which they are found."""
    world = fuzzed_world
    catalogue = world.catalogue
    return {
        "products": catalogue.product_id,
        "billableMetrics": catalogue.metric_id,
        "features": world.feature_id,
        "fees": world.fee_id,
        "prices": catalogue.fee_price_id,
        "plans": catalogue.plan_id,
        "customers": world.customer_id,
        "subscriptions": world.subscription.id,
        "invoices": world.invoice_id,
        "testClocks": world.client.test_clocks.create(name="Idle").id,
        "users": world.user_id,
        "merchants": world.addresses["merchantId"],
    }


@pytest.fixture(scope="session")
def named(known: dict[str, str]) -> dict[str, str]:
    """The same by the names under which bodies and queries ask for them."""
    return {
        "productId": known["products"],
        "billableMetricId": known["billableMetrics"],
        "featureId": known["features"],
        "feeId": known["fees"],
        "planId": known["plans"],
        "customerId": known["customers"],
        "subscriptionId": known["subscriptions"],
        "invoiceId": known["invoices"],
        "testClockId": known["testClocks"],
        "merchantId": known["merchants"],
        "organizationId": known["merchants"],
    }


def _aimed(case: Case, known: dict[str, str], named: dict[str, str]) -> Case:
    """Two of three cases ask for objects that exist; what was made up is mostly not found."""
    for name in [each for each in case.headers or {} if each.lower() in FRAMING]:
        del case.headers[name]
    chosen = zlib.crc32(repr((case.path_parameters, case.query, case.body)).encode()) % 3
    if not chosen or case.method in ENDING or case.path in EMPTYING:
        return case
    owner = OBJECT.search(case.path)
    if owner and owner[1] in known:
        case.path_parameters[owner[2]] = known[owner[1]]
    for asked in (case.query, case.body):
        if isinstance(asked, dict):
            asked.update({name: named[name] for name in named.keys() & asked.keys()})
    return case


@schema.parametrize()
@settings(
    max_examples=int(ASKED or EXAMPLES_DEFAULT),
    derandomize=ASKED is None,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@pytest.mark.timeout(1800 if ASKED else 300)
def test_no_answer_is_outside_the_document(
    case: Case, fuzzed_world: World, known: dict[str, str], named: dict[str, str]
) -> None:
    addresses = fuzzed_world.addresses
    key = addresses["adminKey" if case.path.startswith("/internal/") else "apiKey"]
    headers = {"Authorization": f"Bearer {key}"}
    aimed = _aimed(case, known, named)
    response = aimed.call(base_url=addresses["apiUrl"], headers=headers)
    aimed.validate_response(response, checks=CHECKS)
