"""How a price looks on the wire, as prices and plans both show it; nothing is read or decided."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from api.schema import Absent, Instant, Wire
from billing.ids import derived_id
from models.features import Feature
from models.prices import Price as PriceRow


class PriceTax(Wire):
    """Whether a price is in the scope of tax."""

    supply_scope: str
    outside_scope_label: Absent[str] = None


class PriceFeatureSummary(Wire):
    """The attached feature in short."""

    key: str
    name: str
    type: str


class PriceFeature(Wire):
    """A feature that a price carries, with its allowance."""

    id: str
    feature_id: str
    entitlement_template: dict[str, Any]
    feature: PriceFeatureSummary

    @classmethod
    def of(cls, price: PriceRow, feature: Feature) -> Self:
        """The attachment has no row of its own; its id follows from the pair."""
        return cls(
            id=derived_id("pf", price.id, feature.id),
            feature_id=feature.id,
            entitlement_template=price.entitlement_template or {},
            feature=PriceFeatureSummary.from_row(feature),
        )


class Price(Wire):
    """A price of one metric or one fee."""

    object: Literal["price"] = "price"
    id: str
    merchant_id: str
    billable_metric_id: Absent[str] = None
    fee_id: Absent[str] = None
    invoice_display_name: str
    invoice_display_group: str | None
    model: str
    properties: dict[str, Any]
    payment_term: str
    billing_cadence: str | None
    quantity: int
    is_obligation: bool
    grant_discount_enabled: bool
    rate_type: Absent[str] = None
    tax: PriceTax
    features: list[PriceFeature]
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: PriceRow, features: Mapping[str, Feature]) -> Self:
        """The answer for a row; `features` holds at least the one it carries, by id."""
        carried = features.get(row.feature_id or "")
        return cls.from_row(
            row,
            tax=PriceTax.model_validate(row.tax),
            features=[] if carried is None else [PriceFeature.of(row, carried)],
        )
