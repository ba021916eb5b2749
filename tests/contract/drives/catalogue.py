"""Happy paths of what a merchant sets up: products, features, metrics, fees, prices, plans."""

from collections.abc import Callable

from paygentic_sdk.models import MintPlanLineInput, PlanLineInput

from tests.contract.frozen import fresh
from tests.contract.world import PERIOD_END, START, World, ids


def create_product(world: World) -> str:
    """A product of its own."""
    product = world.client.products.create(
        name=fresh("Product "),
        description="One more",
        merchant_id=world.merchant_id,
        metadata={},
    )
    return product.id


def list_products(world: World) -> None:
    """Sees the catalogue's product."""
    product_id = world.catalogue.product_id
    listed = world.client.products.list(request={"merchant_id": world.merchant_id, "limit": 100})
    assert product_id in ids(listed.data)


def get_product(world: World) -> None:
    """Reads it back."""
    got = world.client.products.get(id=world.catalogue.product_id)
    assert got.id == world.catalogue.product_id


def update_product(world: World) -> None:
    """Renames one."""
    assert world.client.products.update(id=create_product(world), name="Renamed").name == "Renamed"


def create_feature(world: World) -> str:
    """A feature of its own."""
    feature = world.client.features.create(
        key=fresh("key-"),
        name="More",
        merchant_id=world.merchant_id,
        product_id=world.catalogue.product_id,
        type_="static",
    )
    return feature.id


def list_features(world: World) -> None:
    """Sees the catalogue's feature."""
    listed = world.client.features.list(product_id=world.catalogue.product_id, limit=100)
    assert world.feature_id in ids(listed.data)


def get_feature(world: World) -> None:
    """Reads it back."""
    assert world.client.features.get(id=world.feature_id).id == world.feature_id


def update_feature(world: World) -> None:
    """Renames one."""
    changed = world.client.features.update(id=create_feature(world), name="Renamed")
    assert changed.name == "Renamed"


def delete_feature(world: World) -> None:
    """Deletes one."""
    world.client.features.delete(id=create_feature(world))


def create_billable_metric(world: World) -> str:
    """A metric of its own."""
    metric = world.client.billable_metrics.create(
        name="Calls",
        description="Calls made",
        unit="call",
        aggregation="COUNT",
        event_type=fresh("call.made."),
        merchant_id=world.merchant_id,
        product_id=world.catalogue.product_id,
    )
    return metric.id


def list_billable_metrics(world: World) -> None:
    """Sees the catalogue's metric."""
    listed = world.client.billable_metrics.list(merchant_id=world.merchant_id, limit=100)
    assert world.catalogue.metric_id in ids(listed.data)


def get_billable_metric(world: World) -> None:
    """Reads it back."""
    got = world.client.billable_metrics.get(id=world.catalogue.metric_id)
    assert got.id == world.catalogue.metric_id


def update_billable_metric(world: World) -> None:
    """Renames one."""
    changed = world.client.billable_metrics.update(id=create_billable_metric(world), unit="request")
    assert changed.unit == "request"


def list_billable_metric_events(world: World) -> None:
    """Sees what the subscription used."""
    assert world.subscription.id
    listed = world.client.billable_metrics.list_events(
        id=world.catalogue.metric_id, from_=START, to=PERIOD_END
    )
    assert listed.pagination.total >= world.numbers.events


def get_billable_metric_meter(world: World) -> None:
    """Reads it in windows: 1 + 2 + … + 20 tokens."""
    assert world.subscription.id
    reading = world.client.billable_metrics.meter(
        id=world.catalogue.metric_id,
        from_=START,
        to=PERIOD_END,
        subject=world.customer_id,
        window_size="DAY",
    )
    assert reading.total_value == 210


def create_fee(world: World) -> str:
    """A fee of its own."""
    fee = world.client.fees.create(
        name="Seat",
        description="A seat",
        merchant_id=world.merchant_id,
        product_id=world.catalogue.product_id,
    )
    return fee.id


def list_fees(world: World) -> None:
    """Sees at least the catalogue's fee."""
    assert world.catalogue.fee_price_id
    assert world.client.fees.list(merchant_id=world.merchant_id).pagination.total >= 1


def get_fee(world: World) -> None:
    """Reads it back."""
    assert world.client.fees.get(id=world.fee_id).id == world.fee_id


def update_fee(world: World) -> None:
    """Renames one."""
    assert world.client.fees.update(id=create_fee(world), name="Renamed").name == "Renamed"


def delete_fee(world: World) -> None:
    """Deletes one."""
    world.client.fees.delete(id=create_fee(world))


def create_price(world: World) -> str:
    """A price by volume."""
    price = world.client.prices.create(
        invoice_display_name="Tokens by volume",
        payment_term="in_arrears",
        billable_metric_id=world.catalogue.metric_id,
        model="volume",
        properties={
            "tiers": [
                {"up_to": "100", "unit_price": "0.02"},
                {"up_to": None, "unit_price": "0.01"},
            ],
        },
    )
    return price.id


def list_prices(world: World) -> None:
    """Sees the catalogue's prices."""
    listed = world.client.prices.list(request={"merchant_id": world.merchant_id, "limit": 100})
    assert world.catalogue.token_price_id in ids(listed.data)


def get_price(world: World) -> None:
    """Reads one back."""
    got = world.client.prices.get(id=world.catalogue.token_price_id)
    assert got.id == world.catalogue.token_price_id


def update_price(world: World) -> None:
    """Renames one."""
    changed = world.client.prices.update(id=create_price(world), invoice_display_name="Renamed")
    assert changed.invoice_display_name == "Renamed"


def delete_price(world: World) -> None:
    """Deletes one."""
    world.client.prices.delete(id=create_price(world))


def create_plan(world: World) -> str:
    """A plan of usage only."""
    lines: list[PlanLineInput | str] = [create_price(world)]
    plan = world.client.plans.create(
        name=fresh("Plan "),
        currency="USD",
        merchant_id=world.merchant_id,
        product_id=world.catalogue.product_id,
        prices=lines,
        billing_cadence="P1M",
    )
    return plan.id


def list_plans(world: World) -> None:
    """Sees the catalogue's plan."""
    listed = world.client.plans.list(request={"merchant_id": world.merchant_id, "limit": 100})
    assert world.catalogue.plan_id in ids(listed.data)


def get_plan(world: World) -> None:
    """Reads it back."""
    assert world.client.plans.get(id=world.catalogue.plan_id).id == world.catalogue.plan_id


def update_plan(world: World) -> None:
    """Renames one."""
    assert world.client.plans.update(id=create_plan(world), name="Renamed").name == "Renamed"


def list_available_plans(world: World) -> None:
    """What a customer may subscribe to."""
    listed = world.client.plans.list_available(customer_id=world.a_customer(), limit=100)
    assert world.catalogue.plan_id in ids(listed.data)


def list_plan_versions(world: World) -> None:
    """A plan has a first version."""
    assert world.client.plans.list_plan_versions(id=create_plan(world)).data


def get_plan_version(world: World) -> None:
    """Reads the first back."""
    got = world.client.plans.get_plan_version(id=create_plan(world), version_number=1)
    assert got.version_number == 1


def mint_plan_version(world: World) -> str:
    """A second version with another price."""
    plan_id = create_plan(world)
    lines: list[MintPlanLineInput | str] = [create_price(world)]
    minted = world.client.plans.mint_plan_version(id=plan_id, prices=lines)
    assert minted.version_number == 2
    return plan_id


def transition_plan_version(world: World) -> None:
    """Makes the second the default."""
    changed = world.client.plans.transition_plan_version(
        id=mint_plan_version(world), version_number=2, default=True
    )
    assert changed.version_number == 2


CASES: dict[str, Callable[[World], object]] = {
    "createProduct": create_product,
    "listProducts": list_products,
    "getProduct": get_product,
    "updateProduct": update_product,
    "createFeature": create_feature,
    "listFeatures": list_features,
    "getFeature": get_feature,
    "updateFeature": update_feature,
    "deleteFeature": delete_feature,
    "createBillableMetric": create_billable_metric,
    "listBillableMetrics": list_billable_metrics,
    "getBillableMetric": get_billable_metric,
    "updateBillableMetric": update_billable_metric,
    "listBillableMetricEvents": list_billable_metric_events,
    "getBillableMetricMeter": get_billable_metric_meter,
    "createFee": create_fee,
    "listFees": list_fees,
    "getFee": get_fee,
    "updateFee": update_fee,
    "deleteFee": delete_fee,
    "createPrice": create_price,
    "listPrices": list_prices,
    "getPrice": get_price,
    "updatePrice": update_price,
    "deletePrice": delete_price,
    "createPlan": create_plan,
    "listPlans": list_plans,
    "getPlan": get_plan,
    "updatePlan": update_plan,
    "listAvailablePlans": list_available_plans,
    "listPlanVersions": list_plan_versions,
    "getPlanVersion": get_plan_version,
    "mintPlanVersion": mint_plan_version,
    "transitionPlanVersion": transition_plan_version,
}
