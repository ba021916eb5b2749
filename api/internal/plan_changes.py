"""Another plan for a subscription, on the internal wire: previewed, or done."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Depends, Path

from activities.subscription_plans import ChangePlan
from api.deps import Commands, Transactions
from api.internal.admin import administrator
from api.schema import Body, Instant, PlanId, SubscriptionId, Wire, found
from billing.money import amount_text, exact, text, to_minor_unit
from billing.plan_change import Amount
from models.base import wall_now
from models.queries import plan_changes, test_clocks

router = APIRouter(prefix="/subscriptions/{id}/planChange", dependencies=[Depends(administrator)])


class NewPlanChange(Body):
    """Which plan, from when; a preview stores nothing."""

    plan_id: PlanId
    at: Literal["now", "period_end"]
    preview: bool = False


class PlanChangeLine(Wire):
    """What is given back (negative) or asked for, without tax on top, unrounded."""

    display_name: str
    period_start: Instant
    period_end: Instant
    amount: str

    @classmethod
    def of(cls, line: Amount) -> Self:
        """The answer for a line."""
        return cls(
            display_name=line.name,
            period_start=line.window.start,
            period_end=line.window.end,
            amount=text(line.amount),
        )


class PlanChange(Wire):
    """A change of the plan, made or not."""

    object: Literal["planChange"] = "planChange"
    subscription_id: str
    plan_id: str
    preview: bool
    effective_at: Instant
    billing_anchor: Instant
    billing_cadence: str
    period_end: Instant
    """Until when the first period under the plan runs."""
    currency: str
    lines: list[PlanChangeLine]
    subtotal: str
    """What the lines come to; usage and arrears until then are billed beside them."""


@dataclass(frozen=True, slots=True)
class _Door:
    """Reads in a transaction of its own, and changes through the workflow."""

    transactions: Transactions
    commands: Commands

    async def command(self, subscription_id: str, body: NewPlanChange) -> tuple[ChangePlan, str]:
        """The change, at the subscription's time, and the currency it is billed in."""
        async with self.transactions.transaction() as session:
            row = found(
                await plan_changes.any_merchants_subscription(session, subscription_id),
                "subscription",
            )
            now = await test_clocks.now_of(session, row.merchant_id, row.test_clock_id, wall_now())
            command = ChangePlan(
                merchant_id=row.merchant_id,
                subscription_id=row.id,
                now=now,
                plan_id=body.plan_id,
                at=body.at,
            )
            return command, row.currency


@router.post("", operation_id="internalChangePlan")
async def internal_change_plan(
    subscription_id: Annotated[SubscriptionId, Path(alias="id")],
    body: NewPlanChange,
    door: Annotated[_Door, Depends(_Door)],
) -> PlanChange:
    """Bill a subscription by another plan: unused fees are given back, the new ones asked for."""
    command, currency = await door.command(subscription_id, body)
    planned = await door.commands.planned_change(command)
    if not body.preview:
        await door.commands.change_plan(command)
    with exact():
        subtotal = sum((each.amount for each in planned.lines), Decimal(0))
    return PlanChange(
        subscription_id=subscription_id,
        plan_id=body.plan_id,
        preview=body.preview,
        effective_at=planned.effective_at,
        billing_anchor=planned.cycles.anchor,
        billing_cadence=planned.cycles.cadence.text(),
        period_end=planned.cycles.at(planned.effective_at).end,
        currency=currency,
        lines=[PlanChangeLine.of(each) for each in planned.lines],
        subtotal=amount_text(to_minor_unit(subtotal, currency), currency),
    )
