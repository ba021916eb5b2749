"""What a workflow can be asked and can do stands in a recorded history, or it is not replayed.

A branch that no history takes may be changed carelessly without the determinism gate noticing.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.structure.source import Function, Module, modules
from tests.workflow.recorded import Recorded, recorded

# What has no history, each with its reason.
UNRECORDED = {
    "PaymentCollection WORKFLOW_EXECUTION_CONTINUED_AS_NEW": "takes a history of 800 events",
    "TestClock WORKFLOW_EXECUTION_CONTINUED_AS_NEW": "takes a history of 800 events",
}
# The event by which a history shows that it came so far.
EVENTS = {
    "continue_as_new": "WORKFLOW_EXECUTION_CONTINUED_AS_NEW",
    "start_abandoned": "START_CHILD_WORKFLOW_EXECUTION_INITIATED",
    "get_external_workflow_handle": "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED",
}


@dataclass
class Written:
    """What one workflow's class says that it takes and does."""

    name: str
    handlers: set[str] = field(default_factory=set)
    activities: set[str] = field(default_factory=set)
    patches: set[str] = field(default_factory=set)
    commands: set[str] = field(default_factory=set)

    def missing(self, seen: Recorded) -> set[str]:
        """What no history shows."""
        missing = (
            self.handlers - seen.handlers,
            self.activities - seen.activities,
            self.patches - seen.patches,
            self.commands - seen.commands,
        )
        return {f"{self.name} {each}" for part in missing for each in part}


def _classes(module: Module) -> Iterator[ast.ClassDef]:
    return (node for node in module.tree.body if isinstance(node, ast.ClassDef))


def _read(node: ast.ClassDef) -> Written:
    found = Written(node.name.removesuffix("Workflow"))
    for each in ast.walk(node):
        if isinstance(each, Function) and _is_handler(each):
            found.handlers.add(each.name)
        elif isinstance(each, ast.Attribute) and ast.unparse(each.value).endswith("Activities"):
            found.activities.add(each.attr)
        elif isinstance(each, ast.Call):
            _read_call(each, found)
    return found


def _is_handler(function: Function) -> bool:
    named = {ast.unparse(each).split("(")[0] for each in function.decorator_list}
    return bool(named & {"workflow.update", "workflow.signal"})


def _read_call(call: ast.Call, found: Written) -> None:
    name = ast.unparse(call.func).removeprefix("workflow.")
    if name in EVENTS:
        found.commands.add(EVENTS[name])
    if name == "patched" and isinstance(call.args[0], ast.Constant):
        found.patches.add(str(call.args[0].value))


def written() -> list[Written]:
    """Every workflow's class, as it is written."""
    found = (
        node
        for module in modules()
        if module.package == "workflows"
        for node in _classes(module)
        if any(ast.unparse(each).startswith("workflow.defn") for each in node.decorator_list)
    )
    return [_read(node) for node in found]


WRITTEN = written()


@pytest.mark.parametrize("workflow", WRITTEN, ids=lambda workflow: workflow.name)
def test_what_a_workflow_does_is_recorded(workflow: Written) -> None:
    seen = recorded().get(workflow.name, Recorded())
    assert workflow.missing(seen) - set(UNRECORDED) == set()


def test_what_is_allowed_to_have_no_history_still_has_none() -> None:
    missing = {
        each
        for workflow in WRITTEN
        for each in workflow.missing(recorded().get(workflow.name, Recorded()))
    }
    assert set(UNRECORDED) - missing == set()


def test_a_branch_without_a_history_is_seen() -> None:
    tree = ast.parse(
        "class TestClockWorkflow:\n"
        "    @workflow.update\n"
        "    async def rewind(self): workflow.patched('rewinds')\n"
        "    @workflow.update\n"
        "    async def advance(self): await go(TestClockActivities.rewind_slice)\n"
    )
    node = tree.body[0]
    assert isinstance(node, ast.ClassDef)
    assert _read(node).missing(recorded()["TestClock"]) == {
        "TestClock rewind",
        "TestClock rewinds",
        "TestClock rewind_slice",
    }
