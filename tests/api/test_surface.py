"""What holds for every operation alike, walked over the OpenAPI document."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from api.app import create_app
from models.database import Database
from settings import Settings
from tests.api.in_process import Client

# Lists with limits of their own, as (default, maximum); every other list has the common ones.
LIMITS = {
    "listBillableMetricEvents": (20, 200),
    "listExternalReferences": (50, 100),
    "listItems": (50, 100),
    "listMerchantIntegrations": (50, 100),
    "listSalesforceAccounts": (50, 100),
    "listLineItems": (100, 1000),
    "getInvoiceLineItems": (100, 1000),
}
LIMITS_COMMON = (10, 100)
# What takes no object, or takes what it does not know.
FREE_BODIES = {"ingestEventBatch"}


@dataclass(frozen=True)
class Operation:
    """One operation as the document tells it."""

    name: str
    method: str
    path: str
    told: dict[str, Any]

    @property
    def parameters(self) -> dict[str, Any]:
        return {each["name"]: each for each in self.told.get("parameters", [])}

    def schema(self, parameter: str) -> dict[str, Any]:
        schema: dict[str, Any] = self.parameters[parameter]["schema"]
        for option in schema.get("anyOf", []):
            if option.get("type") != "null":
                return {**option, "default": schema.get("default")}
        return schema

    def address(self, **replaced: str) -> str:
        """The path with ids of the right form that name nothing."""

        def id_of(match: re.Match[str]) -> str:
            name = match[1]
            if name in replaced:
                return replaced[name]
            pattern = self.schema(name).get("pattern", "")
            prefix = re.match(r"\^\(?([a-z]+)", pattern)
            if prefix is None:
                return "1"
            return f"{prefix[1]}_{'0' * (16 if '{16}' in pattern else 32)}"

        return re.sub(r"\{(\w+)\}", id_of, self.path)


def operations() -> Iterator[Operation]:
    app = create_app(Settings(), database=Database("postgresql://nobody@127.0.0.1:9/none"))
    for path, methods in app.openapi()["paths"].items():
        for method, told in methods.items():
            if path.startswith(("/v0/", "/v1/", "/v2/")):
                yield Operation(told["operationId"], method, path, told)


ALL = list(operations())
LISTS = [each for each in ALL if "limit" in each.parameters]
BODIES = [
    each
    for each in ALL
    if "application/json" in each.told.get("requestBody", {}).get("content", {})
    and each.name not in FREE_BODIES
]
NAMED = [each for each in ALL if each.method == "get" and each.path.endswith("/{id}")]


def test_the_walk_sees_the_contract() -> None:
    assert len(ALL) > 60
    assert len(LISTS) > 12
    assert len(BODIES) > 25
    assert len({each.name for each in ALL}) == len(ALL)


async def test_limits_have_their_documented_values(living: Client) -> None:
    for operation in LISTS:
        default, maximum = LIMITS.get(operation.name, LIMITS_COMMON)
        schema = operation.schema("limit")
        assert (schema["default"], schema["maximum"]) == (default, maximum), operation.name
        wrong: list[dict[str, str | int]] = [{"limit": 0}, {"limit": maximum + 1}, {"limit": "ten"}]
        if "offset" in operation.parameters:
            wrong += [{"offset": -1}, {"offset": 2**31}, {"offset": "x"}]
        for query in wrong:
            answer = await living.get(operation.address(), params=query)
            assert answer.status_code == 400, (operation.name, query)
            assert answer.json()["error"] == "validation_error"


async def test_unknown_fields_and_malformed_bodies_are_refused(living: Client) -> None:
    for operation in BODIES:
        needed = (b"",) if operation.told["requestBody"].get("required", False) else ()
        for content in (b'{"surprise": true}', b"{", b"[]", b'"text"', *needed):
            answer = await living.request(
                operation.method,
                operation.address(),
                content=content,
                headers={"Content-Type": "application/json"},
            )
            assert answer.status_code == 400, (operation.name, content, answer.text)
            assert answer.json()["error"] == "validation_error"
            assert answer.json()["message"]


async def test_ids_that_name_nothing_are_not_found(living: Client) -> None:
    for operation in NAMED:
        for id_ in (None, "nothing", "prod-1", "%20", "a" * 300):
            address = operation.address() if id_ is None else operation.address(id=id_)
            answer = await living.get(address)
            assert answer.status_code == 404, address
            assert answer.json()["message"]
            assert answer.json()["error"] == "not_found"
            assert answer.headers["x-request-id"]


async def test_nobody_enters_without_a_key(living: Client) -> None:
    for operation in ALL:
        answer = await living.request(
            operation.method, operation.address(), json={}, headers={"Authorization": ""}
        )
        assert answer.status_code == 401, (operation.name, answer.text)
        assert answer.json()["message"]
        assert answer.headers["x-request-id"]
        assert answer.headers["content-type"] == "application/json"
