"""Happy paths of what a subscription bills over time: adjustments, versions, intervals."""

from collections.abc import Callable

from tests.contract.frozen import fresh
from tests.contract.world import PERIOD_END, START, World, ids


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


def reconcile_subscription_features(world: World) -> None:
    """Finds all in place, and only tells so in a preview."""
    seats = world.client.prices.create(
        invoice_display_name="Seats",
        payment_term="in_arrears",
        properties={"unit_price": "5.00"},
        fee_id=world.fee_id,
        billing_cadence="P1M",
        feature={"feature_id": world.feature_id},
    )
    owner = world.a_subscription(seats.id)
    for is_preview, status in ((True, 200), (False, 201)):
        told = world.client.subscriptions.reconcile_subscription_features(
            id=owner.id, dry_run=is_preview
        )
        assert (told.dry_run, told.features.added, told.features.failed) == (is_preview, [], [])
        assert [each.feature_key for each in told.features.skipped] == ["inference"]
        assert world.exchanges[-1].status == status


def edit_subscription_intervals(world: World) -> str:
    """A rate of its own for the metered price, from the next period on."""
    owner = world.a_subscription()
    (line,) = world.client.subscriptions.get_subscription_intervals(id=owner.id).intervals
    edited = world.client.subscriptions.edit_subscription_intervals(
        id=owner.id,
        edit_subscription_intervals_request={
            "add": [
                {
                    "price_key": line.price_key,
                    "unit_price": "0.001",
                    "base_quantity": "1",
                    "billing_cadence": "P1M",
                    "billing_mode": "arrears",
                    "start_date": PERIOD_END,
                }
            ],
            "change_reason": "commercial",
            "metadata": {"deal": "D-7"},
        },
    )
    assert edited.interval_change is not None
    assert [each.unit_price for each in edited.intervals] == [None, "0.001"]
    return owner.id


def list_subscription_interval_changes(world: World) -> None:
    """Finds the change."""
    owner_id = edit_subscription_intervals(world)
    listed = world.client.subscriptions.list_subscription_interval_changes(id=owner_id)
    assert [each.change_reason for each in listed.data] == ["commercial"]


def list_interval_changes(world: World) -> None:
    """Finds it among the merchant's."""
    owner_id = edit_subscription_intervals(world)
    listed = world.client.subscriptions.list_interval_changes(request={"limit": "100"})
    assert owner_id in {each.subscription_id for each in listed.data}


CASES: dict[str, Callable[[World], object]] = {
    "createSubscriptionAdjustment": create_subscription_adjustment,
    "listSubscriptionAdjustments": list_subscription_adjustments,
    "deleteSubscriptionAdjustment": delete_subscription_adjustment,
    "migrateSubscriptionVersion": migrate_subscription_version,
    "reconcileSubscriptionFeatures": reconcile_subscription_features,
    "getSubscriptionIntervals": edit_subscription_intervals,
    "editSubscriptionIntervals": edit_subscription_intervals,
    "listSubscriptionIntervalChanges": list_subscription_interval_changes,
    "listIntervalChanges": list_interval_changes,
}
