"""Happy paths of what a subscription bills over time: adjustments, versions, intervals."""

from collections.abc import Callable

from tests.contract.frozen import fresh
from tests.contract.world import START, World, ids


def create_subscription_adjustment(world: World) -> tuple[str, str]:
    """Units off the metered price, and the same by its key."""
    owner, key = world.a_subscription(), fresh("deal-")
    made = [
        world.client.subscriptions.create_subscription_adjustment(
            id=owner.id,
            create_subscription_adjustment_request={
                "type": "usageDiscount",
                "usage_discount": "300",
                "target_price_ids": [world.catalogue.token_price_id],
                "effective_from": START,
                "idempotency_key": key,
            },
        )
        for _time in range(2)
    ]
    assert made[0].id == made[1].id
    assert [each.status for each in world.exchanges[-2:]] == [201, 200]
    return owner.id, made[0].id


def list_subscription_adjustments(world: World) -> None:
    """Finds one."""
    owner_id, adjustment_id = create_subscription_adjustment(world)
    listed = world.client.subscriptions.list_subscription_adjustments(id=owner_id)
    assert ids(listed.data) == {adjustment_id}


def delete_subscription_adjustment(world: World) -> None:
    """Takes one back that was never billed."""
    owner_id, adjustment_id = create_subscription_adjustment(world)
    gone = world.client.subscriptions.delete_subscription_adjustment(
        id=owner_id, adjustment_id=adjustment_id
    )
    assert gone is None


def migrate_subscription_version(world: World) -> None:
    """Pins one to the version that it is on."""
    owner = world.a_subscription()
    moved = world.client.subscriptions.migrate_subscription_version(
        id=owner.id, target_version_number=1
    )
    assert (moved.migration.changed, moved.subscription.version_policy) == (True, "pinned")


CASES: dict[str, Callable[[World], object]] = {
    "createSubscriptionAdjustment": create_subscription_adjustment,
    "listSubscriptionAdjustments": list_subscription_adjustments,
    "deleteSubscriptionAdjustment": delete_subscription_adjustment,
    "migrateSubscriptionVersion": migrate_subscription_version,
}
