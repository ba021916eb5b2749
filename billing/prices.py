"""Which prices may stand in a catalogue: the rules between their fields; it rates nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from billing import pricing
from billing.durations import parse_duration
from billing.errors import InvalidValue

LEGACY_MODELS: Final = frozenset({"dynamic", "percentage"})
MONTHS_MAX: Final = 120
DAYS_MAX: Final = 3660


@dataclass(frozen=True, slots=True)
class PriceDraft:
    """A price as it would stand in the catalogue; `legacy` is the merchant's legacy switch."""

    metered: bool
    model: str
    properties: Mapping[str, Any]
    payment_term: str
    billing_cadence: str | None
    quantity: int
    is_obligation: bool
    grant_discount_enabled: bool
    rate_type: str | None
    invoice_display_group: str | None
    supply_scope: str
    outside_scope_label: str | None
    hard_limit_feature: bool
    legacy: bool

    @property
    def standard_metered(self) -> bool:
        """Whether it is usage times one rate."""
        return self.metered and self.model == "standard"


def check_price(draft: PriceDraft) -> None:
    """Refuses the first rule that the price breaks, naming the field as the wire does."""
    _check_legacy(draft)
    pricing.validate(draft.model, draft.properties, metered=draft.metered)
    _check_cadence(draft)
    for broken, field, message in _RULES:
        if broken(draft):
            raise InvalidValue(message, field=field)


def is_hard_limit(feature_type: str, template: Mapping[str, Any] | None) -> bool:
    """Whether usage ends where the allowance ends: a metered allowance that is not soft."""
    return feature_type == "metered" and template is not None and not template.get("isSoftLimit")


def _check_legacy(draft: PriceDraft) -> None:
    if draft.legacy:
        return
    if draft.model in LEGACY_MODELS:
        message = "Needs legacy billing; use the standard model with a multiplier"
        raise InvalidValue(message, field="model")
    if draft.payment_term == "instant":
        raise InvalidValue("Needs legacy billing", field="paymentTerm")


def _check_cadence(draft: PriceDraft) -> None:
    if draft.billing_cadence is None:
        if not draft.metered:
            message = "A fee needs a cadence (P0D: once)"
            raise InvalidValue(message, field="billingCadence")
        return
    try:
        cadence = parse_duration(draft.billing_cadence)
    except InvalidValue as error:
        raise InvalidValue(error.message, field="billingCadence") from error
    if cadence.seconds or cadence.months > MONTHS_MAX or cadence.days > DAYS_MAX:
        raise InvalidValue("Must be whole days, up to ten years", field="billingCadence")
    if cadence.is_zero and draft.metered:
        raise InvalidValue("A metered price is never charged once", field="billingCadence")


def _unit_price(draft: PriceDraft) -> Decimal:
    return Decimal(draft.properties["unitPrice"]) if draft.model == "standard" else Decimal(0)


def _is_rebate(draft: PriceDraft) -> bool:
    return _unit_price(draft) < 0


# Each: what breaks the rule, the field at fault, what to say. Models and properties are valid here.
_RULES: Final[tuple[tuple[Callable[[PriceDraft], bool], str, str], ...]] = (
    (
        lambda draft: draft.payment_term == "instant" and not draft.metered,
        "paymentTerm",
        "Only a metered price is charged instantly",
    ),
    (
        lambda draft: draft.metered and draft.quantity != 1,
        "quantity",
        "Only a fee has a quantity; a metered price takes it from usage",
    ),
    (
        lambda draft: draft.metered and draft.is_obligation,
        "isObligation",
        "A metered price cannot be an obligation",
    ),
    (
        lambda draft: draft.grant_discount_enabled and not draft.standard_metered,
        "grantDiscountEnabled",
        "Needs a standard metered price",
    ),
    (
        lambda draft: draft.rate_type == "proportion" and not draft.standard_metered,
        "rateType",
        "Needs a standard metered price",
    ),
    (
        lambda draft: draft.invoice_display_group is not None and draft.model != "standard",
        "invoiceDisplayGroup",
        "Needs the standard model",
    ),
    (
        lambda draft: _is_rebate(draft) and draft.grant_discount_enabled,
        "properties.unitPrice",
        "A rebate cannot be discounted by grants",
    ),
    (
        lambda draft: _is_rebate(draft) and draft.hard_limit_feature,
        "properties.unitPrice",
        "A rebate cannot stand on a feature with a hard limit",
    ),
    (
        lambda draft: draft.supply_scope == "IN_SCOPE" and draft.outside_scope_label is not None,
        "tax.outsideScopeLabel",
        "Only a price outside the scope of tax has a label",
    ),
    (
        lambda draft: draft.supply_scope == "OUTSIDE_SCOPE" and draft.outside_scope_label is None,
        "tax.outsideScopeLabel",
        "A price outside the scope of tax needs a label",
    ),
    (
        lambda draft: draft.supply_scope == "OUTSIDE_SCOPE" and draft.model != "standard",
        "tax.supplyScope",
        "Outside the scope of tax, only the standard model is possible",
    ),
    (
        lambda draft: draft.supply_scope == "OUTSIDE_SCOPE" and _unit_price(draft) > 0,
        "properties.unitPrice",
        "Outside the scope of tax, a price gives back: it is zero or negative",
    ),
)
