"""Happy paths of what points outside: items, references, integrations, a key's user."""

from collections.abc import Callable

from tests.contract.frozen import fresh
from tests.contract.world import World, ids


def create_item(world: World) -> str:
    """An item of its own."""
    item = world.client.items.create_item(
        merchant_id=world.merchant_id, name=fresh("Item "), catalog_id=world.catalogue.product_id
    )
    return item.id


def list_items(world: World) -> None:
    """Finds one by the reference that points at it."""
    item_id, _reference_id, code = _referred_item(world)
    listed = world.client.items.list_items(request={"provider": "netsuite", "external_id": code})
    assert ids(listed.data) == {item_id}


def get_item(world: World) -> None:
    """Reads one back, with its reference."""
    item_id, reference_id, _code = _referred_item(world)
    assert ids(world.client.items.get_item(id=item_id).external_references) == {reference_id}


def update_item(world: World) -> None:
    """Archives one."""
    changed = world.client.items.update_item(id=create_item(world), archived=True)
    assert changed.archived_at is not None


def create_external_reference(world: World) -> str:
    """A reference to an item."""
    return _referred_item(world)[1]


def _referred_item(world: World) -> tuple[str, str, str]:
    item_id, code = create_item(world), fresh("NS-")
    reference = world.client.external_references.create_external_reference(
        merchant_id=world.merchant_id,
        entity_type="item",
        entity_id=item_id,
        provider="netsuite",
        external_id=code,
    )
    return item_id, reference.id, code


def list_external_references(world: World) -> None:
    """Finds one by its item."""
    item_id, reference_id, _code = _referred_item(world)
    listed = world.client.external_references.list_external_references(
        request={"entity_type": "item", "entity_id": item_id}
    )
    assert ids(listed.data) == {reference_id}


def get_external_reference(world: World) -> None:
    """Reads one back."""
    created = create_external_reference(world)
    got = world.client.external_references.get_external_reference(id=created)
    assert got.id == created


def update_external_reference(world: World) -> None:
    """Labels one."""
    changed = world.client.external_references.update_external_reference(
        id=create_external_reference(world), external_label="Tokens"
    )
    assert changed.external_label == "Tokens"


def delete_external_reference(world: World) -> None:
    """Deletes one."""
    created = create_external_reference(world)
    world.client.external_references.delete_external_reference(id=created)


def upsert_merchant_integration(world: World) -> str:
    """Connects, also when it is connected already."""
    connected = world.client.merchant_integrations.upsert_merchant_integration(
        merchant_id=world.merchant_id, provider="accountsiq", external_id="entity-1"
    )
    assert connected.status == "active"
    return connected.id


def list_merchant_integrations(world: World) -> None:
    """Finds it."""
    connected = upsert_merchant_integration(world)
    listed = world.client.merchant_integrations.list_merchant_integrations(
        request={"merchant_id": world.merchant_id}
    )
    assert connected in ids(listed.data)


def get_merchant_integration(world: World) -> None:
    """Reads it back."""
    connected = upsert_merchant_integration(world)
    got = world.client.merchant_integrations.get_merchant_integration(id=connected)
    assert got.id == connected


def disconnect_merchant_integration(world: World) -> None:
    """Disconnects it."""
    ended = world.client.merchant_integrations.disconnect_merchant_integration(
        id=upsert_merchant_integration(world)
    )
    assert ended.disconnected_at is not None


def list_salesforce_accounts(world: World) -> None:
    """None, since nothing outside is asked."""
    listed = world.client.salesforce.list_salesforce_accounts(merchant_id=world.merchant_id)
    assert listed.data == []


def get_user(world: World) -> None:
    """The user whose key this is."""
    assert world.client.users.get(id=world.user_id).id == world.user_id


def update_user(world: World) -> None:
    """Gives the user a name."""
    assert world.client.users.update(id=world.user_id, first_name="Ada").first_name == "Ada"


CASES: dict[str, Callable[[World], object]] = {
    "createItem": create_item,
    "listItems": list_items,
    "getItem": get_item,
    "updateItem": update_item,
    "createExternalReference": create_external_reference,
    "listExternalReferences": list_external_references,
    "getExternalReference": get_external_reference,
    "updateExternalReference": update_external_reference,
    "deleteExternalReference": delete_external_reference,
    "upsertMerchantIntegration": upsert_merchant_integration,
    "listMerchantIntegrations": list_merchant_integrations,
    "getMerchantIntegration": get_merchant_integration,
    "disconnectMerchantIntegration": disconnect_merchant_integration,
    "listSalesforceAccounts": list_salesforce_accounts,
    "getUser": get_user,
    "updateUser": update_user,
}
