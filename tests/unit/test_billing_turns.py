"""What falls due at the same instant takes turns; nobody waits longer than an hour."""

import pytest

from billing.turns import turn_seconds


@pytest.mark.parametrize(
    ("others", "seconds"), [(0, 0), (19, 0), (20, 1), (39, 1), (10_000, 500), (1_000_000, 3600)]
)
def test_a_turn_comes_after_those_that_were_there_before(others: int, seconds: float) -> None:
    assert turn_seconds(others) == seconds
