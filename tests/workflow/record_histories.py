"""Records the histories that the determinism gate replays: of stories told to a stack of its own.

    .venv/bin/python -m tests.workflow.record_histories LABEL

Starts a `durabill dev`, tells the stories of `recorded_lives.py`, and writes each workflow's first
run into tests/workflow/histories as `<name>-<LABEL>.json`; the label says which state of the code
it was: a release, or the day. What stands there is never written again.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHistory

from local.demo import stack
from tests.workflow.recorded_lives import tell
from workflows.connection import connect

HISTORIES = Path(__file__).parent / "histories"
# Which process and machine worked on it says nothing about the workflow.
UNTOLD = {"identity"}


def main() -> None:
    """Records them all."""
    if len(sys.argv) != 2:
        raise SystemExit("Which label? A release, or the day, as in 2026-11-28")
    label = sys.argv[1]
    if there := sorted(path.name for path in HISTORIES.glob(f"*-{label}.json")):
        raise SystemExit(f"Recorded already: {', '.join(there)}")
    with tempfile.TemporaryDirectory(prefix="durabill-record-") as folder:
        with stack(Path(folder)) as addresses:
            ids = asyncio.run(tell(addresses))
            asyncio.run(_record(addresses["temporalAddress"], ids, label))


async def _record(address: str, ids: dict[str, str], label: str) -> None:
    client: Client = await connect(address, "default")
    for name, workflow_id in ids.items():
        history = await _first_run(client, workflow_id)
        text = json.dumps(_told(json.loads(history.to_json())), indent=1)
        (HISTORIES / f"{name}-{label}.json").write_text(text + "\n")


async def _first_run(client: Client, workflow_id: str) -> WorkflowHistory:
    """The run that the others continue, which ends with the decision to continue as new."""
    last = await client.get_workflow_handle(workflow_id).fetch_history()
    first = last.events[0].workflow_execution_started_event_attributes.first_execution_run_id
    return await client.get_workflow_handle(workflow_id, run_id=first).fetch_history()


def _told(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _told(value) for name, value in content.items() if name not in UNTOLD}
    return [_told(each) for each in content] if isinstance(content, list) else content


if __name__ == "__main__":
    main()
