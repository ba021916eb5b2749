"""How a request becomes durable before its work changes rows; what the work is, its workflow says.

Temporal keeps an update in memory until the workflow task that accepts it is recorded, and a
local activity runs within that task. A Temporal server that dies in between forgets the request
while its rows are written: nobody would go on with what was begun.
"""

from datetime import timedelta

from temporalio import workflow

_SHORTEST = timedelta(milliseconds=1)


async def accepted() -> None:
    """Returns when the history holds every update that came; a timer ends the task they came in.

    For requests of people, which are rare. A test clock's ticks do without: the clock repeats them.
    """
    if workflow.patched("accepted-first"):
        await workflow.sleep(_SHORTEST, summary="the request is recorded")
