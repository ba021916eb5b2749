"""The simulated gateway through its adapter: cards, keys, faults, and a book that does not lie."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import httpx2
import pytest

from activities.gateways.port import (
    CardDeclined,
    CardDetails,
    ChargeRequest,
    GatewayRefusal,
    GatewayUnavailable,
    RefundRequest,
)
from activities.gateways.simulated import SimulatedGateway
from billing.errors import BillingError
from local.cards import DECLINES_TWICE_NUMBER, LOSES_ANSWER_NUMBER, NUMBERS, PAYS
from local.child import Child, Command, await_ready
from local.dev import program
from local.ports import free_port
from local.probe import answers

PAYING_NUMBER = "4242424242424242"


class RunningGateway:
    """The gateway as a program of its own, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.book = folder / "gateway.db"
        self.log = folder / "gateway.log"
        self.start()

    def start(self) -> None:
        argv = (sys.executable, str(program()), "gateway")
        flags = ("--port", str(self.port), "--book", str(self.book))
        self.child = Child(Command(name="gateway", argv=(*argv, *flags), log=self.log))
        await_ready(self.child, lambda: answers(f"{self.url}/healthz"), 30)

    def kill(self) -> None:
        os.kill(self.child.pid, signal.SIGKILL)
        self.child.wait(10)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    gateway = RunningGateway(tmp_path_factory.mktemp("gateway"))
    yield gateway
    gateway.child.stop(10)


def files_with(text: str, folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if text.encode() in path.read_bytes()]


def a_card(number: str = PAYING_NUMBER, *, cvc: str = "123", year: int = 2090) -> CardDetails:
    return CardDetails(number=number, exp_month=12, exp_year=year, cvc=cvc)


async def a_request(gateway: SimulatedGateway, key: str, number: str) -> ChargeRequest:
    """An invoice is named after its key, so that tests do not meet."""
    card = await gateway.create_payment_method(a_card(number))
    return ChargeRequest(
        idempotency_key=key,
        amount=Decimal("49.10"),
        currency="USD",
        payment_method_id=card.payment_method_id,
        invoice_id=f"inv_{key}",
    )


async def arm(running: RunningGateway, kind: str, *, count: int = 1, seconds: float = 0) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        fault = {"kind": kind, "count": count, "seconds": seconds}
        answer = await client.post(f"{running.url}/faults", json=fault)
    assert answer.status_code == 200


@pytest.mark.parametrize("number", [n for n, behavior in NUMBERS.items() if behavior == PAYS])
async def test_paying_cards_attach_and_pay(running: RunningGateway, number: str) -> None:
    gateway = SimulatedGateway(running.url)
    card = await gateway.create_payment_method(a_card(number))
    assert card.last4 == number[-4:]
    assert card.brand != "unknown"
    await gateway.attach(card.payment_method_id)
    outcome = await gateway.charge(await a_request(gateway, f"pays-{number}", number))
    assert (outcome.status, outcome.decline_code) == ("succeeded", None)
    await gateway.close()


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("4000000000000002", "card_declined"),
        ("4000000000009995", "insufficient_funds"),
        ("4000000000009987", "lost_card"),
        ("4000000000009979", "stolen_card"),
        ("4000000000000069", "expired_card"),
        ("4000000000000127", "incorrect_cvc"),
        ("4000000000000119", "processing_error"),
        ("4111111111111111", "test_mode_live_card"),
    ],
)
async def test_declining_cards_decline_at_attach_and_at_charge(
    running: RunningGateway, number: str, code: str
) -> None:
    gateway = SimulatedGateway(running.url)
    request = await a_request(gateway, f"declines-{number}", number)
    with pytest.raises(CardDeclined) as declined:
        await gateway.attach(request.payment_method_id)
    assert declined.value.code == code.upper()
    outcome = await gateway.charge(request)
    assert (outcome.status, outcome.decline_code) == ("failed", code)
    assert outcome.message
    await gateway.close()


async def test_a_card_that_attaches_and_declines_every_charge(running: RunningGateway) -> None:
    gateway = SimulatedGateway(running.url)
    request = await a_request(gateway, "attaches", "4000000000000341")
    await gateway.attach(request.payment_method_id)
    for attempt in ("1", "2", "3"):
        outcome = await gateway.charge(replace(request, idempotency_key=f"attaches-{attempt}"))
        assert outcome.decline_code == "card_declined"
    await gateway.close()


async def test_a_card_that_declines_twice_does_so_for_every_invoice(
    running: RunningGateway,
) -> None:
    gateway = SimulatedGateway(running.url)
    request = await a_request(gateway, "twice", DECLINES_TWICE_NUMBER)
    await gateway.attach(request.payment_method_id)
    for invoice in ("inv_twice_1", "inv_twice_2"):
        statuses = []
        for attempt in ("1", "2", "3", "4"):
            key = f"{invoice}:{attempt}"
            charge = replace(request, idempotency_key=key, invoice_id=invoice)
            statuses.append((await gateway.charge(charge)).status)
            # A repeated request is no attempt of its own.
            assert (await gateway.charge(charge)).status == statuses[-1]
        assert statuses == ["failed", "failed", "succeeded", "succeeded"]
    await gateway.close()


@pytest.mark.parametrize(
    ("card", "code"),
    [
        (a_card("4242424242424241"), "INCORRECT_NUMBER"),
        (a_card("4242"), "INVALID_NUMBER"),
        (a_card("٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢"), "INVALID_NUMBER"),
        (a_card(year=2020), "EXPIRED_CARD"),
        (a_card(cvc="12"), "INVALID_CVC"),
        (a_card(cvc="1234"), "INVALID_CVC"),
        (replace(a_card(), exp_month=13), "INVALID_EXPIRY_MONTH"),
    ],
)
async def test_details_that_are_no_card_are_refused(
    running: RunningGateway, card: CardDetails, code: str
) -> None:
    gateway = SimulatedGateway(running.url)
    with pytest.raises(CardDeclined) as refused:
        await gateway.create_payment_method(card)
    assert refused.value.code == code
    await gateway.close()


async def test_one_key_charges_once_even_twenty_times_at_once(running: RunningGateway) -> None:
    gateway = SimulatedGateway(running.url)
    request = await a_request(gateway, "parallel", PAYING_NUMBER)
    outcomes = await asyncio.gather(*(gateway.charge(request) for _ in range(20)))
    assert len(set(outcomes)) == 1
    booked = [c for c in await gateway.list_charges() if c.invoice_id == request.invoice_id]
    assert [(c.status, c.amount, c.currency) for c in booked] == [
        ("succeeded", Decimal("49.10"), "USD")
    ]
    with pytest.raises(GatewayRefusal) as refused:
        await gateway.charge(replace(request, amount=Decimal("49.11")))
    assert refused.value.details["gatewayCode"] == "idempotency_error"
    same = await gateway.charge(replace(request, amount=Decimal("49.100")))
    assert same.charge_id == outcomes[0].charge_id
    await gateway.close()


async def test_a_double_charge_would_be_seen(running: RunningGateway) -> None:
    gateway = SimulatedGateway(running.url)
    request = await a_request(gateway, "double", PAYING_NUMBER)
    await gateway.charge(request)
    await gateway.charge(replace(request, idempotency_key="double-again"))
    booked = [c for c in await gateway.list_charges() if c.invoice_id == request.invoice_id]
    assert [c.idempotency_key for c in booked] == ["double", "double-again"]
    await gateway.close()


async def test_an_answer_lost_by_the_card_is_found_by_its_key(running: RunningGateway) -> None:
    gateway = SimulatedGateway(running.url)
    request = await a_request(gateway, "lost", LOSES_ANSWER_NUMBER)
    assert await gateway.find_charge("lost") is None
    with pytest.raises(GatewayUnavailable):
        await gateway.charge(request)
    found = await gateway.find_charge("lost")
    assert found is not None
    assert found.status == "succeeded"
    assert await gateway.charge(request) == found
    await gateway.close()


async def test_armed_faults_hit_the_next_charges_only(running: RunningGateway) -> None:
    gateway = SimulatedGateway(running.url)
    request = await a_request(gateway, "armed", PAYING_NUMBER)
    await arm(running, "error_500")
    await arm(running, "timeout_after_charge")
    with pytest.raises(GatewayUnavailable):
        await gateway.charge(request)
    assert await gateway.find_charge("armed") is None
    with pytest.raises(GatewayUnavailable):
        await gateway.charge(request)
    found = await gateway.find_charge("armed")
    assert found is not None
    assert await gateway.charge(request) == found
    await gateway.close()


async def test_a_charge_may_come_after_its_caller_gave_up(running: RunningGateway) -> None:
    gateway = SimulatedGateway(running.url)
    hasty = SimulatedGateway(running.url, timeout_seconds=0.2)
    request = await a_request(gateway, "late", PAYING_NUMBER)
    await arm(running, "latency", seconds=1)
    with pytest.raises(GatewayUnavailable):
        await hasty.charge(request)
    await hasty.close()
    patient = await gateway.charge(request)
    # Long enough for the first one to wake up and charge, if it were to.
    await asyncio.sleep(1.5)
    booked = [c for c in await gateway.list_charges() if c.invoice_id == request.invoice_id]
    assert [c.charge_id for c in booked] == [patient.charge_id]
    await gateway.close()


async def test_refunds_go_back_once_and_never_exceed_the_charge(running: RunningGateway) -> None:
    gateway = SimulatedGateway(running.url)
    charge = await gateway.charge(await a_request(gateway, "refunded", PAYING_NUMBER))
    part = RefundRequest(idempotency_key="r1", charge_id=charge.charge_id, amount=Decimal("40.00"))
    first = await gateway.refund(part)
    assert await gateway.refund(part) == first
    with pytest.raises(GatewayRefusal) as refused:
        await gateway.refund(replace(part, idempotency_key="r2"))
    assert refused.value.details["gatewayCode"] == "amount_too_large"
    await gateway.refund(replace(part, idempotency_key="r3", amount=Decimal("9.10")))
    booked = [c for c in await gateway.list_charges() if c.charge_id == charge.charge_id]
    assert booked[0].amount_refunded == Decimal("49.10")
    await gateway.close()


async def test_unknown_cards_and_bad_amounts_are_refusals(running: RunningGateway) -> None:
    gateway = SimulatedGateway(running.url)
    request = await a_request(gateway, "bad", PAYING_NUMBER)
    bad_requests = [
        replace(request, payment_method_id="pm_none"),
        replace(request, amount=Decimal(0)),
        replace(request, amount=Decimal(-1)),
    ]
    for bad in bad_requests:
        with pytest.raises(GatewayRefusal):
            await gateway.charge(bad)
    with pytest.raises(BillingError):
        await gateway.charge(replace(request, currency="dollars"))
    assert await gateway.find_charge("bad") is None
    await gateway.close()


async def test_the_book_survives_a_kill_and_holds_no_card(tmp_path: Path) -> None:
    running = RunningGateway(tmp_path)
    gateway = SimulatedGateway(running.url)
    try:
        request = await a_request(gateway, "kept", PAYING_NUMBER)
        outcome = await gateway.charge(request)
        running.kill()
        with pytest.raises(GatewayUnavailable):
            await gateway.charge(request)
        running.start()
        assert await gateway.find_charge("kept") == outcome
        assert await gateway.charge(request) == outcome
        assert not files_with(PAYING_NUMBER, tmp_path)
    finally:
        running.child.stop(10)
        await gateway.close()
