"""Happy paths of who buys: customers and their payment methods."""

from collections.abc import Callable

from paygentic_sdk.models.merchantreset import CustomerScopeTypedDict

from local.story import PAYING_CARD
from tests.contract.frozen import fresh
from tests.contract.world import World, ids


def create_customer(world: World) -> None:
    """The same consumer twice: 201, then 200 with the same id."""
    email = f"{fresh('ada')}@example.com"
    created = [
        world.client.customers.create(
            merchant_id=world.merchant_id,
            consumer={"name": "Ada", "email": email, "address": {"country": "DE"}},
        )
        for _time in range(2)
    ]
    assert created[0].customer_id == created[1].customer_id
    assert [each.status for each in world.exchanges[-2:]] == [201, 200]


def list_customers(world: World) -> None:
    """Finds one by a part of the name."""
    created = world.a_customer()
    listed = world.client.customers.list(organization_id=world.merchant_id, name="grace", limit=100)
    assert created in ids(listed.data)


def get_customer(world: World) -> None:
    """Reads one back."""
    created = world.a_customer()
    assert world.client.customers.get(id=created).id == created


def update_customer(world: World) -> None:
    """Gives one an external id."""
    external_id = fresh("crm-")
    changed = world.client.customers.update(id=world.a_customer(), external_id=external_id)
    assert changed.external_id == external_id


def delete_customer(world: World) -> None:
    """Deletes one who bought nothing."""
    world.client.customers.delete(id=world.a_customer())


def create_customer_payment_method(world: World) -> None:
    """Opens a page to save a card on."""
    opened = world.client.customers.create_customer_payment_method(id=world.a_customer())
    assert opened.url.startswith("http")


def list_customer_payment_methods(world: World) -> None:
    """Sees the card that was saved."""
    customer_id = world.a_customer()
    world.save_card(customer_id, PAYING_CARD)
    listed = world.client.customers.list_customer_payment_methods(id=customer_id)
    assert [method.last4 for method in listed.data] == ["4242"]


def reset_merchant(world: World) -> None:
    """Takes one customer out, with all that hangs on her."""
    gone = world.a_customer()
    scope: CustomerScopeTypedDict = {"scope": "customer", "customer_id": gone}
    world.client.merchants.reset(merchant_id=world.merchant_id, merchant_reset=scope)
    listed = world.client.customers.list(organization_id=world.merchant_id, limit=100)
    assert gone not in ids(listed.data)


CASES: dict[str, Callable[[World], object]] = {
    "createCustomer": create_customer,
    "listCustomers": list_customers,
    "getCustomer": get_customer,
    "updateCustomer": update_customer,
    "deleteCustomer": delete_customer,
    "createCustomerPaymentMethod": create_customer_payment_method,
    "listCustomerPaymentMethods": list_customer_payment_methods,
    "resetMerchant": reset_merchant,
}
