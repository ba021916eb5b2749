"""A payment provider in memory under the real port: a book, and outcomes that a test chooses."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from activities.gateways.port import (
    CardDetails,
    ChargeOutcome,
    ChargeRequest,
    GatewayCharge,
    RefundOutcome,
    RefundRequest,
    SavedCard,
)


@dataclass
class BookGateway:
    """Charges succeed unless their method is in `declining`; the same key is charged once."""

    declining: Sequence[str] = ()
    book: dict[str, GatewayCharge] = field(default_factory=dict)

    async def create_payment_method(self, card: CardDetails) -> SavedCard:
        return SavedCard(
            payment_method_id=f"pm_{card.number[-4:]}",
            brand="visa",
            last4=card.number[-4:],
            exp_month=card.exp_month,
            exp_year=card.exp_year,
        )

    async def attach(self, payment_method_id: str) -> None:
        del payment_method_id

    async def charge(self, request: ChargeRequest) -> ChargeOutcome:
        declined = request.payment_method_id in self.declining
        self.book.setdefault(
            request.idempotency_key,
            GatewayCharge(
                charge_id=f"ch_{len(self.book)}",
                status="failed" if declined else "succeeded",
                amount=request.amount,
                amount_refunded=Decimal(0),
                currency=request.currency,
                invoice_id=request.invoice_id,
                idempotency_key=request.idempotency_key,
                decline_code="card_declined" if declined else None,
                created_at=datetime(2026, 1, 1, tzinfo=UTC),
            ),
        )
        found = await self.find_charge(request.idempotency_key)
        assert found is not None
        return found

    async def find_charge(self, idempotency_key: str) -> ChargeOutcome | None:
        charge = self.book.get(idempotency_key)
        if charge is None:
            return None
        return ChargeOutcome(
            charge_id=charge.charge_id,
            status=charge.status,
            decline_code=charge.decline_code,
            message=None,
        )

    async def list_charges(self) -> list[GatewayCharge]:
        return list(self.book.values())

    async def refund(self, request: RefundRequest) -> RefundOutcome:
        return RefundOutcome(refund_id=f"re_{request.idempotency_key}")

    async def close(self) -> None:
        self.book.clear()
