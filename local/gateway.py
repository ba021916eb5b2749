"""A payment gateway that runs on this machine and moves no money; the product talks HTTP to it.

It answers as a card processor does: declines are recorded results, an idempotency key replays its
first answer, and faults can be armed, the worst being a charge whose answer never arrives.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from local.cards import (
    BEHAVIORS,
    MESSAGES,
    NUMBERS,
    UNKNOWN,
    Behavior,
    Details,
    brand_of,
    refusal_of,
)
from local.gateway_book import Answer, Book, BookedCharge, SavedMethod, new_id

_FAULT_KINDS = ("timeout_after_charge", "error_500", "latency")
_SECONDS_MAX = 600
_CENTURY = 100
_TEXT_LENGTH_MAX = 500
_KEY_LENGTH_MAX = 255
_WHOLE_MAX = 9999
_AMOUNT_STEP = Decimal("1e-12")
_AMOUNT_MAX = Decimal("1e15")


class _Refused(Exception):
    """A request that cannot be served as it is; never kept under its key."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.response = JSONResponse({"code": code, "message": message}, status)


class _LostAnswer(Response):
    """Ends the connection in mid-answer: the caller cannot know what happened."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        headers = [(b"content-length", b"1000"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})


@dataclass
class _Fault:
    kind: str
    count: int
    seconds: float


@dataclass
class Gateway:
    """The book and the faults that are armed; its methods are the routes."""

    book: Book
    now: Callable[[], datetime]
    faults: list[_Fault] = field(default_factory=list)

    async def healthz(self, _request: Request) -> Response:
        """Says that it runs."""
        return JSONResponse({"status": "ok"})

    async def create_payment_method(self, request: Request) -> Response:
        """Turns card details into an id; details that can be no card are refused."""
        body = await _body(request)
        year = _whole(body, "expYear")
        details = Details(
            number=_text(body, "number").replace(" ", ""),
            cvc=_text(body, "cvc"),
            expires=(year + 2000 if year < _CENTURY else year, _whole(body, "expMonth")),
        )
        today = self.now()
        refusal = refusal_of(details, (today.year, today.month))
        if refusal is not None:
            return _declined(refusal)
        method = SavedMethod(
            id=new_id("pm"),
            brand=brand_of(details.number),
            last4=details.number[-4:],
            exp_month=details.expires[1],
            exp_year=details.expires[0],
            behavior=NUMBERS.get(details.number, UNKNOWN),
        )
        with self.book.transaction():
            self.book.save_method(method)
        return JSONResponse(_method_body(method))

    async def attach(self, request: Request) -> Response:
        """Saves a card for later charges; most cards that decline do so already here."""
        method = self._method(_text(await _body(request), "paymentMethodId"))
        behavior = BEHAVIORS[method.behavior]
        if behavior.decline is not None and not behavior.attaches:
            return _declined(behavior.decline)
        return JSONResponse({"id": new_id("seti"), "status": "succeeded"})

    async def charge(self, request: Request) -> Response:
        """Charges a card once per idempotency key."""
        key, body = _key(request), await _body(request)
        fault = self._next_fault()
        if fault is not None and fault.kind == "latency":
            # Before the charge: the caller may have given up when it is made.
            await asyncio.sleep(fault.seconds)
        if fault is not None and fault.kind == "error_500":
            return JSONResponse({"code": "api_error", "message": "Something went wrong."}, 500)
        charge = self._requested_charge(body, key)
        lost = fault is not None and fault.kind == "timeout_after_charge"
        with self.book.transaction():
            answer, replayed = self._once(key, _fingerprint(charge), lambda: self._book(charge))
            behavior = BEHAVIORS[self._method(charge.payment_method_id).behavior]
            lost = lost or (not replayed and self._loses_answer(behavior, charge))
        return _LostAnswer() if lost else _response(answer, replayed=replayed)

    async def charges(self, request: Request) -> Response:
        """The book, oldest first."""
        found = self.book.charges(request.query_params.get("idempotencyKey"))
        return JSONResponse([self._charge_body(charge) for charge in found])

    async def refund(self, request: Request) -> Response:
        """Gives a charge or a part of it back, once per idempotency key."""
        key, body = _key(request), await _body(request)
        charge_id, amount = _text(body, "chargeId"), _amount(body)
        with self.book.transaction():
            answer, replayed = self._once(
                key, f"refund {charge_id} {amount.normalize()}",
                lambda: self._refund(charge_id, amount, key),
            )  # fmt: skip
        return _response(answer, replayed=replayed)

    async def arm(self, request: Request) -> Response:
        """Arms a fault for the next charges."""
        body = await _body(request)
        kind, count = _text(body, "kind"), _whole(body, "count")
        seconds = body.get("seconds", 0)
        if kind not in _FAULT_KINDS:
            raise _Refused(400, "invalid_request", f"kind must be one of {', '.join(_FAULT_KINDS)}")
        if count < 1 or not isinstance(seconds, int | float) or not 0 <= seconds <= _SECONDS_MAX:
            raise _Refused(400, "invalid_request", "count from 1, seconds from 0 to 600")
        self.faults.append(_Fault(kind, count, float(seconds)))
        return JSONResponse({"kind": kind, "count": count, "seconds": seconds})

    def _next_fault(self) -> _Fault | None:
        if not self.faults:
            return None
        fault = self.faults[0]
        fault.count -= 1
        if fault.count == 0:
            self.faults.pop(0)
        return fault

    def _method(self, method_id: str) -> SavedMethod:
        method = self.book.method(method_id)
        if method is None:
            raise _Refused(404, "resource_missing", f"No such payment method: {method_id}")
        return method

    def _requested_charge(self, body: dict[str, Any], key: str) -> BookedCharge:
        amount, currency = _amount(body), _text(body, "currency").upper()
        if not re.fullmatch("[A-Z]{3}", currency):
            raise _Refused(400, "invalid_request", "currency must be an ISO 4217 code")
        method, invoice_id = self._method(_text(body, "paymentMethodId")), _text(body, "invoiceId")
        return BookedCharge(
            id=new_id("ch"),
            amount=format(amount, "f"),
            currency=currency,
            invoice_id=invoice_id,
            payment_method_id=method.id,
            idempotency_key=key,
            decline_code=self._decline(BEHAVIORS[method.behavior], method.id, invoice_id),
            created_at=self.now().isoformat(),
        )

    def _decline(self, behavior: Behavior, method_id: str, invoice_id: str) -> str | None:
        if not behavior.first_declines:
            return behavior.decline
        passed = self.book.charge_count(method_id, invoice_id) >= behavior.first_declines
        return None if passed else behavior.decline

    def _loses_answer(self, behavior: Behavior, charge: BookedCharge) -> bool:
        count = self.book.charge_count(charge.payment_method_id, charge.invoice_id)
        return behavior.loses_first_answer and count == 1

    def _once(self, key: str, request: str, perform: Callable[[], Answer]) -> tuple[Answer, bool]:
        """The answer kept under the key, or a new one that is kept; inside a transaction."""
        kept = self.book.answer(key)
        if kept is None:
            answer = perform()
            self.book.keep_answer(key, request, answer)
            return answer, False
        if kept[0] != request:
            raise _Refused(409, "idempotency_error", "This key came with another request before.")
        return kept[1], True

    def _book(self, charge: BookedCharge) -> Answer:
        self.book.add_charge(charge)
        status = 200 if charge.decline_code is None else 402
        return Answer(status=status, body=self._charge_body(charge))

    def _refund(self, charge_id: str, amount: Decimal, key: str) -> Answer:
        charge = self.book.charge(charge_id)
        if charge is None or charge.status != "succeeded":
            raise _Refused(404, "resource_missing", f"No such succeeded charge: {charge_id}")
        if self.book.refunded(charge_id) + amount > Decimal(charge.amount):
            raise _Refused(
                400, "amount_too_large", "The refund exceeds what is left of the charge."
            )
        text = format(amount, "f")
        refund_id = self.book.add_refund(charge_id, text, key, self.now().isoformat())
        body = {"id": refund_id, "status": "succeeded", "chargeId": charge_id, "amount": text}
        return Answer(status=200, body={**body, "currency": charge.currency})

    def _charge_body(self, charge: BookedCharge) -> dict[str, Any]:
        body = {
            "id": charge.id,
            "status": charge.status,
            "amount": charge.amount,
            "amountRefunded": format(self.book.refunded(charge.id), "f"),
            "currency": charge.currency,
            "invoiceId": charge.invoice_id,
            "paymentMethodId": charge.payment_method_id,
            "idempotencyKey": charge.idempotency_key,
            "createdAt": charge.created_at,
        }
        if charge.decline_code is not None:
            body["declineCode"] = charge.decline_code
            body["message"] = MESSAGES[charge.decline_code]
        return body


def wall_clock() -> datetime:
    """What the gateway's own clock says; it knows no test clock, as no processor does."""
    return datetime.now(UTC)  # noqa: TID251 - another company's program, so to speak


def create_gateway(book_path: Path, now: Callable[[], datetime] = wall_clock) -> Starlette:
    """The gateway's application over the book in that file."""
    gateway = Gateway(Book(book_path), now)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        gateway.book.close()

    return Starlette(
        routes=[
            Route("/healthz", gateway.healthz),
            Route("/payment_methods", gateway.create_payment_method, methods=["POST"]),
            Route("/setups", gateway.attach, methods=["POST"]),
            Route("/charges", gateway.charge, methods=["POST"]),
            Route("/charges", gateway.charges),
            Route("/refunds", gateway.refund, methods=["POST"]),
            Route("/faults", gateway.arm, methods=["POST"]),
        ],
        exception_handlers={_Refused: _refuse},
        lifespan=lifespan,
    )


async def _refuse(_request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, _Refused)
    return refusal.response


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise _Refused(400, "invalid_request", "The body must be a JSON object.")
    return body


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value or len(value) > _TEXT_LENGTH_MAX:
        raise _Refused(400, "invalid_request", f"{name} must be a text")
    return value


def _whole(body: dict[str, Any], name: str) -> int:
    value = body.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _WHOLE_MAX:
        raise _Refused(400, "invalid_request", f"{name} must be a whole number")
    return value


def _amount(body: dict[str, Any]) -> Decimal:
    try:
        amount = Decimal(_text(body, "amount"))
    except InvalidOperation:
        amount = Decimal(0)
    if not amount.is_finite() or not _AMOUNT_STEP <= amount < _AMOUNT_MAX:
        raise _Refused(400, "invalid_request", "amount must be a positive decimal in major units")
    return amount


def _key(request: Request) -> str:
    key = request.headers.get("idempotency-key", "")
    if not 0 < len(key) <= _KEY_LENGTH_MAX:
        raise _Refused(400, "idempotency_key_missing", "Send an Idempotency-Key (255 characters).")
    return key


def _fingerprint(charge: BookedCharge) -> str:
    amount = Decimal(charge.amount).normalize()
    parts = (f"{amount:f}", charge.currency, charge.payment_method_id, charge.invoice_id)
    return json.dumps(["charge", *parts])


def _response(answer: Answer, *, replayed: bool) -> Response:
    headers = {"Idempotent-Replayed": "true"} if replayed else None
    return JSONResponse(answer.body, answer.status, headers)


def _declined(code: str) -> Response:
    return JSONResponse({"code": code, "message": MESSAGES[code]}, 402)


def _method_body(method: SavedMethod) -> dict[str, Any]:
    return {
        "id": method.id,
        "brand": method.brand,
        "last4": method.last4,
        "expMonth": method.exp_month,
        "expYear": method.exp_year,
    }
