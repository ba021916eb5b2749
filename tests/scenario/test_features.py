"""Tales of features that come and go with a plan's versions, on running workflows."""

import psycopg

from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2025-05-01")
GRACE = "PT0S"
CHANGED = at("2025-05-20")
BOUNDARY = at("2025-06-01")
SECOND = at("2025-07-01")


class _Offer:
    """Rent of 10.00 with a feature of its own; from version 2 on 12.00 with another."""

    def __init__(self, shop: Shop) -> None:
        self.keys = [f"feature-{next(shop._numbers)}" for _ in range(2)]
        ids = [
            shop.client.features.create(
                key=key, name=key, merchant_id=shop.merchant_id, product_id=shop.product_id
            ).id
            for key in self.keys
        ]
        prices = zip(("10.00", "12.00"), ids, strict=True)
        self.old, self.new = (
            shop.fee("Rent", amount, term="in_arrears", feature={"feature_id": feature_id})
            for amount, feature_id in prices
        )
        self.plan = shop.plan(keyed={"rent": self.old})


def _told(shop: Shop, contract: Contract, *, dry_run: bool = True) -> dict[str, list[str]]:
    """What a reconciliation finds."""
    found = shop.client.subscriptions.reconcile_subscription_features(
        id=contract.id, dry_run=dry_run
    ).features
    assert not found.failed
    return {
        "added": [each.feature_key for each in found.added],
        "skipped": [each.feature_key for each in found.skipped],
        "removed": [each.feature_key for each in found.removed],
    }


def _in_place(*keys: str) -> dict[str, list[str]]:
    return {"added": [], "skipped": list(keys), "removed": []}


def features_follow_the_version_at_the_boundary(shop: Shop) -> Telling:
    """May is billed 10.00 under version 1 although version 2 came on the 20th, June 12.00.

    So the first feature is there until 1 June and the second from then on.
    """
    offer = _Offer(shop)
    contract = shop.subscribe(offer.plan)
    assert _told(shop, contract) == _in_place(offer.keys[0])
    yield CHANGED
    shop.mint(offer.plan, rent=offer.new)
    assert _told(shop, contract) == _in_place(offer.keys[0])
    yield BOUNDARY
    assert _told(shop, contract) == _in_place(offer.keys[1])
    yield SECOND
    assert [each.subtotal for each in shop.invoices(contract)] == ["10.00", "12.00", "12.00"]
    assert _told(shop, contract) == _in_place(offer.keys[1])


def a_row_that_was_lost_is_given_again(shop: Shop) -> Telling:
    """A preview tells and leaves it so, a reconciliation repairs; both months are 10.00."""
    offer = _Offer(shop)
    contract = shop.subscribe(offer.plan)
    yield CHANGED
    with psycopg.connect(shop._database_url) as connection:
        connection.execute("DELETE FROM entitlements WHERE subscription_id = %s", [contract.id])
    missing = {"added": [offer.keys[0]], "skipped": [], "removed": []}
    assert _told(shop, contract) == missing
    assert _told(shop, contract, dry_run=False) == missing
    assert _told(shop, contract, dry_run=False) == _in_place(offer.keys[0])
    yield SECOND
    assert [each.subtotal for each in shop.invoices(contract)[:2]] == ["10.00", "10.00"]


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
