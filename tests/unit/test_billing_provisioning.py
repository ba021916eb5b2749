"""Which entitlements a plan's features come to."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from billing.durations import Duration
from billing.errors import InvalidValue
from billing.provisioning import (
    Allowance,
    HeldFeature,
    SoldFeature,
    allowance_of,
    check_template,
    converge,
    is_billed_again,
)

MONTH = Duration(months=1)
START = datetime(2026, 1, 31, tzinfo=UTC)


def sold(key: str, **members: Any) -> SoldFeature:
    defaults: dict[str, Any] = {
        "feature_id": f"feat_{key}",
        "feature_key": key,
        "feature_type": "boolean",
        "metric_id": None,
        "template": None,
        "billed_every": MONTH,
    }
    return SoldFeature(**defaults | members)


def held(each: SoldFeature) -> HeldFeature:
    return HeldFeature(
        entitlement_id=f"ent_{each.feature_key}",
        feature_id=each.feature_id,
        feature_key=each.feature_key,
        metric_id=each.metric_id,
        template=each.template,
    )


def metered(key: str, interval: str | None = "P1M", **members: Any) -> SoldFeature:
    period = {} if interval is None else {"usagePeriod": {"interval": interval}}
    template = {"type": "metered", "issueAfterReset": 100, **period}
    return sold(key, feature_type="metered", metric_id="bm_1", template=template, **members)


def test_what_is_missing_is_added_and_what_is_too_much_ends() -> None:
    stays, comes, goes = sold("sso"), sold("audit"), sold("beta")
    found = converge([stays, comes], [held(stays), held(goes)])
    assert (found.added, found.kept, found.ended) == ([comes], [held(stays)], [held(goes)])
    assert (found.changed, found.failed) == ([], [])


def test_what_was_given_by_hand_stays_whatever_the_plan_says() -> None:
    seats = metered("seats")
    by_hand = replace(held(seats), template={"type": "metered"}, is_planned=False)
    assert converge([seats], [by_hand]).kept == [by_hand]
    assert converge([], [by_hand]).ended == []


def test_other_terms_change_what_stands() -> None:
    before, after = metered("seats"), metered("seats", "P1W")
    found = converge([after], [held(before)])
    assert found.changed == [(held(before), after)]
    assert (found.added, found.kept, found.ended) == ([], [], [])


def test_the_first_price_with_an_allowance_speaks_for_a_feature() -> None:
    bare, allowed = sold("seats", feature_type="metered"), metered("seats")
    later = metered("seats", "P1W")
    assert converge([bare, allowed, later], []).added == [allowed]
    assert converge([bare, sold("seats", metric_id="bm_9")], []).added == [bare]


@pytest.mark.parametrize(
    ("interval", "is_off"), [("P1M", False), (None, False), ("P1W", True), ("P1Y", True)]
)
def test_a_discount_by_grant_needs_resets_on_the_billed_window(
    interval: str | None, is_off: bool
) -> None:
    discounted = metered("seats", interval, discounts_by_grant=True)
    found = converge([discounted], [])
    assert [each.reason for each in found.failed] == ["reset_cycle_misaligned"] * is_off
    assert found.added == [discounted] * (not is_off)
    # Without a discount the allowance may be filled in any rhythm.
    assert converge([metered("seats", interval)], []).failed == []


def test_a_year_is_twelve_months_to_a_reset() -> None:
    yearly = metered("seats", "P12M", discounts_by_grant=True, billed_every=Duration(months=12))
    assert converge([yearly], []).added == [yearly]


def test_a_template_that_cannot_be_read_gives_nothing() -> None:
    odd = sold("seats", feature_type="metered", template={"issueAfterReset": "many"})
    (failed,) = converge([odd], []).failed
    assert (failed.feature_key, failed.reason) == ("seats", "entitlement_failed")
    # What stands already does not fall because of it.
    assert converge([odd], [held(odd)]).kept == [held(odd)]


def test_what_is_charged_once_is_not_billed_again() -> None:
    once = sold("setup", billed_every=Duration())
    assert not is_billed_again(once, START, START)
    assert is_billed_again(once, START, START - timedelta(seconds=1))
    assert is_billed_again(sold("sso"), START, START)


def test_a_metered_template_is_read_whole() -> None:
    template = {
        "usagePeriod": {"interval": "P1W"},
        "issueAfterReset": 12.5,
        "issueAfterResetPriority": -3,
        "resetMaxRollover": 10,
        "resetMinRollover": 1,
    }
    assert allowance_of(template) == Allowance(
        amount=Decimal("12.5"),
        every=Duration(days=7),
        priority=-3,
        rollover_max=Decimal(10),
        rollover_min=Decimal(1),
    )
    assert allowance_of({}) == Allowance()


@pytest.mark.parametrize(
    ("template", "field"),
    [
        ({"issueAfterReset": -1}, "issueAfterReset"),
        ({"issueAfterReset": True}, "issueAfterReset"),
        ({"issueAfterReset": "NaN"}, "issueAfterReset"),
        ({"resetMaxRollover": {}}, "resetMaxRollover"),
        ({"issueAfterResetPriority": 40_000}, "issueAfterResetPriority"),
        ({"issueAfterResetPriority": False}, "issueAfterResetPriority"),
        ({"usagePeriod": "P1M"}, "usagePeriod.interval"),
        ({"usagePeriod": {"interval": "monthly"}}, "usagePeriod.interval"),
        ({"usagePeriod": {"interval": "P0D"}}, "usagePeriod.interval"),
        ({"usagePeriod": {"interval": "PT59M"}}, "usagePeriod.interval"),
        ({"usagePeriod": {"interval": "P1M", "anchor": "Monday"}}, "usagePeriod.anchor"),
        ({"usagePeriod": {"interval": "P1M", "anchor": "2026-01-05"}}, "usagePeriod.anchor"),
        ({"isSoftLimit": "yes"}, "isSoftLimit"),
        ({"preserveOverageAtReset": 1}, "preserveOverageAtReset"),
        ({"type": "static"}, "type"),
    ],
)
def test_a_template_that_means_nothing_is_refused(template: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        check_template("metered", template)
    assert refused.value.field == f"feature.entitlementTemplate.{field}"


def test_other_templates_say_only_their_type() -> None:
    check_template("static", {"type": "static", "config": {"seats": 3}})
    check_template("boolean", {})
    check_template("metered", None)


def test_an_anchor_and_limits_are_read_with_the_allowance() -> None:
    period = {"interval": "PT1H", "anchor": "2026-01-05T08:00:00+01:00"}
    found = allowance_of(
        {"usagePeriod": period, "isSoftLimit": True, "preserveOverageAtReset": True}
    )
    assert found.anchor == datetime(2026, 1, 5, 7, tzinfo=UTC)
    assert (found.every, found.is_soft, found.preserves_overage) == (
        Duration(seconds=3600),
        True,
        True,
    )
    plain = allowance_of({})
    assert (plain.anchor, plain.is_soft, plain.preserves_overage) == (None, False, False)
