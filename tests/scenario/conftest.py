"""Stories on the session's stack; each owns a merchant."""

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from local.dev import program
from local.story import Numbers, Story

Addresses = dict[str, str]
StoryMaker = Callable[[Numbers], Story]


@pytest.fixture
def tell_story(addresses: Addresses) -> StoryMaker:
    """A story of a merchant of its own."""

    def make(numbers: Numbers) -> Story:
        merchant = json.loads(
            durabill(addresses, "merchant", "create", "--name", "Story", "--json").stdout
        )
        return Story({**addresses, **merchant}, numbers, lambda _step: None)

    return make


def durabill(addresses: Addresses, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command line against this stack."""
    environment = {
        **os.environ,
        "DURABILL_DATABASE_URL": addresses["databaseUrl"],
        "DURABILL_TEMPORAL_ADDRESS": addresses["temporalAddress"],
        "DURABILL_GATEWAY_URL": addresses["gatewayUrl"],
    }
    return subprocess.run(
        [sys.executable, str(program()), *arguments],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
