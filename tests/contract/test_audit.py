"""The audit log of a running stack: callers and workflows sign what they change."""

from typing import Any

import httpx2

from tests.contract.world import World


def _told(world: World, object_id: str) -> list[dict[str, Any]]:
    answer = httpx2.get(
        f"{world.addresses['apiUrl']}/internal/v1/auditEvents",
        params={"merchantId": world.merchant_id, "objectId": object_id, "limit": 100},
        headers={"Authorization": f"Bearer {world.addresses['adminKey']}"},
    )
    rows: list[dict[str, Any]] = answer.raise_for_status().json()["data"]
    return rows[::-1]


def test_a_subscription_is_made_by_a_key_and_activated_by_its_workflow(world: World) -> None:
    subscription_id = world.subscription.id
    made, *changed = _told(world, subscription_id)
    assert (made["operation"], made["change"]) == ("createSubscription", "insert")
    assert made["actor"].startswith("key:key_")
    assert made["userId"] == world.user_id
    activated = [row for row in changed if (row["after"] or {}).get("status") == "active"]
    assert [row["before"]["status"] for row in activated] == ["pending_payment"]
    assert activated[0]["actor"] == f"workflow:subscription/{subscription_id}"


def test_an_invoice_is_paid_by_its_collection(world: World) -> None:
    paid = [
        row
        for row in _told(world, world.invoice_id)
        if (row["after"] or {}).get("status") == "PAID"
    ]
    assert [row["actor"] for row in paid] == [f"workflow:payment/{world.invoice_id}"]
