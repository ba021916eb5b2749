"""Time-outs and retry policies, named by kind of work; the kinds, not the calls, differ."""

from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy


class LocalOptions(TypedDict):
    """How a short transaction runs, in the worker that runs the workflow."""

    start_to_close_timeout: timedelta
    retry_policy: RetryPolicy


class OutsideOptions(TypedDict):
    """How a call to somebody else's server runs."""

    task_queue: str
    start_to_close_timeout: timedelta
    retry_policy: RetryPolicy


class SliceOptions(TypedDict):
    """How long work runs that heartbeats: a slice of a test clock, a walk over a table."""

    start_to_close_timeout: timedelta
    heartbeat_timeout: timedelta
    retry_policy: RetryPolicy


# How soon another worker takes over what a killed one was working on. Work that takes longer is
# kept alive by heartbeats; a shorter limit would only disturb a busy worker.
TASK_TIMEOUT = timedelta(seconds=5)
STICKY_TIMEOUT = timedelta(seconds=3)

BILLING_QUEUE = "billing"
PAYMENTS_QUEUE = "payments"

# Refusals (BillingError) come as non-retryable; everything else is a server that will be back.
DATABASE: LocalOptions = {
    "start_to_close_timeout": timedelta(seconds=10),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(milliseconds=100), maximum_interval=timedelta(seconds=5)
    ),
}
GATEWAY: OutsideOptions = {
    "task_queue": PAYMENTS_QUEUE,
    "start_to_close_timeout": timedelta(seconds=8),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(minutes=1)
    ),
}
WALK: SliceOptions = {
    "start_to_close_timeout": timedelta(hours=6),
    "heartbeat_timeout": timedelta(minutes=1),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=5)
    ),
}
CLOCK_SLICE: SliceOptions = {
    "start_to_close_timeout": timedelta(minutes=30),
    "heartbeat_timeout": timedelta(seconds=5),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5)
    ),
}
