"""What the recorded histories hold, read from their files; it replays none of them."""

import base64
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

HISTORIES = Path(__file__).parent / "histories"


@dataclass
class Recorded:
    """What one workflow was seen to do, over all of its histories."""

    handlers: set[str] = field(default_factory=set)
    """Updates and signals that it took."""
    activities: set[str] = field(default_factory=set)
    patches: set[str] = field(default_factory=set)
    commands: set[str] = field(default_factory=set)
    """Other things that it asked of Temporal, by the type of their event."""

    def see(self, event: dict[str, Any]) -> None:
        """Takes note of one event."""
        self.commands.add(event["eventType"].removeprefix("EVENT_TYPE_"))
        if accepted := event.get("workflowExecutionUpdateAcceptedEventAttributes"):
            self.handlers.add(accepted["acceptedRequest"]["input"]["name"])
        if signaled := event.get("workflowExecutionSignaledEventAttributes"):
            self.handlers.add(signaled["signalName"])
        if scheduled := event.get("activityTaskScheduledEventAttributes"):
            self.activities.add(scheduled["activityType"]["name"])
        if marker := event.get("markerRecordedEventAttributes"):
            self._see_marker(marker)

    def _see_marker(self, marker: dict[str, Any]) -> None:
        name, details = marker["markerName"], marker["details"]
        if name == "core_local_activity":
            self.activities.add(_first(details["data"])["activity_type"])
        elif name == "core_patch":
            self.patches.add(_first(details["patch-data"])["id"])


def files() -> list[Path]:
    """The histories, by name."""
    return sorted(HISTORIES.glob("*.json"))


def type_of(content: dict[str, Any]) -> str:
    """The name of the workflow whose history it is."""
    name: str = content["events"][0]["workflowExecutionStartedEventAttributes"]["workflowType"][
        "name"
    ]
    return name


@cache
def recorded() -> dict[str, Recorded]:
    """What each workflow was seen to do, by its name."""
    seen: dict[str, Recorded] = {}
    for path in files():
        content = json.loads(path.read_text())
        workflow = seen.setdefault(type_of(content), Recorded())
        for event in content["events"]:
            workflow.see(event)
    return seen


def _first(payloads: dict[str, Any]) -> Any:
    return json.loads(base64.b64decode(payloads["payloads"][0]["data"]))
