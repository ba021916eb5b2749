"""The lives that are recorded: what is told, and which workflow is kept of it; it writes no file.

A process of each kind, and each thing that can be asked of it; tests/structure/test_histories.py
says what is missing.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx2
import psycopg
from paygentic_sdk.models import PlanLineInput
from temporalio.client import (
    Client,
    ScheduleActionResult,
    ScheduleHandle,
    WorkflowExecutionStatus,
)

from activities.organizations import CreatedMerchant
from activities.subscription_periods import close_workflow_id
from activities.test_clocks import Tick
from local.story import (
    DECLINES_TWICE_CARD,
    PAYING_CARD,
    Numbers,
    Story,
    checkout_url,
)
from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import perform
from tests.scenario.test_legacy_billing import START, Prepaid, Wire
from workflows import overdue_sweep, usage_retention, usage_rollup
from workflows.connection import connect

Ids = dict[str, str]
Addresses = dict[str, str]
Telling = Iterator[datetime]

OPENED = at("2026-01-01")
TWO_YEARS = ("2027-01-01", "2028-01-01", "2028-02-02")
DECLINES_CARD = "4000000000000341"
BOUNDARY_SECONDS = 20
PATIENCE_SECONDS = 90


async def tell(addresses: Addresses) -> Ids:
    """All stories; the workflows' ids by the names of their files."""
    ids: Ids = {}
    _main_story(addresses, ids)
    _wall_time(addresses, ids)
    _prepaid(addresses, ids)
    for auto_approve, tales in ((True, USUAL), (False, APPROVED)):
        shop = _shop(addresses, auto_approve=auto_approve)
        playbill = perform(shop, [partial(tale, addresses=addresses, ids=ids) for tale in tales])
        for failure in playbill.failures.values():
            raise failure
    await _of_the_installation(addresses, ids)
    return ids


def _main_story(addresses: Addresses, ids: Ids) -> None:
    """A card that declines twice, and the end; a refund of what was paid at the checkout."""
    story = Story(addresses, Numbers(events=10), print)
    catalogue, clock_id = story.set_up_catalogue(), story.create_clock()
    customer_id = story.create_customer()
    subscription = story.subscribe(catalogue, customer_id, clock_id)
    story.pay(checkout_url(subscription))
    story.await_status(subscription.id, "active")
    story.advance(clock_id, datetime(2026, 3, 1, 9, tzinfo=UTC))
    story.save_card(customer_id, DECLINES_TWICE_CARD)
    story.advance(clock_id, datetime(2026, 4, 5, tzinfo=UTC))
    story.terminate(subscription.id)
    story.advance(clock_id, datetime(2026, 4, 7, tzinfo=UTC))
    first, second, third, *_ = story.invoices(subscription.id)
    refund = story.client.invoices_v2.create_invoice_refund(id=first.id, reason="Unhappy")
    story.client.test_clocks.delete(id=clock_id)
    ids |= {
        "subscription": f"subscription/{subscription.id}",
        "invoice-close": close_workflow_id(subscription.id, 1),
        "payment-checkout": f"payment/{first.id}",
        "payment-automatic": f"payment/{second.id}",
        "payment-dunning": f"payment/{third.id}",
        "refund": f"refund/{refund.id}",
        "test-clock": f"test-clock/{clock_id}",
    }


def _wall_time(addresses: Addresses, ids: Ids) -> None:
    """A reminder that is due at once, a boundary some seconds later, and a payment nobody makes."""
    _set_up(addresses, addresses["merchantId"], gracePeriod="PT1S")
    story = Story(addresses, Numbers(events=1), print)
    boundary = datetime.now(UTC) + timedelta(seconds=BOUNDARY_SECONDS)  # noqa: TID251 - wall time
    catalogue, customer_id = story.set_up_catalogue(), story.create_customer("Wally Wall")
    yearly = _yearly(story, catalogue.product_id)
    subscription = story.client.subscriptions.create(
        name="Wall",
        plan_id=yearly,
        customer_id=customer_id,
        started_at=boundary.replace(year=boundary.year - 1),
        auto_charge=True,
    )
    story.save_card(customer_id, PAYING_CARD)
    expiring = httpx2.post(
        f"{addresses['apiUrl']}/v0/payments",
        json={"amount": "5.00", "currency": "USD", "expiresIn": "PT5S"},
        headers={"Authorization": f"Bearer {addresses['apiKey']}"},
    ).raise_for_status()
    _await(lambda: story.invoices(subscription.id)[0].status == "PAID")
    invoice = story.invoices(subscription.id)[0]
    ids |= {
        "subscription-wall-time": f"subscription/{subscription.id}",
        "invoice-close-wall-time": close_workflow_id(subscription.id, invoice.sequence_number),
        "payment-wall-time": f"payment/{invoice.id}",
        "payment-expired": f"payment/{expiring.json()['id']}",
    }


def _yearly(story: Story, product_id: str) -> str:
    """A plan of 12.00 a year in arrears, which reminds 30 days before."""
    fee = story.client.fees.create(
        name="Archive", description="Archive", merchant_id=story.merchant_id, product_id=product_id
    )
    price = story.client.prices.create(
        invoice_display_name="Archive",
        payment_term="in_arrears",
        properties={"unit_price": "12.00"},
        fee_id=fee.id,
        billing_cadence="P1Y",
    )
    lines: list[PlanLineInput | str] = [price.id]
    return story.client.plans.create(
        name="Archive",
        currency="USD",
        merchant_id=story.merchant_id,
        product_id=product_id,
        prices=lines,
        billing_cadence="P1Y",
        renewal_reminder_days=30,
    ).id


def _prepaid(addresses: Addresses, ids: Ids) -> None:
    """A hold that is used, and one that expires."""
    story = Story(addresses, Numbers(), print)
    clock_id = story.create_clock()
    prepaid = Prepaid(Wire(story, addresses, addresses["apiKey"]), clock_id)
    story.pay(prepaid.subscription["payment"]["checkoutUrl"])
    story.await_status(prepaid.subscription["id"], "active")
    used, lasting = prepaid.hold(8), prepaid.hold(10)
    prepaid.charge(6, START, "used", entitlementId=used["id"])
    story.advance(clock_id, START + timedelta(hours=25))
    ids |= {
        "reservation-consumed": f"reservation/{used['id']}",
        "reservation-expired": f"reservation/{lasting['id']}",
    }


def _changed(shop: Shop, addresses: Addresses, ids: Ids) -> Telling:
    """Its terms change, one change is refused, and it is reminded of its renewal."""
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "31.00")))
    ids["subscription-changed"] = f"subscription/{contract.id}"
    _patch(shop, contract, renewalReminderDays=5)
    yield at("2026-01-28")
    _patch(shop, contract, status=400, endingAt="2025-12-01T00:00:00Z")
    _patch(shop, contract, endingAt="2026-02-10T00:00:00Z")
    yield at("2026-02-10")


def _paused(shop: Shop, addresses: Addresses, ids: Ids) -> Telling:
    """Paused over a boundary; resumed, it is billed again."""
    contract = shop.subscribe(shop.plan(shop.fee("Care", "31.00", term="in_arrears")))
    ids["subscription-paused"] = f"subscription/{contract.id}"
    for day, what in (("2026-01-11", "pause"), ("2026-02-11", "resume")):
        yield at(day)
        shop.http.post(f"/v0/subscriptions/{contract.id}/{what}").raise_for_status()
    yield at("2026-03-02")
    shop.terminate(contract)


def _plan_changed(shop: Shop, addresses: Addresses, ids: Ids) -> Telling:
    """Another plan inside the period."""
    contract = shop.subscribe(shop.plan(shop.fee("Basic", "31.00")))
    better = shop.plan(shop.fee("Better", "62.00"))
    ids["subscription-plan-changed"] = f"subscription/{contract.id}"
    yield at("2026-01-11")
    body = {"planId": better, "at": "now"}
    _decide(addresses, f"subscriptions/{contract.id}/planChange", body)
    yield at("2026-02-02")
    shop.terminate(contract)


def _expired(shop: Shop, addresses: Addresses, ids: Ids) -> Telling:
    """Nobody pays the first invoice."""
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "31.00")), pays=False)
    ids["subscription-expired"] = f"subscription/{contract.id}"
    yield at("2026-01-02")
    assert shop.client.subscriptions.get(id=contract.id).status == "terminated"


def _boundary_first(shop: Shop, addresses: Addresses, ids: Ids) -> Telling:
    """While a change is being written, a tick brings the boundary, and the merchant a change more.

    The first change waits for the subscription's row, which somebody else holds; so the boundary
    and the second one meet the workflow at once.
    """
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "31.00")))
    workflow_id = f"subscription/{contract.id}"
    ids["subscription-boundary-first"] = workflow_id
    yield at("2026-01-31")
    with psycopg.connect(addresses["databaseUrl"]) as holder, ThreadPoolExecutor() as threads:
        holder.execute("SELECT id FROM subscriptions WHERE id = %s FOR UPDATE", [contract.id])
        asked: list[Future[Any]] = [threads.submit(_patch, shop, contract, autoCharge=True)]
        time.sleep(1)
        ticking = _tick(addresses, workflow_id, at("2026-02-01"))
        asked.append(threads.submit(asyncio.run, ticking))
        asked.append(threads.submit(_patch, shop, contract, autoCharge=False))
        # The worker tells Temporal every four seconds that it is still at work, and hears the news.
        time.sleep(4)
        holder.rollback()
    for each in asked:
        each.result()
    yield at("2026-02-02")
    shop.terminate(contract)


async def _tick(addresses: Addresses, workflow_id: str, now: datetime) -> None:
    """What the test clock tells its members."""
    client = await connect(addresses["temporalAddress"], "default")
    await client.get_workflow_handle(workflow_id).execute_update("tick", Tick(now=now))


def _dunned(shop: Shop, addresses: Addresses, ids: Ids) -> Telling:
    """A card that declines: written off, retried by hand, another card, and given up."""
    plan = shop.plan(shop.fee("Care", "31.00", term="in_arrears"))
    names = ("written-off", "retried", "new-card", "given-up", "outside")
    contracts = {name: shop.subscribe(plan, auto_charge=True) for name in names}
    for name, contract in contracts.items():
        shop.save_card(
            contract.customer_id, DECLINES_TWICE_CARD if name == "retried" else DECLINES_CARD
        )
    yield at("2026-02-01T01:00:00")
    due = {name: shop.invoices(contract)[0].id for name, contract in contracts.items()}
    ids |= {f"payment-{name}": f"payment/{invoice_id}" for name, invoice_id in due.items()}
    _decide(addresses, f"invoices/{due['written-off']}/writeOff", {"reason": "Bankrupt"})
    retry = f"/v2/invoices/{due['retried']}/retryPayment"
    assert shop.http.post(retry).status_code == 402
    shop.save_card(contracts["new-card"].customer_id, PAYING_CARD)
    shop.await_paid(contracts["new-card"], 0)
    shop.transfer(due["outside"])
    yield at("2026-02-10")
    assert shop.invoices(contracts["given-up"])[0].status == "PAYMENT_FAILED"
    for contract in contracts.values():
        shop.terminate(contract)


def _approved(shop: Shop, addresses: Addresses, ids: Ids) -> Telling:
    """Its first invoice waits for a person, and so does the next."""
    contract = shop.subscribe(
        shop.plan(shop.fee("Rent", "31.00"), shop.fee("Care", "31.00", term="in_arrears")),
        pays=False,
    )
    ids["subscription-approved"] = f"subscription/{contract.id}"
    ids["invoice-close-approved"] = close_workflow_id(contract.id, 1)
    shop.approve(contract, 0)
    shop.transfer(shop.invoices(contract)[0].id)
    shop.await_status(contract, "active")
    yield at("2026-02-01T00:01:00")
    shop.approve(contract, 1)
    shop.terminate(contract)


def _continued(shop: Shop, addresses: Addresses, ids: Ids) -> Telling:
    """Twenty-four periods, after which it continues as a new run."""
    contract = shop.subscribe(shop.plan(shop.meter("Calls", "1.00")))
    ids["subscription-continued"] = f"subscription/{contract.id}"
    for day in TWO_YEARS:
        yield at(day)
    shop.terminate(contract)


USUAL = (_changed, _paused, _plan_changed, _expired, _boundary_first, _dunned)
APPROVED = (_approved, _continued)


async def _of_the_installation(addresses: Addresses, ids: Ids) -> None:
    """One run of each schedule."""
    client: Client = await connect(addresses["temporalAddress"], "default")
    for schedule_id in (
        overdue_sweep.SCHEDULE_ID,
        usage_retention.SCHEDULE_ID,
        usage_rollup.SCHEDULE_ID,
    ):
        handle = client.get_schedule_handle(schedule_id)
        await handle.trigger()
        started: Any = (await _actions(handle))[-1].action
        run = client.get_workflow_handle(started.workflow_id)
        await run.result()
        assert (await run.describe()).status == WorkflowExecutionStatus.COMPLETED
        ids[schedule_id] = started.workflow_id


async def _actions(handle: ScheduleHandle) -> Sequence[ScheduleActionResult]:
    for _ in range(PATIENCE_SECONDS * 5):
        if actions := (await handle.describe()).info.recent_actions:
            return actions
        await asyncio.sleep(0.2)
    raise TimeoutError(f"{handle.id} starts nothing")


def _shop(addresses: Addresses, *, auto_approve: bool) -> Shop:
    made = _decide(addresses, "merchants", {"name": "Shop"})
    _set_up(addresses, made["merchantId"], gracePeriod="PT0S", autoApprove=auto_approve)
    merchant = CreatedMerchant(made["merchantId"], made["userId"], made["apiKey"])
    return Shop(addresses, merchant, OPENED)


def _set_up(addresses: Addresses, merchant_id: str, **switches: Any) -> None:
    _decide(addresses, f"merchants/{merchant_id}", switches, "PATCH")


def _decide(addresses: Addresses, path: str, body: dict[str, Any], method: str = "POST") -> Any:
    answer = httpx2.request(
        method,
        f"{addresses['apiUrl']}/internal/v1/{path}",
        json=body,
        headers={"Authorization": f"Bearer {addresses['adminKey']}"},
        timeout=60,
    )
    return answer.raise_for_status().json()


def _patch(shop: Shop, contract: Contract, *, status: int = 200, **body: Any) -> None:
    answer = shop.http.patch(f"/v0/subscriptions/{contract.id}", json=body)
    assert answer.status_code == status, answer.text


def _await(holds: Callable[[], bool]) -> None:
    for _ in range(PATIENCE_SECONDS * 5):
        if holds():
            return
        time.sleep(0.2)
    raise TimeoutError("It does not come")
