"""Test clocks on the wire: a merchant's simulated time; what moves with it is the workflows'."""

from datetime import UTC, datetime
from typing import Self

import structlog
from fastapi import APIRouter
from sqlmodel.ext.asyncio.session import AsyncSession

from api.deps import Caller, Commands, Now, OwnMerchant, Session, Transactions
from api.idempotency import KeptRoute
from api.pagination import Listing, Paging, listing, paginate
from api.schema import (
    Body,
    Description,
    DurationText,
    Instant,
    Label,
    MerchantId,
    TestClockId,
    Wire,
    found,
)
from api.workflow_calls import Unavailable
from billing.durations import parse_duration
from billing.errors import Conflict, InvalidValue, NotAllowed
from models import test_clocks as tables
from models.base import new_id
from models.queries import test_clocks

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/v0/testClocks", tags=["Test Clocks"], route_class=KeptRoute)

ADVANCE_MAX = "P1Y"
TOO_FAR = "At most a year at once"
# What lives on a clock looks some days back and some periods ahead, all of it in the calendar.
EARLIEST = datetime(2, 1, 1, tzinfo=UTC)
LATEST = datetime(9990, 1, 1, tzinfo=UTC)


class NewTestClock(Body):
    """A clock to create; it stands at any instant, by default at the present one."""

    merchant_id: MerchantId | None = None
    name: Label | None = None
    description: Description | None = None
    current_time: Instant | None = None


class TestClockAdvance(Body):
    """Where the clock goes: an instant, or so much further."""

    current_time: Instant | None = None
    advance_by: DurationText | None = None


class TestClock(Wire):
    """A simulated time."""

    id: str
    merchant_id: str
    name: str | None
    description: str | None
    current_time: Instant
    created_at: Instant
    updated_at: Instant
    deleted_at: Instant | None

    @classmethod
    def of(cls, row: tables.TestClock) -> Self:
        """The answer for a row."""
        return cls.from_row(row)


class TestClockInUse(Conflict):
    """Subscriptions live on the clock."""

    code = "TEST_CLOCK_IN_USE"


@router.post("", operation_id="createTestClock", status_code=201)
async def create_test_clock(
    body: NewTestClock, caller: Caller, now: Now, session: Session
) -> TestClock:
    """Create a test clock; sandbox only."""
    merchant_id = caller.own(body.merchant_id)
    if caller.live:
        raise NotAllowed("Test clocks exist only in the sandbox")
    start = body.current_time or now
    _check_calendar(start, "currentTime")
    row = tables.TestClock(
        id=new_id("tc"),
        merchant_id=merchant_id,
        name=body.name,
        description=body.description,
        current_time=start,
        target_time=start,
        created_at=now,
        updated_at=now,
    )
    session.add(row)
    return TestClock.of(row)


@router.get("", operation_id="listTestClocks")
async def list_test_clocks(
    merchant_id: OwnMerchant, paging: Paging, session: Session
) -> Listing[TestClock]:
    """List test clocks that are not deleted, newest first."""
    page = await paginate(session, test_clocks.newest_first(merchant_id), paging)
    return listing(map(TestClock.of, page.rows), page.total, paging)


@router.get("/{id}", operation_id="getTestClock")
async def get_test_clock(id: TestClockId, caller: Caller, session: Session) -> TestClock:
    """Get a test clock, deleted or not."""
    row = await test_clocks.get(session, caller.merchant_id, id)
    return TestClock.of(found(row, "test clock"))


@router.patch("/{id}", operation_id="advanceTestClock")
async def advance_test_clock(
    id: TestClockId,
    body: TestClockAdvance,
    caller: Caller,
    commands: Commands,
    transactions: Transactions,
) -> TestClock:
    """Move a test clock forward; answered when everything due by then has happened."""
    clock = await _read(transactions, caller.merchant_id, id)
    found(clock if clock.deleted_at is None else None, "test clock")
    target = _target(body, clock)
    # A repeated request joins the advance under way: the clock may read its target already while
    # the last of what is due there still settles.
    await commands.advance_test_clock(caller.merchant_id, id, clock.current_time, target)
    return TestClock.of(await _read(transactions, caller.merchant_id, id))


@router.delete("/{id}", operation_id="deleteTestClock")
async def delete_test_clock(
    id: TestClockId,
    caller: Caller,
    now: Now,
    commands: Commands,
    transactions: Transactions,
) -> TestClock:
    """Delete a test clock on which no subscription lives; what is in its grace is closed first."""
    async with transactions.transaction() as session:
        row = await _deletable(session, caller.merchant_id, id)
        standing = row.current_time
        closed_at = await test_clocks.last_grace_end(session, caller.merchant_id, id)
    if row.deleted_at is None and closed_at is not None and closed_at > standing:
        # No time passes on a deleted clock: these invoices would never be issued.
        await commands.advance_test_clock(caller.merchant_id, id, standing, closed_at)
    async with transactions.transaction() as session:
        row = await _deletable(session, caller.merchant_id, id)
        row.deleted_at = row.deleted_at or now
    try:
        await commands.delete_test_clock(id)
    except Unavailable:
        # The clock is deleted: what is left of it in Temporal waits and does nothing.
        log.warning("deleted_clock_not_told", testClockId=id)
    return TestClock.of(row)


async def _deletable(session: AsyncSession, merchant_id: str, clock_id: str) -> tables.TestClock:
    """The clock, locked; raises where a subscription lives on it."""
    row = found(await test_clocks.get(session, merchant_id, clock_id, lock=True), "test clock")
    living = await test_clocks.living_subscriptions(session, merchant_id, clock_id)
    if living:
        message = "Subscriptions on the clock must be terminated first"
        raise TestClockInUse(message, details={"subscriptionCount": living})
    return row


async def _read(transactions: Transactions, merchant_id: str, clock_id: str) -> tables.TestClock:
    """The clock as it stands now; no transaction is left open."""
    async with transactions.transaction() as session:
        return found(await test_clocks.get(session, merchant_id, clock_id), "test clock")


def _target(body: TestClockAdvance, clock: tables.TestClock) -> datetime:
    """Where the clock is to go: forward, and at most a year."""
    if (body.current_time is None) == (body.advance_by is None):
        raise InvalidValue("Give either currentTime or advanceBy", field="currentTime")
    if body.advance_by is not None:
        return _later(clock.current_time, body.advance_by)
    target = body.current_time
    assert target is not None
    if target <= clock.current_time and not _was_reached(clock, target):
        raise InvalidValue("The clock only moves forward", field="currentTime")
    _check_reach(clock.current_time, target, "currentTime")
    return target


def _later(now: datetime, advance_by: str) -> datetime:
    duration = parse_duration(advance_by)
    if duration.is_zero:
        raise InvalidValue("The clock only moves forward", field="advanceBy")
    # Compared before it is added: what is too long may also lie beyond the calendar.
    if duration.mean_seconds > 2 * parse_duration(ADVANCE_MAX).mean_seconds:
        raise InvalidValue(TOO_FAR, field="advanceBy")
    target = duration.after(now)
    _check_reach(now, target, "advanceBy")
    return target


def _check_calendar(instant: datetime, field: str) -> None:
    if not EARLIEST <= instant <= LATEST:
        raise InvalidValue("Must lie between the years 2 and 9990", field=field)


def _check_reach(now: datetime, target: datetime, field: str) -> None:
    _check_calendar(target, field)
    if target > parse_duration(ADVANCE_MAX).after(now):
        raise InvalidValue(TOO_FAR, field=field)


def _was_reached(clock: tables.TestClock, target: datetime) -> bool:
    """Whether the clock was advanced to exactly there: then the request is a repeated one."""
    was_moved = clock.updated_at != clock.created_at
    return was_moved and target == clock.current_time == clock.target_time
