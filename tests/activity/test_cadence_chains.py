"""Chains of plans of other cadences: each instant is billed once, however late it is billed.

All invoices are drafted at the end, as if each of them had waited for late usage until then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

import pytest

from activities.organizations import CreatedMerchant
from activities.subscription_endings import Terminate
from activities.subscription_plans import At, ChangePlan
from activities.subscription_rolls import RollPeriod
from activities.subscriptions import SubscriptionActivities, SubscriptionRef
from billing.rating import RatedLine
from models.database import Database
from models.queries import drafts, invoices, plan_changes, subscriptions
from tests.activity.rows import START, PlanShape, open_shop

CADENCES = {"week": "P7D", "month": "P1M", "quarter": "P3M", "year": "P1Y", "aligned": "P1M"}
ALIGNED = datetime(2025, 12, 16, tzinfo=UTC)
ALL = ("ACTIVE", "CLOSING")
TOLERANCE = Fraction(1, 10**20)
Move = tuple[int | None, str, At]
"""After how many days which plan; None: at the next boundary, once it is rolled."""
CHAINS: dict[str, Sequence[Move]] = {
    "months and years": [(17, "year", "now"), (40, "month", "now"), (50, "year", "period_end")],
    "at boundaries": [(None, "year", "now"), (0, "month", "now"), (None, "quarter", "now")],
    "with periods": [
        (5, "quarter", "period_end"), (120, "year", "period_end"), (400, "month", "period_end"),
        (60, "week", "period_end"), (20, "month", "period_end"),
    ],
    "to a day of its own": [
        (20, "quarter", "now"), (10, "aligned", "now"), (40, "year", "period_end"),
        (30, "aligned", "period_end"), (400, "week", "now"), (3, "aligned", "period_end"),
    ],
    "three on a day": [
        (9, "year", "now"), (0, "week", "now"), (0, "quarter", "now"), (2, "month", "period_end"),
        (None, "year", "now"), (None, "month", "period_end"), (1, "quarter", "now"),
    ],
    "named and changed": [
        (3, "year", "period_end"), (2, "quarter", "now"), (2, "week", "period_end"),
        (1, "month", "period_end"), (95, "aligned", "now"),
    ],
}  # fmt: skip
LAST_DAYS = 100
# Usage by the plan, and at a cadence of its own.
USAGE: Sequence[tuple[str, str | None]] = [
    *((name, None) for name in CHAINS),
    ("at boundaries", "P1Y"), ("with periods", "P1M"),
    ("to a day of its own", "P1Y"), ("three on a day", "P3M"),
]  # fmt: skip


@dataclass
class Life:
    """A subscription that is moved from plan to plan."""

    activities: SubscriptionActivities
    merchant_id: str
    subscription_id: str
    plans: dict[str, str]
    now: datetime = START

    async def live(self, moves: Sequence[Move]) -> None:
        """Through all moves, and a while after them."""
        for days, plan, at in moves:
            if days is None:
                self.now = await self._next_boundary()
            else:
                self.now += timedelta(days=days)
            await self._roll()
            await self.activities.change_plan(
                ChangePlan(
                    merchant_id=self.merchant_id,
                    subscription_id=self.subscription_id,
                    now=self.now,
                    plan_id=self.plans[plan],
                    at=at,
                )
            )
        self.now += timedelta(days=LAST_DAYS)
        await self._roll()

    async def _next_boundary(self) -> datetime:
        view = await self.activities.view_subscription(self._ref())
        assert view.next_boundary is not None
        return view.next_boundary

    async def _roll(self) -> None:
        view = await self.activities.view_subscription(self._ref())
        while view.next_boundary is not None and view.next_boundary <= self.now:
            command = RollPeriod(
                merchant_id=self.merchant_id,
                subscription_id=self.subscription_id,
                sequence_number=view.sequence_number,
                now=view.next_boundary,
            )
            view = (await self.activities.roll_period(command)).view

    async def end(self) -> None:
        """Terminated now."""
        await self.activities.terminate_subscription(
            Terminate(
                merchant_id=self.merchant_id,
                subscription_id=self.subscription_id,
                now=self.now,
                reason="test",
            )
        )

    def _ref(self) -> SubscriptionRef:
        return SubscriptionRef(
            merchant_id=self.merchant_id, subscription_id=self.subscription_id, now=self.now
        )


async def _lived(
    database: Database,
    merchant_id: str,
    term: str,
    moves: Sequence[Move],
    usage_cadence: str | None = None,
) -> tuple[Life, list[RatedLine], Fraction]:
    """What all invoices of a life bill, and what a change at its end would give back."""
    shops = {
        name: await open_shop(
            database,
            merchant_id,
            PlanShape(
                fee="1.00",
                cadence=cadence,
                fee_term=term,
                usage_cadence=usage_cadence,
                tax_percent="0",
                anchor=ALIGNED if name == "aligned" else None,
            ),
        )
        for name, cadence in CADENCES.items()
    }
    activities = SubscriptionActivities(database)
    first = shops["month"]
    made = await activities.create_subscription(first.subscription())
    life = Life(
        activities,
        merchant_id,
        made.subscription_id,
        {name: shop.plan_id for name, shop in shops.items()},
    )
    if term == "in_advance":
        async with database.transaction() as session:
            (issued,) = await invoices.of_subscription(
                session, merchant_id, made.subscription_id, "ISSUED"
            )
            await invoices.change(session, merchant_id, issued.id, status="PAID")
    await life.live(moves)
    async with database.transaction() as session:
        owner = await subscriptions.get(session, merchant_id, made.subscription_id)
        assert owner is not None
        terms = await drafts.terms_of(session, owner)
        back = await plan_changes.given_back(session, terms, life.now)
    rest = sum((Fraction(each.amount) for each in back), Fraction(0))
    await life.end()
    return life, await _billed(database, life), rest


async def _billed(database: Database, life: Life) -> list[RatedLine]:
    async with database.transaction() as session:
        owner = await subscriptions.get(session, life.merchant_id, life.subscription_id)
        assert owner is not None
        terms = await drafts.terms_of(session, owner)
        found = await invoices.of_subscription(session, life.merchant_id, owner.id, *ALL)
        lines: list[RatedLine] = []
        for invoice in reversed(found):
            lines += (await drafts.of_invoice(session, terms, invoice)).lines
        return lines


def _uncut(line: RatedLine) -> Fraction:
    """What it would come to on an invoice that can bear it."""
    cut = None if line.origin is None else line.origin.uncut
    return Fraction(line.total_amount if cut is None else cut)


@pytest.mark.parametrize(("name", "usage"), USAGE)
async def test_each_instant_is_billed_once(
    name: str, usage: str | None, database: Database, merchant: CreatedMerchant
) -> None:
    merchant_id = merchant.merchant_id
    life, lines, _ = await _lived(database, merchant_id, "in_arrears", CHAINS[name], usage)
    for kind in ("fee", "metric"):
        windows = sorted(
            (line.window for line in lines if line.price.kind == kind),
            key=lambda window: (window.start, window.end),
        )
        assert (windows[0].start, windows[-1].end) == (START, life.now)
        assert all(one.end == other.start for one, other in pairwise(windows)), kind
    for line in lines:
        if line.price.kind == "fee":
            assert line.origin is not None
            cadence = line.price.cadence
            assert cadence is not None
            assert line.origin.cycle.covers(line.window)
            days = Fraction(line.origin.cycle.microseconds, 86_400_000_000)
            mean = Fraction(cadence.mean_seconds) / 86_400
            assert abs(days - mean) < 4, line


@pytest.mark.parametrize("name", CHAINS)
async def test_what_is_paid_ahead_is_what_is_used(
    name: str, database: Database, merchant: CreatedMerchant
) -> None:
    """Fees ahead, less what is given back and what would be at the end, are the fees in arrears."""
    merchant_id = merchant.merchant_id
    _, behind, _ = await _lived(database, merchant_id, "in_arrears", CHAINS[name])
    _, ahead, rest = await _lived(database, merchant_id, "in_advance", CHAINS[name])
    used = sum((_uncut(line) for line in behind), Fraction(0))
    # The first month was paid at the creation.
    paid = 1 + sum((_uncut(line) for line in ahead), Fraction(0))
    assert abs(paid + rest - used) < TOLERANCE


def test_the_chains_know_their_plans() -> None:
    assert {plan for moves in CHAINS.values() for _, plan, _ in moves} == set(CADENCES)
