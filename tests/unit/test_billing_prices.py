"""Examples of the rules between a catalogue price's fields."""

from dataclasses import replace
from typing import Any

import pytest

from billing.errors import InvalidValue
from billing.prices import PriceDraft, check_price, is_hard_limit

USAGE = PriceDraft(
    metered=True,
    model="standard",
    properties={"unitPrice": "0.002"},
    payment_term="in_arrears",
    billing_cadence=None,
    quantity=1,
    is_obligation=False,
    grant_discount_enabled=False,
    rate_type=None,
    invoice_display_group=None,
    supply_scope="IN_SCOPE",
    outside_scope_label=None,
    hard_limit_feature=False,
    legacy=False,
)
FEE = replace(USAGE, metered=False, payment_term="in_advance", billing_cadence="P1M")
VOLUME = replace(USAGE, model="volume", properties={"tiers": [{"upTo": None, "unitPrice": "1"}]})
REBATE = replace(USAGE, properties={"unitPrice": "-0.5"})
CASHBACK = replace(REBATE, supply_scope="OUTSIDE_SCOPE", outside_scope_label="CASHBACK")
DYNAMIC = replace(USAGE, model="dynamic", properties={"minPrice": "1", "maxPrice": "2"})


@pytest.mark.parametrize(
    "draft",
    [
        USAGE,
        FEE,
        VOLUME,
        REBATE,
        CASHBACK,
        replace(USAGE, billing_cadence="P3M", rate_type="proportion"),
        replace(USAGE, grant_discount_enabled=True, invoice_display_group="tokens"),
        replace(USAGE, hard_limit_feature=True),
        replace(FEE, billing_cadence="P0D", quantity=3, is_obligation=True),
        replace(DYNAMIC, legacy=True, payment_term="instant"),
    ],
)
def test_accepts(draft: PriceDraft) -> None:
    check_price(draft)


@pytest.mark.parametrize(
    ("draft", "changes", "field"),
    [
        (DYNAMIC, {}, "model"),
        (USAGE, {"payment_term": "instant"}, "paymentTerm"),
        (FEE, {"payment_term": "instant", "legacy": True}, "paymentTerm"),
        (USAGE, {"properties": {}}, "properties.unitPrice"),
        (FEE, {"properties": {"unitPrice": "-1"}}, "properties.unitPrice"),
        (FEE, {"billing_cadence": None}, "billingCadence"),
        (FEE, {"billing_cadence": "monthly"}, "billingCadence"),
        (FEE, {"billing_cadence": "PT1H"}, "billingCadence"),
        (FEE, {"billing_cadence": "P11Y"}, "billingCadence"),
        (FEE, {"billing_cadence": "P3661D"}, "billingCadence"),
        (USAGE, {"billing_cadence": "P0D"}, "billingCadence"),
        (USAGE, {"quantity": 2}, "quantity"),
        (USAGE, {"is_obligation": True}, "isObligation"),
        (VOLUME, {"grant_discount_enabled": True}, "grantDiscountEnabled"),
        (FEE, {"grant_discount_enabled": True}, "grantDiscountEnabled"),
        (VOLUME, {"rate_type": "proportion"}, "rateType"),
        (VOLUME, {"invoice_display_group": "tokens"}, "invoiceDisplayGroup"),
        (REBATE, {"grant_discount_enabled": True}, "properties.unitPrice"),
        (REBATE, {"hard_limit_feature": True}, "properties.unitPrice"),
        (USAGE, {"outside_scope_label": "CASHBACK"}, "tax.outsideScopeLabel"),
        (CASHBACK, {"outside_scope_label": None}, "tax.outsideScopeLabel"),
        (CASHBACK, {"properties": {"unitPrice": "1"}}, "properties.unitPrice"),
        (
            VOLUME,
            {"supply_scope": "OUTSIDE_SCOPE", "outside_scope_label": "CASHBACK"},
            "tax.supplyScope",
        ),
    ],
)
def test_refuses_and_names_the_field(
    draft: PriceDraft, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidValue) as refusal:
        check_price(replace(draft, **changes))
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("feature_type", "template", "is_hard"),
    [
        ("metered", {}, True),
        ("metered", {"isSoftLimit": False}, True),
        ("metered", {"isSoftLimit": True}, False),
        ("metered", None, False),
        ("boolean", {}, False),
    ],
)
def test_a_hard_limit_is_a_metered_allowance_that_is_not_soft(
    feature_type: str, template: dict[str, Any] | None, *, is_hard: bool
) -> None:
    assert is_hard_limit(feature_type, template) is is_hard
