"""The gateway's messages keep card details out of sight and survive the journey to a worker."""

from decimal import Decimal

from pydantic import TypeAdapter

from activities.gateways.port import CardDeclined, CardDetails, ChargeOutcome, ChargeRequest


def test_card_details_do_not_show_number_or_cvc() -> None:
    card = CardDetails(number="4242424242424242", exp_month=12, exp_year=2090, cvc="9173")
    assert "4242" not in f"{card} {card!r}"
    assert "9173" not in f"{card} {card!r}"


def test_messages_survive_json() -> None:
    request = ChargeRequest(
        idempotency_key="inv_1:1",
        amount=Decimal("49.10"),
        currency="USD",
        payment_method_id="pm_1",
        invoice_id="inv_1",
    )
    outcome = ChargeOutcome(charge_id="ch_1", status="failed", decline_code="lost_card")
    for message in (request, outcome):
        adapter = TypeAdapter(type(message))
        assert adapter.validate_json(adapter.dump_json(message)) == message


def test_a_declined_card_carries_its_own_code() -> None:
    error = CardDeclined("insufficient_funds", "Your card has insufficient funds.")
    assert error.code == "INSUFFICIENT_FUNDS"
    assert CardDeclined("expired_card", "…").code == "EXPIRED_CARD"
    assert error.details == {"declineCode": "insufficient_funds"}
