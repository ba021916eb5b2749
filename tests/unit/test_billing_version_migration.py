"""When a subscription may move to another version."""

from datetime import UTC, datetime

import pytest

from billing.version_migration import (
    BoundaryDue,
    EndsBeforeBoundary,
    FeatureChanged,
    FeatureTerms,
    Standing,
    SubscriptionNotLive,
    check_features,
    check_standing,
)

NOW = datetime(2026, 2, 10, tzinfo=UTC)
BOUNDARY = datetime(2026, 3, 1, tzinfo=UTC)
LATER = datetime(2026, 3, 2, tzinfo=UTC)


def test_it_takes_effect_at_the_next_boundary() -> None:
    assert check_standing(Standing("active", BOUNDARY, None, NOW)) == BOUNDARY
    assert check_standing(Standing("active", BOUNDARY, LATER, NOW)) == BOUNDARY


@pytest.mark.parametrize(
    ("standing", "refusal"),
    [
        (Standing("pending_payment", None, None, NOW), SubscriptionNotLive),
        (Standing("terminated", None, None, NOW), SubscriptionNotLive),
        (Standing("active", None, None, NOW), SubscriptionNotLive),
        (Standing("active", NOW, None, NOW), BoundaryDue),
        (Standing("active", BOUNDARY, BOUNDARY, NOW), EndsBeforeBoundary),
        (Standing("active", BOUNDARY, NOW, NOW), EndsBeforeBoundary),
    ],
)
def test_what_does_not_move(standing: Standing, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        check_standing(standing)


def test_a_feature_keeps_its_meter_and_its_resets() -> None:
    before = {"feat_1": FeatureTerms("bm_1", "P1M"), "feat_2": FeatureTerms(None, None)}
    check_features(before, before)
    check_features(before, {"feat_3": FeatureTerms("bm_9", "P1D")})
    for changed in (FeatureTerms("bm_2", "P1M"), FeatureTerms("bm_1", None)):
        with pytest.raises(FeatureChanged) as refusal:
            check_features(before, {"feat_1": changed})
        assert refusal.value.details["featureId"] == "feat_1"
