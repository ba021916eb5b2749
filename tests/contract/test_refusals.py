"""What the official client makes of refusals: one of each kind for every resource."""

from collections.abc import Callable

import pytest
from paygentic_sdk import Paygentic, errors

from tests.contract.world import World

UNKNOWN_KEY = "sk_test_" + "0" * 43
Call = Callable[[Paygentic], object]
Scoped = Callable[[Paygentic, str], object]

UNKNOWN: dict[str, Call] = {
    "product": lambda client: client.products.get(id="prod_0"),
    "feature": lambda client: client.features.get(id="feat_0"),
    "metric": lambda client: client.billable_metrics.get(id="bm_0"),
    "fee": lambda client: client.fees.get(id="fee_0"),
    "price": lambda client: client.prices.get(id="price_0"),
    "plan": lambda client: client.plans.get(id="plan_0"),
    "customer": lambda client: client.customers.get(id="cus_0"),
    "subscription": lambda client: client.subscriptions.get(id="sub_0"),
    "invoice": lambda client: client.invoices_v2.get(id="inv_0"),
    "payment": lambda client: client.payments.get(id="pay_0"),
    "clock": lambda client: client.test_clocks.get(id="tc_0000000000000000"),
    "malformed": lambda client: client.products.get(id="nonsense"),
}
FOREIGN: dict[str, Scoped] = {
    "products": lambda client, merchant: client.products.list(request={"merchant_id": merchant}),
    "metrics": lambda client, merchant: client.billable_metrics.list(merchant_id=merchant),
    "fees": lambda client, merchant: client.fees.list(merchant_id=merchant),
    "prices": lambda client, merchant: client.prices.list(request={"merchant_id": merchant}),
    "plans": lambda client, merchant: client.plans.list(request={"merchant_id": merchant}),
    "customers": lambda client, merchant: client.customers.list(organization_id=merchant),
    "subscriptions": lambda client, merchant: client.subscriptions.list(
        request={"merchant_id": merchant}
    ),
    "invoices": lambda client, merchant: client.invoices_v2.list(request={"merchant_id": merchant}),
    "payments": lambda client, merchant: client.payments.list(request={"merchant_id": merchant}),
    "sessions": lambda client, merchant: client.payment_sessions.list_payment_sessions(
        request={"merchant_id": merchant}
    ),
    "clocks": lambda client, merchant: client.test_clocks.list(request={"merchant_id": merchant}),
    "revenue": lambda client, merchant: client.revenue.get(
        start_time="2026-01-01T00:00:00Z",  # type: ignore[arg-type]
        end_time="2026-01-02T00:00:00Z",  # type: ignore[arg-type]
        merchant_id=merchant,
    ),
}
INVALID: dict[str, Scoped] = {
    "products": lambda client, _merchant: client.products.list(request={"limit": 101}),
    "features": lambda client, _merchant: client.features.list(product_id="prod_0", limit=0),
    "metrics": lambda client, merchant: client.billable_metrics.list(merchant_id=merchant, limit=0),
    "fees": lambda client, merchant: client.fees.list(merchant_id=merchant, limit=0),
    "prices": lambda client, _merchant: client.prices.list(request={"limit": 0}),
    "plans": lambda client, _merchant: client.plans.list(request={"limit": 0}),
    "customers": lambda client, merchant: client.customers.list(
        organization_id=merchant, name="ab"
    ),
    "subscriptions": lambda client, _merchant: client.subscriptions.list(request={"limit": "many"}),
    "invoices": lambda client, _merchant: client.invoices_v2.list(request={"limit": 0}),
    "payments": lambda client, merchant: client.payments.create(
        amount="0.10", currency="USD", merchant_id=merchant
    ),
    "sessions": lambda client, _merchant: client.payment_sessions.list_payment_sessions(
        request={"offset": -1}
    ),
    "clocks": lambda client, _merchant: client.test_clocks.list(request={"limit": 0}),
}
LISTS: dict[str, Call] = {
    "products": lambda client: client.products.list(request={}),
    "features": lambda client: client.features.list(product_id="prod_0"),
    "metrics": lambda client: client.billable_metrics.list(merchant_id="org_0"),
    "fees": lambda client: client.fees.list(merchant_id="org_0"),
    "prices": lambda client: client.prices.list(request={}),
    "plans": lambda client: client.plans.list(request={}),
    "customers": lambda client: client.customers.list(organization_id="org_0"),
    "subscriptions": lambda client: client.subscriptions.list(request={}),
    "invoices": lambda client: client.invoices_v2.list(request={}),
    "payments": lambda client: client.payments.list(request={}),
    "sessions": lambda client: client.payment_sessions.list_payment_sessions(request={}),
    "clocks": lambda client: client.test_clocks.list(request={}),
}


def _refused(world: World, call: Call, status: int, *, api_key: str | None = None) -> None:
    client = world.client_with(api_key or world.addresses["apiKey"])
    with pytest.raises(errors.PaygenticError) as refusal:
        call(client)
    assert refusal.value.status_code == status, refusal.value.body
    # A body that the client cannot read is another error, which is no kind of answer.
    assert not isinstance(refusal.value, errors.ResponseValidationError)
    assert world.exchanges[-1].faults() == []


@pytest.mark.parametrize("resource", UNKNOWN)
def test_an_unknown_id_is_404(world: World, resource: str) -> None:
    _refused(world, UNKNOWN[resource], 404)


@pytest.mark.parametrize("resource", FOREIGN)
def test_another_merchant_is_403(world: World, resource: str) -> None:
    _refused(world, lambda client: FOREIGN[resource](client, world.stranger_id), 403)
    assert world.exchanges[-1].body["reason"] == "not_member"


@pytest.mark.parametrize("resource", INVALID)
def test_a_broken_limit_is_400(world: World, resource: str) -> None:
    _refused(world, lambda client: INVALID[resource](client, world.merchant_id), 400)
    assert world.exchanges[-1].body["error"] == "validation_error"


@pytest.mark.parametrize("resource", LISTS)
def test_an_unknown_key_is_401(world: World, resource: str) -> None:
    _refused(world, LISTS[resource], 401, api_key=UNKNOWN_KEY)
