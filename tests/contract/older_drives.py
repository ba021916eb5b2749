"""What the suite does with the operations that only the older client has."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol

from models.base import wall_now
from tests.contract.frozen import fresh


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

    @property
    def priced_fee(self) -> tuple[str, str]:
        """A fee, and a subscription to a plan that prices it."""

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


def _instant(hours: float) -> dict[str, str]:
    return {"instant": (wall_now() + timedelta(hours=hours)).isoformat()}


def _use(legacy: Legacy) -> dict[str, Any]:
    return {
        "customer_id": legacy.customer_id,
        "merchant_id": legacy.merchant_id,
        "idempotency_key": fresh("usage-"),
        "properties": [{"billable_metric_id": legacy.metric_id, "quantity": 10}],
    }


def create_usage_event(legacy: Legacy) -> str:
    """Ten tokens, paid from the wallet."""
    made = legacy.ask("usage_events.create", **_use(legacy), timestamp=_instant(0))
    return str(made["id"])


def batch_create_usage_events(legacy: Legacy) -> None:
    """Two uses at once."""
    timestamp = wall_now().isoformat()
    events = [{**_use(legacy), "timestamp": timestamp} for _time in range(2)]
    legacy.ask("usage_events.batch_create", events=events)


def list_usage_events(legacy: Legacy) -> None:
    """Finds one."""
    made = create_usage_event(legacy)
    listed = legacy.ask(
        "usage_events.list",
        start_time=_instant(-1),
        end_time=_instant(1),
        customer_id=legacy.customer_id,
        limit=100,
    )
    assert made in {each["id"] for each in listed["data"]}


def get_usage_event(legacy: Legacy) -> None:
    """Reads one back."""
    made = create_usage_event(legacy)
    assert legacy.ask("usage_events.get", id=made)["id"] == made


def refund_usage_event(legacy: Legacy) -> None:
    """Takes one back."""
    taken = legacy.ask("usage_events.refund", id=create_usage_event(legacy), reason="Wrong")
    assert taken["refund"]["reason"] == "Wrong"


def create_dispute(legacy: Legacy) -> str:
    """The customer objects to one."""
    made = legacy.ask(
        "disputes.create",
        message="These tokens were never used by us",
        usage_event_id=create_usage_event(legacy),
    )
    return str(made["id"])


def list_disputes(legacy: Legacy) -> None:
    """Finds one."""
    made = create_dispute(legacy)
    listed = legacy.ask("disputes.list", request={"merchant_id": legacy.merchant_id, "limit": 100})
    assert made in {each["id"] for each in listed["data"]}


def get_fee_price(legacy: Legacy) -> None:
    """What the fee costs in the subscription."""
    fee_id, subscription_id = legacy.priced_fee
    legacy.ask("fees.get_price", id=fee_id, subscription_id=subscription_id)


CASES: dict[str, Callable[[Legacy], object]] = {
    "createEntitlement": create_entitlement,
    "getActiveEntitlements": get_active_entitlements,
    "createUsageEvent": create_usage_event,
    "batchCreateUsageEvents": batch_create_usage_events,
    "listUsageEvents": list_usage_events,
    "getUsageEvent": get_usage_event,
    "refundUsageEvent": refund_usage_event,
    "createDispute": create_dispute,
    "listDisputes": list_disputes,
    "getFeePrice": get_fee_price,
}
