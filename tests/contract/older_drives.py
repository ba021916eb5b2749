"""What the suite does with the operations that only the older client has."""

from collections.abc import Callable
from typing import Any, Protocol


class Legacy(Protocol):
    """A version 0 customer with money on the wallet, and the older client."""

    @property
    def merchant_id(self) -> str:
        """The merchant."""

    @property
    def metric_id(self) -> str:
        """The metric that the plan prices."""

    @property
    def customer_id(self) -> str:
        """The customer."""

    def ask(self, client: str, **arguments: Any) -> Any:
        """Calls the client's method; returns the answer's body."""


def create_entitlement(legacy: Legacy) -> str:
    """Holds funds for ten tokens."""
    made = legacy.ask(
        "entitlements_v0.create",
        merchant_id=legacy.merchant_id,
        customer_id=legacy.customer_id,
        entitlement_data=[{"billable_metric_id": legacy.metric_id, "quantity": 10}],
        max_uses=2,
    )
    return str(made["id"])


def get_active_entitlements(legacy: Legacy) -> None:
    """Sees the hold."""
    held = create_entitlement(legacy)
    listed = legacy.ask("entitlements_v0.list_active", customer_id=legacy.customer_id)
    assert held in {each["id"] for each in listed["data"]}


CASES: dict[str, Callable[[Legacy], object]] = {
    "createEntitlement": create_entitlement,
    "getActiveEntitlements": get_active_entitlements,
}
