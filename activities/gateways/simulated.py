"""The adapter to the simulated gateway of the embedded stack; the gateway itself is a program."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any

import httpx2

from activities.gateways.port import (
    CardDeclined,
    CardDetails,
    ChargeOutcome,
    ChargeRequest,
    GatewayCharge,
    GatewayRefusal,
    GatewayUnavailable,
    RefundOutcome,
    RefundRequest,
    SavedCard,
)
from billing.money import amount_text

_TIMEOUT_SECONDS = 5


class SimulatedGateway:
    """A `PaymentGateway` over HTTP at `base_url`."""

    def __init__(self, base_url: str, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
        # The gateway is on this machine or this network: the environment's proxy is not for it.
        self._client = httpx2.AsyncClient(
            base_url=base_url, trust_env=False, timeout=timeout_seconds
        )

    async def close(self) -> None:
        """Lets go of connections."""
        await self._client.aclose()

    async def create_payment_method(self, card: CardDetails) -> SavedCard:
        """Hands the card to the gateway; raises `CardDeclined` for details that are no card."""
        body = {
            "number": card.number,
            "expMonth": card.exp_month,
            "expYear": card.exp_year,
            "cvc": card.cvc,
        }
        answer = _accepted(await self._send("POST", "/payment_methods", body=body))
        return SavedCard(
            payment_method_id=answer["id"],
            brand=answer["brand"],
            last4=answer["last4"],
            exp_month=answer["expMonth"],
            exp_year=answer["expYear"],
        )

    async def attach(self, payment_method_id: str) -> None:
        """Saves a card; raises `CardDeclined`."""
        body = {"paymentMethodId": payment_method_id}
        _accepted(await self._send("POST", "/setups", body=body))

    async def charge(self, request: ChargeRequest) -> ChargeOutcome:
        """Charges a card; a decline is an outcome."""
        body = {
            "amount": amount_text(request.amount, request.currency),
            "currency": request.currency,
            "paymentMethodId": request.payment_method_id,
            "invoiceId": request.invoice_id,
        }
        answer = await self._send("POST", "/charges", body=body, key=request.idempotency_key)
        if answer.status_code == HTTPStatus.PAYMENT_REQUIRED:
            return _outcome(answer.json())
        return _outcome(_accepted(answer))

    async def find_charge(self, idempotency_key: str) -> ChargeOutcome | None:
        """The outcome under that key; None when there is no charge."""
        query = {"idempotencyKey": idempotency_key}
        found = _accepted(await self._send("GET", "/charges", query=query))
        return _outcome(found[0]) if found else None

    async def list_charges(self) -> list[GatewayCharge]:
        """The gateway's book."""
        found = _accepted(await self._send("GET", "/charges"))
        return [
            GatewayCharge(
                charge_id=charge["id"],
                status=charge["status"],
                amount=Decimal(charge["amount"]),
                amount_refunded=Decimal(charge["amountRefunded"]),
                currency=charge["currency"],
                invoice_id=charge["invoiceId"],
                idempotency_key=charge["idempotencyKey"],
                decline_code=charge.get("declineCode"),
                created_at=datetime.fromisoformat(charge["createdAt"]),
            )
            for charge in found
        ]

    async def refund(self, request: RefundRequest) -> RefundOutcome:
        """Gives money back once per key."""
        body = {"chargeId": request.charge_id, "amount": format(request.amount, "f")}
        answer = await self._send("POST", "/refunds", body=body, key=request.idempotency_key)
        return RefundOutcome(refund_id=_accepted(answer)["id"])

    async def _send(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> httpx2.Response:
        """One exchange; whatever leaves the outcome open is `GatewayUnavailable`."""
        headers = {} if key is None else {"Idempotency-Key": key}
        try:
            answer = await self._client.request(
                method, path, json=body, params=query, headers=headers
            )
        except httpx2.HTTPError as error:
            raise _no_answer(method, path, type(error).__name__) from error
        if answer.is_server_error or answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            raise _no_answer(method, path, f"status {answer.status_code}")
        return answer


def _accepted(answer: httpx2.Response) -> Any:
    """The body of an answer that grants the request."""
    if answer.status_code == HTTPStatus.PAYMENT_REQUIRED:
        refusal = answer.json()
        raise CardDeclined(refusal["code"], refusal["message"])
    if not answer.is_success:
        message = f"The payment gateway refused the request with status {answer.status_code}."
        raise GatewayRefusal(message, details=_refusal_details(answer))
    return answer.json()


def _no_answer(method: str, path: str, why: str) -> GatewayUnavailable:
    return GatewayUnavailable(f"The payment gateway gave no answer to {method} {path}: {why}")


def _refusal_details(answer: httpx2.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return {"gatewayCode": body.get("code"), "gatewayMessage": body.get("message")}


def _outcome(charge: Mapping[str, Any]) -> ChargeOutcome:
    return ChargeOutcome(
        charge_id=charge["id"],
        status=charge["status"],
        decline_code=charge.get("declineCode"),
        message=charge.get("message"),
    )
