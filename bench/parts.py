"""The parts of a running stack as processes: their CPU time and memory; it starts none of them."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import stage

# What a process is called by its command line.
_NAMES = {"worker": " worker", "api": " api", "temporal": "temporal", "gateway": " gateway"}


@dataclass(frozen=True)
class Parts:
    """The descendants of this process, by part."""

    pids: dict[str, list[int]]

    @classmethod
    def found(cls) -> "Parts":
        """As they are now."""
        found: dict[str, list[int]] = {name: [] for name in (*_NAMES, "postgres")}
        for pid in _descendants(os.getpid()):
            text = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            names = [name for name, mark in _NAMES.items() if mark in text]
            if "postgres" in text.split(" ")[0]:
                found["postgres"].append(pid)
            elif names:
                found[names[0]].append(pid)
        return cls(found)

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far; connections of PostgreSQL come and go, so it is looked up anew."""
        now = {**self.pids, "postgres": Parts.found().pids["postgres"]}
        return {name: sum(stage.cpu_seconds(pid) for pid in pids) for name, pids in now.items()}

    def cpu_since(self, before: dict[str, float]) -> dict[str, float]:
        """CPU seconds since an earlier reading."""
        return {name: seconds - before[name] for name, seconds in self.cpu().items()}

    def worker_mib(self) -> float:
        """The memory of the worker."""
        (pid,) = self.pids["worker"]
        return stage.Server(0, pid).memory_mib()


def _descendants(pid: int) -> Iterator[int]:
    for child in stage.family(pid)[1:]:
        yield child
        yield from _descendants(child)
