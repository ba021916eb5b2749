"""The older client, in an environment of its own; only ten operations are asked through it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.contract.frozen import Exchange

VERSION = "0.1.34"
ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".tools" / f"client-{VERSION}"
INSTALL_SECONDS = 180


class OlderClientMissing(Exception):
    """It cannot be installed here (no network, most likely)."""


def python_of_older_client() -> Path:
    """The interpreter of its environment, which is made on demand."""
    python = FOLDER / "bin" / "python"
    done = FOLDER / ".installed"
    if not done.exists():
        _run([sys.executable, "-m", "venv", str(FOLDER)])
        _run([str(python), "-m", "pip", "install", "--quiet", f"paygentic-sdk=={VERSION}"])
        done.touch()
    return python


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise OlderClientMissing(f"{' '.join(command[-2:])}: {error}") from error


def ask(api_url: str, api_key: str, client: str, arguments: dict[str, Any]) -> Exchange:
    """One call; an answer that the older client cannot parse raises."""
    request = {"apiUrl": api_url, "client": client, "arguments": arguments}
    printed = subprocess.run(
        [str(python_of_older_client()), str(Path(__file__).with_name("older_call.py"))],
        input=json.dumps(request),
        env={**os.environ, "DURABILL_CONTRACT_KEY": api_key},
        capture_output=True,
        text=True,
        check=False,
    )
    if printed.returncode:
        raise AssertionError(printed.stderr)
    return Exchange(**json.loads(printed.stdout))
