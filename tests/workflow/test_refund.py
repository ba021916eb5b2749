"""Refund under the time-skipping server: given back, then booked; refused for good, then voided."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.refunds import RefundRef, SettleRefund
from tests.workflow.conftest import Simulation, Working
from workflows.options import BILLING_QUEUE
from workflows.refund import RefundState, RefundWorkflow

STATE = RefundState(refund_id="crn_1", merchant_id="org_1", invoice_id="inv_1")


@dataclass
class FakeRefunds:
    """One refund in memory; `answers` of the provider are exceptions or refund ids."""

    answers: list[Any]
    asked: list[str] = field(default_factory=list)
    settled: list[SettleRefund] = field(default_factory=list)

    def activities(self) -> list[Any]:
        """The activities by their names."""

        @activity.defn(name="give_back")
        async def give_back(ref: RefundRef) -> str:
            self.asked.append(ref.refund_id)
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return str(answer)

        @activity.defn(name="settle_refund")
        async def settle_refund(command: SettleRefund) -> str:
            self.settled.append(command)
            return "ISSUED" if command.refusal is None else "VOIDED"

        return [give_back, settle_refund]


UNREACHABLE = ApplicationError("no answer")
REFUSED = ApplicationError("unknown charge", type="GATEWAY_REFUSAL", non_retryable=True)


@pytest.mark.parametrize(
    ("answers", "ended", "settled"),
    [
        (["re_1"], "ISSUED", ("re_1", None)),
        ([UNREACHABLE, "re_1"], "ISSUED", ("re_1", None)),
        ([REFUSED], "VOIDED", (None, "unknown charge")),
    ],
)
async def test_it_settles_what_the_provider_says(
    simulation: Simulation,
    working: Working,
    answers: list[Any],
    ended: str,
    settled: tuple[str | None, str | None],
) -> None:
    fake = FakeRefunds(list(answers))
    async with working(fake.activities()):
        result = await simulation.client.execute_workflow(
            RefundWorkflow.run, STATE, id="refund/crn_1", task_queue=BILLING_QUEUE
        )
    assert result == ended
    assert [(each.gateway_refund_id, each.refusal) for each in fake.settled] == [settled]
    assert fake.asked == ["crn_1"] * len(answers)
