"""kill -9 of each process while the story runs: afterwards everything is as if nothing had died.

Exactly one invoice a period, one charge an invoice, every event once, the ledger balanced.
"""

import time
from decimal import Decimal
from pathlib import Path

import pytest

from tests.fault.conftest import Teller
from tests.fault.stubborn import LOSES_ANSWER_CARD, PAUSE_SECONDS, Effects
from tests.fault.victims import Assassin
from tests.scenario.conftest import Addresses, durabill

# Seconds after the start of a step: into the checkout, the close, the charge and what follows. A
# killed worker costs the most time to take over from, so it dies once a step.
DELAYS = {
    "worker": (0.4,),
    "postgres": (0.15, 0.9),
    "temporal": (0.15, 0.9),
    "api": (0.15, 0.9),
    "gateway": (0.15, 0.9),
}
AWAY = 2
TRIES = 30


def _reconciles(addresses: Addresses) -> None:
    """Who was killed last may only be coming back: exit code 2 says that a server is away."""
    proof = durabill(addresses, "reconcile")
    for _ in range(TRIES):
        if proof.returncode != AWAY:
            break
        time.sleep(PAUSE_SECONDS)
        proof = durabill(addresses, "reconcile")
    assert proof.returncode == 0, proof.stdout + proof.stderr


def test_the_undisturbed_story(addresses: Addresses, undisturbed: Effects) -> None:
    """5 events of 400 tokens a month at 0.002 make 4.00; with the fee 53.00, with tax 58.30.

    53.90 at the start, 58.30 for February with March's fee, 58.30 for March with April's, and
    4.40 for the usage of April until the termination.
    """
    assert [(row[1], row[2]) for row in undisturbed.invoices] == [
        ("PAID", "53.90"),
        ("PAID", "58.30"),
        ("PAID", "58.30"),
        ("PAID", "4.40"),
    ]
    assert undisturbed.charges == [
        [("succeeded", Decimal(amount))] for amount in ("53.90", "58.30", "58.30", "4.40")
    ]
    _reconciles(addresses)


@pytest.mark.parametrize("victim", DELAYS)
def test_a_killed_process_changes_nothing(
    addresses: Addresses, stack_folder: Path, tell: Teller, undisturbed: Effects, victim: str
) -> None:
    with Assassin(stack_folder, victim, DELAYS[victim]) as assassin:
        _story, effects = tell(assassin.strike)
    assert assassin.killed >= 4
    assert effects == undisturbed
    _reconciles(addresses)


def test_lost_answers_and_a_dying_worker_charge_once(
    addresses: Addresses, stack_folder: Path, tell: Teller, undisturbed: Effects
) -> None:
    """Each first charge succeeds at the provider, and nobody hears of it; then the worker dies."""
    with Assassin(stack_folder, "worker", (1.1,)) as assassin:
        _story, effects = tell(assassin.strike, card=LOSES_ANSWER_CARD)
    assert assassin.killed >= 4
    assert effects == undisturbed
    _reconciles(addresses)
