"""Runs every benchmark of this folder, or those that are named; keeps what they return."""

import importlib
import json
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def benchmarks() -> list[str]:
    """The modules with a `main`, in the order of their names."""
    return sorted(
        path.stem
        for path in FOLDER.glob("*.py")
        if not path.stem.startswith("__") and "\ndef main(" in path.read_text()
    )


def run(name: str) -> None:
    print(f"\n== {name} ==", flush=True)
    results = importlib.import_module(f"bench.{name}").main()
    if results is not None:
        target = FOLDER / "results" / f"{name}.json"
        target.parent.mkdir(exist_ok=True)
        target.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    for wanted in sys.argv[1:] or benchmarks():
        run(wanted)
