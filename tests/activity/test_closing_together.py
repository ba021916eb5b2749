"""Invoices that close at the same time: to the row what they are when they close one by one.

Both ways start from one copy of a database, so that all that is derived is the same in both.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import text
from sqlmodel import col, select
from temporalio.testing import ActivityEnvironment

from activities.gathering import Gathering
from activities.invoices import DraftedInvoice, DraftInvoice, InvoiceActivities
from activities.organizations import CreateMerchant, OrganizationActivities
from activities.subscription_rolls import RollPeriod
from activities.subscriptions import SubscriptionActivities
from models.adjustments import Adjustment
from models.audit import Acting, acting
from models.base import new_id
from models.database import Database
from models.manual_lines import ManualLine
from models.plans import Plan, PlanLine, PlanVersion
from models.prices import Price
from models.queries import draft_sets, drafts, invoices, peculiarities, subscriptions
from models.subscription_intervals import SubscriptionInterval
from models.usage_voids import UsageVoid
from tests.activity.rows import START, PlanShape, Shop, next_customer, open_shop
from tests.activity.twins import nobody_together, opened, told_rows, twin
from tests.activity.usage import report

FEBRUARY_END = datetime(2026, 2, 28, 9, tzinfo=UTC)
MARCH_END = datetime(2026, 3, 31, 9, tzinfo=UTC)
GRACE = timedelta(hours=24)
IN_FEBRUARY = START + timedelta(days=1)
IN_MARCH = FEBRUARY_END + timedelta(days=1)
LATE = IN_FEBRUARY + timedelta(days=2)
"""When it was used; it is reported after February was billed."""
ARREARS = PlanShape(fee="10.00", fee_term="in_arrears")
ALLOWANCE = {
    "type": "metered", "isSoftLimit": True,
    "issueAfterReset": 1000, "usagePeriod": {"interval": "P1M"},
}  # fmt: skip
INCLUDED = PlanShape(fee=None, allowance=ALLOWANCE)


@dataclass(frozen=True, kw_only=True)
class Contract:
    """A customer's subscription in a shop."""

    shop: Shop
    subscription_id: str


async def _subscribed(database: Database, shop: Shop, **terms: Any) -> Contract:
    command = replace(shop.subscription(), **terms)
    made = await SubscriptionActivities(database).create_subscription(command)
    return Contract(shop=shop, subscription_id=made.subscription_id)


async def _rolled(
    database: Database, contract: Contract, number: int, boundary: datetime
) -> DraftInvoice:
    rolled = await SubscriptionActivities(database).roll_period(
        RollPeriod(
            merchant_id=contract.shop.merchant_id,
            subscription_id=contract.subscription_id,
            sequence_number=number,
            now=boundary,
        )
    )
    assert rolled.closing is not None
    return DraftInvoice(
        merchant_id=contract.shop.merchant_id,
        invoice_id=rolled.closing.invoice_id,
        now=boundary + GRACE,
        issue=True,
    )


async def _merchant(database: Database) -> str:
    made = await OrganizationActivities(database).create_merchant(CreateMerchant("Together"))
    return made.merchant_id


async def _add(database: Database, *rows: Any) -> None:
    async with database.transaction() as session:
        session.add_all(rows)


async def one_by_one(
    activities: InvoiceActivities, refs: Sequence[DraftInvoice]
) -> list[DraftedInvoice | BaseException]:
    """Each read alone, after the one before it, in the order of their ids."""
    activities._drafting = Gathering(nobody_together)
    done: list[DraftedInvoice | BaseException] = []
    for ref in sorted(refs, key=lambda ref: ref.invoice_id):
        done += await asyncio.gather(_signed(activities, ref), return_exceptions=True)
    return done


async def together(
    activities: InvoiceActivities, refs: Sequence[DraftInvoice]
) -> list[DraftedInvoice | BaseException]:
    """All at the same time, as a worker's activities are."""
    ordered = sorted(refs, key=lambda ref: ref.invoice_id)
    calls = [_signed(activities, ref) for ref in ordered]
    return list(await asyncio.gather(*calls, return_exceptions=True))


async def _signed(activities: InvoiceActivities, ref: DraftInvoice) -> DraftedInvoice:
    """As a worker runs it: under the name of the workflow that asks."""
    environment = ActivityEnvironment()
    workflow_id = f"invoice-close/{ref.invoice_id}"
    environment.info = replace(
        environment.info, workflow_id=workflow_id, workflow_run_id=f"run/{ref.invoice_id}"
    )

    async def drafting() -> DraftedInvoice:
        acting.set(Acting(f"workflow:{workflow_id}", "draft_invoice"))
        return await activities.draft_invoice(ref)

    return await asyncio.create_task(environment.run(drafting))


Way = Callable[
    [InvoiceActivities, Sequence[DraftInvoice]], Awaitable[list[DraftedInvoice | BaseException]]
]


async def _outcomes(
    url: str, refs: Sequence[DraftInvoice], way: Way
) -> tuple[list[Any], dict[str, list[str]]]:
    """What a copy of the database answers when they close in this way, and what it then holds."""
    async with twin(url) as database:
        answers = await way(InvoiceActivities(database), refs)
        return answers, await told_rows(database)


async def _stage_everybody(database: Database) -> list[DraftInvoice]:
    """One of each kind, with two periods behind most, on the second of which they are to close."""
    merchant_id = await _merchant(database)
    shop = await open_shop(database, merchant_id, ARREARS)
    plain = await _subscribed(database, shop)
    linked_shop = await next_customer(database, shop, external_id="linked")
    linked = await _subscribed(database, linked_shop)
    exempt = await _subscribed(database, await next_customer(database, shop), tax_exempt=True)
    rates = {"default": "7"}
    taxed = await _subscribed(database, await next_customer(database, shop, tax_rates=rates))
    late = await _subscribed(database, await next_customer(database, shop))
    late_own = await _subscribed(database, await next_customer(database, shop))
    late_linked_shop = await next_customer(database, shop, external_id="late")
    late_linked = await _subscribed(database, late_linked_shop)
    apart = await _subscribed(database, await next_customer(database, shop))
    voided = await _subscribed(database, await next_customer(database, shop))
    agreed = await _subscribed(database, await next_customer(database, shop))
    credited = await _subscribed(database, await next_customer(database, shop))
    unapproved = await _subscribed(database, await next_customer(database, shop))
    cheap = await open_shop(database, merchant_id, PlanShape(fee=None, tax_behavior="inclusive"))
    idle = await _subscribed(database, cheap)
    busy = await _subscribed(database, await next_customer(database, cheap))
    ends = datetime(2026, 4, 10, 9, tzinfo=UTC)
    ending = await _subscribed(database, await next_customer(database, cheap), ending_at=ends)
    allowed = await _subscribed(database, await open_shop(database, merchant_id, INCLUDED))
    # By the day each window has its own; weeks and two months began before the window that ends.
    days, weeks, months = [
        await _subscribed(
            database,
            await open_shop(database, merchant_id, PlanShape(fee=None, usage_cadence=every)),
        )
        for every in ("P1D", "P7D", "P2M")
    ]
    everybody = [
        plain, linked, exempt, taxed, late, late_own, late_linked, apart, voided, agreed,
        credited, unapproved, idle, busy, ending, allowed, days, weeks, months,
    ]  # fmt: skip
    for at, each in enumerate(everybody):
        if each is not idle:
            await report(database, each.shop, [1000 + at, 500], IN_FEBRUARY)
    await report(database, plain.shop, [70], IN_FEBRUARY, subject=plain.subscription_id)
    await report(database, linked_shop, [90], IN_FEBRUARY, external_subject="linked")
    first = [await _rolled(database, each, 0, FEBRUARY_END) for each in everybody]
    for answer in await one_by_one(InvoiceActivities(database), first):
        assert isinstance(answer, DraftedInvoice)
    for at, each in enumerate(everybody):
        if each is not idle:
            await report(database, each.shop, [2000 + at, 333], IN_MARCH)
    await report(database, plain.shop, [13], IN_MARCH, subject=plain.subscription_id)
    await report(database, linked_shop, [11], IN_MARCH, external_subject="linked")
    await report(database, late.shop, [4000], LATE)
    await report(database, late_own.shop, [5000], LATE, subject=late_own.subscription_id)
    await report(database, late_linked_shop, [6000], LATE, external_subject="late")
    await _void_one(database, voided)
    await _deal(database, agreed)
    await _credit(database, credited)
    await _terms_of_its_own(database, apart)
    refs = [await _rolled(database, each, 1, MARCH_END) for each in everybody]
    async with database.transaction() as session:
        await (await session.connection()).execute(
            text("UPDATE invoices SET auto_approve = false WHERE id = :id"),
            {"id": refs[everybody.index(unapproved)].invoice_id},
        )
        # After its invoices were opened.
        (await session.get_one(Plan, cheap.plan_id)).tax_behavior = "exclusive"
    return refs


async def _void_one(database: Database, contract: Contract) -> None:
    async with database.transaction() as session:
        connection = await session.connection()
        event_id, happened = (
            await connection.execute(
                text(
                    "SELECT id, timestamp FROM usage_events WHERE subject = :subject "
                    "AND timestamp > :since ORDER BY timestamp LIMIT 1"
                ),
                {"subject": contract.shop.customer_id, "since": FEBRUARY_END},
            )
        ).one()
        session.add(
            UsageVoid(
                event_id=event_id,
                merchant_id=contract.shop.merchant_id,
                type="tokens.used",
                timestamp=happened,
                reason="test",
                voided_by="user",
            )
        )


async def _deal(database: Database, contract: Contract) -> None:
    await _add(
        database,
        Adjustment(
            id=new_id("adj"),
            merchant_id=contract.shop.merchant_id,
            subscription_id=contract.subscription_id,
            kind="percentageDiscount",
            value=Decimal("0.25"),
            effective_from=FEBRUARY_END,
        ),
    )


async def _terms_of_its_own(database: Database, contract: Contract) -> None:
    """Its usage costs 0.005 in place of what the plan asks."""
    async with database.transaction() as session:
        asked = select(PlanLine).join(Price, col(Price.id) == col(PlanLine.price_id))
        asked = asked.join(PlanVersion, col(PlanVersion.id) == col(PlanLine.plan_version_id))
        metered = col(Price.billable_metric_id).is_not(None)
        line = (
            await session.exec(
                asked.where(col(PlanVersion.plan_id) == contract.shop.plan_id, metered)
            )
        ).one()
        session.add(
            SubscriptionInterval(
                id=new_id("int"),
                merchant_id=contract.shop.merchant_id,
                subscription_id=contract.subscription_id,
                price_id=line.price_id,
                plan_version_id=line.plan_version_id,
                price_key=line.key,
                kind="plan_line",
                unit_price=Decimal("0.005"),
                base_quantity=Decimal(1),
                billing_cadence="P1M",
                billing_mode="arrears",
                start_date=FEBRUARY_END,
            )
        )


async def _credit(database: Database, contract: Contract) -> None:
    """A line that waits: 3.00 less."""
    await _add(
        database,
        ManualLine(
            id=new_id("li"),
            merchant_id=contract.shop.merchant_id,
            customer_id=contract.shop.customer_id,
            subscription_id=contract.subscription_id,
            display_name="Credit",
            currency="USD",
            quantity=Decimal(1),
            unit_price=Decimal(-3),
            invoice_at=IN_MARCH,
            period_start=FEBRUARY_END,
            period_end=MARCH_END,
        ),
    )


async def test_every_row_is_what_it_is_one_by_one(fresh_url: str) -> None:
    """Nineteen subscriptions: usage of every owner, taxes, deals, credits, allowances, late usage.

    All tables are compared, the audit log and its actors included.
    """
    async with opened(fresh_url) as database:
        refs = await _stage_everybody(database)
    alone, rows_alone = await _outcomes(fresh_url, refs, one_by_one)
    answers, rows = await _outcomes(fresh_url, refs, together)
    numbers = [each.finalized.invoice_number for each in answers if each.finalized is not None]
    assert sorted(numbers) == [f"INV-2026-04-{number:03d}" for number in range(1, 19)]
    assert [replace(each, finalized=None) for each in answers] == [
        replace(each, finalized=None) for each in alone
    ]
    for name, members in rows.items():
        assert _unnumbered(members) == _unnumbered(rows_alone[name]), name


def _unnumbered(rows: Sequence[str]) -> list[str]:
    """Without the number: what is peculiar closes after the others, and takes a later one."""
    return sorted(re.sub(r"INV-2026-04-\d+", "INV", row) for row in rows)


async def test_plain_ones_share_a_snapshot(fresh_url: str) -> None:
    """They are read in one transaction, which their watermark shows; one by one it differs."""
    async with opened(fresh_url) as database:
        shop = await open_shop(database, await _merchant(database), ARREARS)
        shops = [await next_customer(database, shop) for _ in range(4)]
        contracts = [await _subscribed(database, each) for each in shops]
        refs = [await _rolled(database, each, 0, FEBRUARY_END) for each in contracts]
    marks = {}
    for way in (one_by_one, together):
        async with twin(fresh_url) as database:
            await way(InvoiceActivities(database), refs)
            async with database.transaction() as session:
                found = await (await session.connection()).execute(
                    text(
                        "SELECT usage_watermark, invoice_number FROM invoices "
                        "WHERE status = 'ISSUED'"
                    )
                )
                marks[way] = list(found)
    assert len({mark for mark, _ in marks[together]}) == 1
    assert len({mark for mark, _ in marks[one_by_one]}) == 4
    assert sorted(number for _, number in marks[together]) == [
        f"INV-2026-03-{number:03d}" for number in range(1, 5)
    ]


async def test_one_that_fails_fails_alone(fresh_url: str) -> None:
    """A price that cannot be read stops its own invoice, and leaves no gap in the numbers."""
    async with opened(fresh_url) as database:
        merchant_id = await _merchant(database)
        shop = await open_shop(database, merchant_id, ARREARS)
        broken_shop = await open_shop(database, merchant_id, PlanShape(fee=None))
        shops = [broken_shop, *[await next_customer(database, shop) for _ in range(4)]]
        contracts = [await _subscribed(database, each) for each in shops]
        refs = [await _rolled(database, each, 0, FEBRUARY_END) for each in contracts]
        async with database.transaction() as session:
            await (await session.connection()).execute(
                text("UPDATE prices SET properties = '{}' WHERE billable_metric_id = :id"),
                {"id": broken_shop.metric_id},
            )
        answers = await together(InvoiceActivities(database), refs)
        async with database.transaction() as session:
            found = await (await session.connection()).execute(
                text(
                    "SELECT status, invoice_number FROM invoices WHERE sequence_number = 0 "
                    "ORDER BY invoice_number"
                )
            )
            stored = [tuple(row) for row in found]
    assert sum(isinstance(each, BaseException) for each in answers) == 1
    assert stored == [
        *[("ISSUED", f"INV-2026-03-{number:03d}") for number in range(1, 5)],
        ("CLOSING", None),
    ]


async def test_asked_twice_at_once_it_is_issued_once(fresh_url: str) -> None:
    async with opened(fresh_url) as database:
        shop = await open_shop(database, await _merchant(database), ARREARS)
        contract = await _subscribed(database, shop)
        ref = await _rolled(database, contract, 0, FEBRUARY_END)
        answers = await together(InvoiceActivities(database), [ref, ref, ref])
        async with database.transaction() as session:
            found = await (await session.connection()).execute(
                text("SELECT count(*), sum(last_number) FROM invoice_counters")
            )
            assert tuple(found.one()) == (1, 1)
    assert len({str(each) for each in answers}) == 1
    assert isinstance(answers[0], DraftedInvoice)


async def test_who_has_an_allowance_is_read_alone(fresh_url: str) -> None:
    """1,000 of February's 1,500 tokens are included: 500 at 0.002 are 1.00, and 10 % tax."""
    async with opened(fresh_url) as database:
        merchant_id = await _merchant(database)
        shop = await open_shop(database, merchant_id, INCLUDED)
        contract = await _subscribed(database, shop)
        await report(database, shop, [1000, 500], IN_FEBRUARY)
        ref = await _rolled(database, contract, 0, FEBRUARY_END)
        async with database.transaction() as session:
            invoice = await invoices.get(session, merchant_id, ref.invoice_id)
            assert invoice is not None
            owners = await subscriptions.among(session, merchant_id, [invoice.subscription_id])
            terms = await drafts.terms_of(session, owners[invoice.subscription_id])
            asked = [(terms, invoice)]
            assert await peculiarities.among(session, merchant_id, asked) == {invoice.id}
            assert await draft_sets.of_invoices(session, merchant_id, asked) == {}
            draft = await drafts.of_invoice(session, terms, invoice)
        assert (draft.totals.subtotal, draft.totals.tax) == (Decimal("1.00"), Decimal("0.10"))
