"""When a failed collection is tried again; it charges nobody and waits for nothing."""

from datetime import datetime, timedelta
from typing import Final

RETRY_DAYS: Final = (1, 3, 5, 7)


def next_attempt_at(first_failed_at: datetime, attempt: int) -> datetime | None:
    """The retry after `attempt` failed attempts (1: only the first one so far), else None.

    Counted from the first failure, so that a slow retry does not move the ones behind it.
    """
    if attempt > len(RETRY_DAYS):
        return None
    return first_failed_at + timedelta(days=RETRY_DAYS[max(attempt, 1) - 1])
