"""Prices with included units, as tales of allowances use them; it tells none."""

from fractions import Fraction
from typing import Any

from tests.api import by_hand
from tests.scenario.shop import Contract, Meter, Shop


def attached(feature_id: str, template: dict[str, Any] | None) -> dict[str, Any]:
    """A feature as a price attaches it, with an allowance or without."""
    named: dict[str, Any] = {"featureId": feature_id}
    return named if template is None else named | {"entitlementTemplate": template}


def a_feature(shop: Shop) -> str:
    """A metered feature."""
    key = f"units-{next(shop._numbers)}"
    made = shop._post(
        "/v0/features", key=key, name=key, type="metered",
        merchantId=shop.merchant_id, productId=shop.product_id,
    )  # fmt: skip
    return str(made["id"])


def allowance(amount: float, every: str | None = "P1M", **terms: Any) -> dict[str, Any]:
    """A template: so many units, again with each reset or once; soft unless it says otherwise."""
    template = {"type": "metered", "issueAfterReset": amount, "isSoftLimit": True, **terms}
    return template if every is None else template | {"usagePeriod": {"interval": every}}


def included(shop: Shop, unit_price: str, template: dict[str, Any] | None, **options: Any) -> Meter:
    """A metered price that carries a feature of its own."""
    return shop.meter("Units", unit_price, feature=attached(a_feature(shop), template), **options)


def totals(shop: Shop, contract: Contract) -> list[str]:
    """What each invoice comes to, without tax."""
    return [each.subtotal for each in shop.invoices(contract)]


def quantities(shop: Shop, contract: Contract, number: int) -> dict[str, float]:
    """What each line of an invoice bills, by its name."""
    return {each.invoice_display_name: each.quantity for each in shop.lines(contract, number)}


def check_by_hand(shop: Shop, contract: Contract, number: int) -> None:
    """Each line's amounts follow from what the operator is told."""
    told = shop.explained(contract, number)
    recomputed = by_hand.recompute(told)
    for line in told["lines"]:
        assert line["agrees"], line
        assert recomputed[line["id"]] == by_hand.Amounts(
            Fraction(line["totalPrice"]), Fraction(line["totalTax"]), Fraction(line["totalAmount"])
        ), line
