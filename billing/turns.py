"""Turns: what falls due at the same instant is dealt with a group a second, in wall time.

A month ends for everybody at once. What then happens takes as long as it takes; if all of it begins
at that instant, whoever asks for something else waits until it is over. In groups, and not one by
one, since what is done together shares its statements. Nothing that is billed depends on a turn: a
period ends at its boundary, whenever that is dealt with.
"""

from datetime import timedelta
from typing import Final

# About what two cores close in a second.
TOGETHER: Final = 20
LONGEST: Final = timedelta(hours=1)


def turn_seconds(others: int) -> float:
    """How long after the instant, in seconds, where so many others have it already."""
    return min(timedelta(seconds=others // TOGETHER), LONGEST).total_seconds()
