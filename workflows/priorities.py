"""Who goes first where tasks queue: what somebody waits for before what the end of a month brings.

Temporal's task queues have five levels, 1 first and 3 unless told otherwise; within a level every
merchant has an equal share, where the server has fairness switched on (`matching.enableFairness`).
"""

from temporalio.common import Priority

_AWAITED, _USUAL, _PATIENT = 2, 3, 4
_LEVELS = {
    # A person waits for a subscription, a caller for a reservation. A period's end is rolled over
    # by the subscription too, in one short task; what takes long is in the close.
    "Subscription": _AWAITED,
    "EntitlementReservation": _AWAITED,
    # Its window is over: whoever reads it then reads the same a minute later.
    "InvoiceClose": _PATIENT,
    "Refund": _PATIENT,
}


def of(workflow_type: str, merchant_id: str) -> Priority:
    """The priority of a workflow, which its own tasks and activities have too."""
    level = _LEVELS.get(workflow_type, _USUAL)
    return Priority(priority_key=level, fairness_key=merchant_id)
