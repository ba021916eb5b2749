"""What each public test card does in the simulated gateway; it stores no card and no charge.

The numbers in the table are Stripe's published ones, with the meaning they have there. Two more
behave as no public number does; they begin with 4000 0090, where Stripe publishes none.
"""

from dataclasses import dataclass, field

YearMonth = tuple[int, int]

_NUMBER_LENGTHS = range(12, 20)
_MONTHS = range(1, 13)


@dataclass(frozen=True, kw_only=True)
class Behavior:
    """How a card answers: `decline` is the code, None when it pays.

    `attaches` means that it can be saved although it declines. `first_declines` counts the charges
    of each invoice that are declined before one passes; `loses_first_answer` means that the first
    charge of each invoice succeeds without the caller hearing of it.
    """

    decline: str | None = None
    attaches: bool = True
    first_declines: int = 0
    loses_first_answer: bool = False


PAYS = "pays"
UNKNOWN = "unknown_number"
DECLINES_TWICE_NUMBER = "4000009000000011"
LOSES_ANSWER_NUMBER = "4000009000000029"

BEHAVIORS = {
    PAYS: Behavior(),
    "declined": Behavior(decline="card_declined", attaches=False),
    "insufficient_funds": Behavior(decline="insufficient_funds", attaches=False),
    "lost_card": Behavior(decline="lost_card", attaches=False),
    "stolen_card": Behavior(decline="stolen_card", attaches=False),
    "expired_card": Behavior(decline="expired_card", attaches=False),
    "incorrect_cvc": Behavior(decline="incorrect_cvc", attaches=False),
    "processing_error": Behavior(decline="processing_error", attaches=False),
    "card_velocity_exceeded": Behavior(decline="card_velocity_exceeded", attaches=False),
    "declines_after_attaching": Behavior(decline="card_declined"),
    "declines_twice": Behavior(decline="insufficient_funds", first_declines=2),
    "loses_answer": Behavior(loses_first_answer=True),
    UNKNOWN: Behavior(decline="test_mode_live_card", attaches=False),
}

_PAYING_NUMBERS = (
    "4242424242424242",
    "4000056655665556",
    "5555555555554444",
    "2223003122003222",
    "5200828282828210",
    "5105105105105100",
    "378282246310005",
    "371449635398431",
    "6011111111111117",
    "6011000990139424",
    "3056930009020004",
    "3566002020360505",
    "6200000000000005",
)

NUMBERS = {
    **dict.fromkeys(_PAYING_NUMBERS, PAYS),
    "4000000000000002": "declined",
    "4000000000009995": "insufficient_funds",
    "4000000000009987": "lost_card",
    "4000000000009979": "stolen_card",
    "4000000000000069": "expired_card",
    "4000000000000127": "incorrect_cvc",
    "4000000000000119": "processing_error",
    "4000000000006975": "card_velocity_exceeded",
    "4000000000000341": "declines_after_attaching",
    DECLINES_TWICE_NUMBER: "declines_twice",
    LOSES_ANSWER_NUMBER: "loses_answer",
}

MESSAGES = {
    "card_declined": "Your card was declined.",
    "insufficient_funds": "Your card has insufficient funds.",
    "lost_card": "Your card was declined.",
    "stolen_card": "Your card was declined.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
    "card_velocity_exceeded": "Your card was declined for making repeated attempts too frequently.",
    "incorrect_number": "Your card number is incorrect.",
    "invalid_number": "The card number is not a valid card number.",
    "invalid_expiry_month": "Your card's expiration month is invalid.",
    "invalid_cvc": "Your card's security code is invalid.",
    "test_mode_live_card": "Your card was declined: only test card numbers are accepted here.",
}

_BRANDS = (
    (("34", "37"), "amex"),
    (("300", "305", "36", "38"), "diners"),
    (("35",), "jcb"),
    (("6011", "65"), "discover"),
    (("62",), "unionpay"),
    (("2", "5"), "mastercard"),
    (("4",), "visa"),
)


def brand_of(number: str) -> str:
    """The card's brand by its first digits."""
    for prefixes, brand in _BRANDS:
        if number.startswith(prefixes):
            return brand
    return "unknown"


@dataclass(frozen=True, kw_only=True)
class Details:
    """What a customer typed; it is looked at and forgotten."""

    number: str = field(repr=False)
    cvc: str = field(repr=False)
    expires: YearMonth


def refusal_of(details: Details, today: YearMonth) -> str | None:
    """Why these details can be no card at all; None when they can."""
    if not _is_digits(details.number) or len(details.number) not in _NUMBER_LENGTHS:
        return "invalid_number"
    if not _passes_luhn(details.number):
        return "incorrect_number"
    if details.expires[1] not in _MONTHS:
        return "invalid_expiry_month"
    if details.expires < today:
        return "expired_card"
    lengths = {3, 4} if brand_of(details.number) == "amex" else {3}
    if not _is_digits(details.cvc) or len(details.cvc) not in lengths:
        return "invalid_cvc"
    return None


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _passes_luhn(number: str) -> bool:
    digits = [int(digit) for digit in reversed(number)]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return (sum(digits[0::2]) + sum(doubled)) % 10 == 0
