"""Where an operator's browser shows a workflow's history; it asks Temporal nothing."""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Request

NAMESPACE_DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class TemporalUi:
    """The Temporal UI of this installation; an installation need not have one."""

    url: str | None
    namespace: str

    def history(self, workflow_id: str, run_id: str | None = None) -> str | None:
        """The page of a run's history, or of a workflow's latest run."""
        if self.url is None:
            return None
        parts = [self.url.rstrip("/"), "namespaces", _part(self.namespace), "workflows"]
        parts.append(_part(workflow_id))
        parts += [] if run_id is None else [_part(run_id), "history"]
        return "/".join(parts)


def _part(name: str) -> str:
    """One part of a path; ids of workflows hold slashes."""
    return quote(name, safe="")


async def temporal_ui(request: Request) -> TemporalUi:
    """As the settings name it."""
    settings = request.app.state.settings
    return TemporalUi(settings.temporal_ui_url, settings.temporal_namespace or NAMESPACE_DEFAULT)


OperatorsUi = Annotated[TemporalUi, Depends(temporal_ui)]
