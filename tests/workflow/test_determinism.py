"""The determinism gate: recorded histories replay on today's workflow code.

A changed sequence of commands fails here before it fails in production; a changed timer length or
argument does not (the other workflow tests assert dates).
"""

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from tests.workflow.changed import ChangedInvoiceClose
from tests.workflow.recorded import files, recorded
from worker import WORKFLOWS, workflow_runner
from workflows.payloads import DATA_CONVERTER

HISTORIES = files()


def _history(path: Path) -> WorkflowHistory:
    content = json.loads(path.read_text())
    attributes = content["events"][0]["workflowExecutionStartedEventAttributes"]
    return WorkflowHistory.from_json(attributes["workflowId"], content)


def test_every_process_of_the_story_is_recorded() -> None:
    assert set(recorded()) == {each.__name__.removesuffix("Workflow") for each in WORKFLOWS}


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_recorded_history_replays(path: Path) -> None:
    replayer = Replayer(
        workflows=WORKFLOWS,
        data_converter=DATA_CONVERTER,
        workflow_runner=workflow_runner(strict=True),
    )
    await replayer.replay_workflow(_history(path))


async def test_a_changed_sequence_of_commands_is_noticed() -> None:
    path = next(path for path in HISTORIES if path.stem.startswith("invoice-close"))
    replayer = Replayer(workflows=[ChangedInvoiceClose], data_converter=DATA_CONVERTER)
    with pytest.raises(NondeterminismError):
        await replayer.replay_workflow(_history(path))
