"""The permissions that an operator can give: an area's name with `read` or `write`, or all."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from models.organizations import EVERYTHING

AREAS = (
    "approvals",
    "billableMetrics",
    "costs",
    "customers",
    "disputes",
    "entitlements",
    "events",
    "externalReferences",
    "features",
    "fees",
    "integrations",
    "invoices",
    "items",
    "merchants",
    "orders",
    "payments",
    "plans",
    "prices",
    "products",
    "revenue",
    "sources",
    "subscriptions",
    "testClocks",
    "usage",
    "users",
    "webhooks",
)


def _known(permission: str) -> str:
    if permission != EVERYTHING and permission.partition(":")[0] not in AREAS:
        raise ValueError(f"no such area; there are {', '.join(AREAS)}")
    return permission


Permission = Annotated[
    str,
    StringConstraints(pattern=r"^([a-zA-Z]{1,40}:(read|write)|\*)$"),
    AfterValidator(_known),
]
Permissions = Annotated[list[Permission], Field(max_length=100)]
