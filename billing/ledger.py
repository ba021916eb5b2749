"""Double-entry transfers for each fact of billing; it keeps no balance and stores nothing.

Amounts are signed, debit positive; the entries of a transfer sum to zero, so its two sides are
equal by construction. Transfers are never changed: what was wrong is answered by one more.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from billing.currencies import minor_unit
from billing.errors import InvalidValue
from billing.money import NANO_DIGITS, exact, round_half_up

AccountKind = Literal[
    "customer_receivable",
    "customer_wallet",
    "reserved_funds",
    "customer_credit",
    "revenue",
    "tax_payable",
    "processor_clearing",
    "external_clearing",
    "refunds",
    "write_off",
    "platform_fees",
]
Till = Literal["processor_clearing", "external_clearing"]
"""Where a customer's money arrived: at the payment provider, or with the merchant himself."""
Side = Literal["debit", "credit"]
NORMAL_SIDE: Final[Mapping[AccountKind, Side]] = {
    "customer_receivable": "debit",
    "customer_wallet": "credit",
    "reserved_funds": "credit",
    "customer_credit": "credit",
    "revenue": "credit",
    "tax_payable": "credit",
    "processor_clearing": "debit",
    "external_clearing": "debit",
    "refunds": "debit",
    "write_off": "debit",
    "platform_fees": "debit",
}
# Accounts of one customer; all others are the merchant's and hold what all customers caused.
CUSTOMER_OWNED: Final[frozenset[AccountKind]] = frozenset(
    {"customer_receivable", "customer_wallet", "reserved_funds", "customer_credit"}
)


@dataclass(frozen=True, slots=True)
class Posting:
    """One entry: a signed amount on an account; debit is positive."""

    account_kind: AccountKind
    owner_id: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Transfer:
    """Postings that sum to zero, and the document that they tell of.

    `digits` is the precision of its amounts: None is the currency's minor unit; wallets of the
    legacy generation count in billionths, because a single use may cost less than a cent.
    """

    kind: str
    document_id: str
    currency: str
    postings: tuple[Posting, ...]
    digits: int | None = None

    def __post_init__(self) -> None:
        digits = minor_unit(self.currency)
        digits = digits if self.digits is None else max(self.digits, digits)
        if not self.postings:
            raise InvalidValue("A transfer without postings tells of nothing")
        for posting in self.postings:
            if not posting.amount:
                raise InvalidValue("A posting of nothing belongs to no transfer")
            if posting.amount != round_half_up(posting.amount, digits):
                raise InvalidValue(f"A posting in {self.currency} has at most {digits} decimals")
        with exact():
            if sum(posting.amount for posting in self.postings):
                raise InvalidValue("A transfer sums to zero")


@dataclass(frozen=True, slots=True)
class Parties:
    """Between whom a transfer happens, and in what."""

    merchant_id: str
    customer_id: str
    currency: str


@dataclass(frozen=True, slots=True)
class Account:
    """Whose account of which kind and currency."""

    kind: AccountKind
    owner_id: str
    currency: str


def fold(transfers: Iterable[Transfer]) -> dict[Account, Decimal]:
    """The signed balance of every account that was posted to: the sum of its entries."""
    balances: dict[Account, Decimal] = {}
    with exact():
        for transfer in transfers:
            for posting in transfer.postings:
                account = Account(posting.account_kind, posting.owner_id, transfer.currency)
                balances[account] = balances.get(account, Decimal(0)) + posting.amount
    return balances


def normal_balance(kind: AccountKind, signed: Decimal) -> Decimal:
    """The balance as people read it: a wallet that holds 5 has a signed balance of -5."""
    return signed if NORMAL_SIDE[kind] == "debit" or not signed else signed.copy_negate()


def invoice_issued(
    parties: Parties,
    invoice_id: str,
    *,
    subtotal: Decimal,
    tax: Decimal,
    wallet_charge: Decimal = Decimal(0),
) -> Transfer:
    """The customer owes subtotal and tax; a wallet charge within the subtotal is no revenue yet."""
    amounts = _issued(subtotal, tax, wallet_charge)
    return _transfer("invoice_issued", parties, invoice_id, amounts)


def invoice_reversed(
    parties: Parties,
    invoice_id: str,
    *,
    subtotal: Decimal,
    tax: Decimal,
    wallet_charge: Decimal = Decimal(0),
) -> Transfer:
    """An issued invoice is owed no more (cancelled): the opposite of what its issue posted."""
    amounts = _issued(subtotal, tax, wallet_charge)
    opposite: _Amounts = {kind: amount.copy_negate() for kind, amount in amounts.items()}
    return _transfer("invoice_reversed", parties, invoice_id, opposite)


def payment_received(
    parties: Parties, payment_id: str, *, amount: Decimal, till: Till = "processor_clearing"
) -> Transfer:
    """The money that the customer owed has arrived: the processor holds it, or the merchant."""
    amounts: _Amounts = {
        till: _positive(amount),
        "customer_receivable": amount.copy_negate(),
    }
    return _transfer("payment_received", parties, payment_id, amounts)


def one_off_paid(parties: Parties, payment_id: str, *, amount: Decimal) -> Transfer:
    """A one-off payment is revenue when it is paid: nobody owed it before."""
    amounts: _Amounts = {
        "processor_clearing": _positive(amount),
        "revenue": amount.copy_negate(),
    }
    return _transfer("one_off_paid", parties, payment_id, amounts)


def invoice_written_off(parties: Parties, invoice_id: str, *, amount: Decimal) -> Transfer:
    """The merchant gives up what the customer still owes."""
    amounts: _Amounts = {
        "write_off": _positive(amount),
        "customer_receivable": amount.copy_negate(),
    }
    return _transfer("invoice_written_off", parties, invoice_id, amounts)


def refund_paid(
    parties: Parties,
    refund_id: str,
    *,
    amount: Decimal,
    tax: Decimal = Decimal(0),
    till: Till = "processor_clearing",
) -> Transfer:
    """`amount` is given back, of which `tax` is no longer owed to the state."""
    with exact():
        amounts: _Amounts = {
            "refunds": _positive(amount) - tax,
            "tax_payable": tax,
            till: -amount,
        }
    return _transfer("refund_paid", parties, refund_id, amounts)


def refund_voided(
    parties: Parties, refund_id: str, *, amount: Decimal, tax: Decimal = Decimal(0)
) -> Transfer:
    """A refund is taken back: its money has returned to the merchant, past the processor."""
    with exact():
        amounts: _Amounts = {
            "external_clearing": _positive(amount),
            "refunds": tax - amount,
            "tax_payable": -tax,
        }
    return _transfer("refund_voided", parties, refund_id, amounts)


def wallet_topped_up(
    parties: Parties, document_id: str, *, amount: Decimal, till: Till = "processor_clearing"
) -> Transfer:
    """Money has arrived that the merchant owes to the customer's wallet."""
    amounts: _Amounts = {
        till: _positive(amount),
        "customer_wallet": amount.copy_negate(),
    }
    return _transfer("wallet_topped_up", parties, document_id, amounts, NANO_DIGITS)


def wallet_paid_out(parties: Parties, document_id: str, *, amount: Decimal) -> Transfer:
    """The merchant has given prepaid money back himself, past the provider."""
    amounts: _Amounts = {
        "customer_wallet": _positive(amount),
        "external_clearing": amount.copy_negate(),
    }
    return _transfer("wallet_paid_out", parties, document_id, amounts)


def funds_reserved(parties: Parties, reservation_id: str, *, amount: Decimal) -> Transfer:
    """Part of the wallet is held for a use to come."""
    amounts: _Amounts = {
        "customer_wallet": _positive(amount),
        "reserved_funds": amount.copy_negate(),
    }
    return _transfer("funds_reserved", parties, reservation_id, amounts, NANO_DIGITS)


def reservation_consumed(
    parties: Parties, document_id: str, *, price: Decimal, tax: Decimal = Decimal(0)
) -> Transfer:
    """Held funds pay for a use: revenue and its tax."""
    amounts = _spent("reserved_funds", price, tax)
    return _transfer("reservation_consumed", parties, document_id, amounts, NANO_DIGITS)


def usage_charged(
    parties: Parties,
    document_id: str,
    *,
    price: Decimal,
    tax: Decimal = Decimal(0),
    held: Decimal = Decimal(0),
) -> Transfer:
    """A use is paid: `held` of it from what was held for it, the rest from the wallet itself."""
    amounts = _with_hold(_spent("customer_wallet", price, tax), held)
    return _transfer("usage_charged", parties, document_id, amounts, NANO_DIGITS)


def usage_refunded(
    parties: Parties,
    document_id: str,
    *,
    price: Decimal,
    tax: Decimal = Decimal(0),
    held: Decimal = Decimal(0),
) -> Transfer:
    """A paid use is taken back: `held` of it is held again, the wallet gets the rest."""
    spent = _with_hold(_spent("customer_wallet", price, tax), held)
    spent["refunds"] = spent.pop("revenue")
    amounts: _Amounts = {kind: amount.copy_negate() for kind, amount in spent.items()}
    return _transfer("usage_refunded", parties, document_id, amounts, NANO_DIGITS)


def reservation_released(
    parties: Parties, reservation_id: str, *, amount: Decimal, expired: bool = False
) -> Transfer:
    """What is still held goes back to the wallet, given up or expired."""
    amounts: _Amounts = {
        "reserved_funds": _positive(amount),
        "customer_wallet": amount.copy_negate(),
    }
    kind = "reservation_expired" if expired else "reservation_released"
    return _transfer(kind, parties, reservation_id, amounts, NANO_DIGITS)


def credit_arisen(
    parties: Parties, credit_id: str, *, subtotal: Decimal, tax: Decimal = Decimal(0)
) -> Transfer:
    """An ended subscription owes its customer what no invoice will give back."""
    return _transfer("credit_arisen", parties, credit_id, _credited(subtotal, tax))


def credit_withdrawn(
    parties: Parties, credit_id: str, *, subtotal: Decimal, tax: Decimal = Decimal(0)
) -> Transfer:
    """It is owed no more: waived, or another subscription's invoices give it back."""
    amounts = _credited(subtotal, tax)
    opposite: _Amounts = {kind: amount.copy_negate() for kind, amount in amounts.items()}
    return _transfer("credit_withdrawn", parties, credit_id, opposite)


def credit_paid_out(parties: Parties, credit_id: str, *, amount: Decimal) -> Transfer:
    """The merchant has given it back himself, past the provider."""
    amounts: _Amounts = {
        "customer_credit": _positive(amount),
        "external_clearing": amount.copy_negate(),
    }
    return _transfer("credit_paid_out", parties, credit_id, amounts)


_Amounts = dict[AccountKind, Decimal]


def _transfer(
    kind: str, parties: Parties, document_id: str, amounts: _Amounts, digits: int | None = None
) -> Transfer:
    # Zero amounts are dropped: a tax-free invoice has no tax posting.
    postings = tuple(
        Posting(
            account_kind=account_kind,
            owner_id=(
                parties.customer_id if account_kind in CUSTOMER_OWNED else parties.merchant_id
            ),
            amount=amount,
        )
        for account_kind, amount in amounts.items()
        if amount
    )
    return Transfer(kind, document_id, parties.currency, postings, digits)


def _credited(subtotal: Decimal, tax: Decimal) -> _Amounts:
    with exact():
        total = _positive(subtotal + tax)
        return {"revenue": subtotal, "tax_payable": tax, "customer_credit": -total}


def _issued(subtotal: Decimal, tax: Decimal, wallet_charge: Decimal) -> _Amounts:
    with exact():
        return {
            "customer_receivable": subtotal + tax,
            "revenue": wallet_charge - subtotal,
            "customer_wallet": -wallet_charge,
            "tax_payable": -tax,
        }


def _spent(source: AccountKind, price: Decimal, tax: Decimal) -> _Amounts:
    with exact():
        return {source: _positive(price + tax), "revenue": -price, "tax_payable": -tax}


def _with_hold(amounts: _Amounts, held: Decimal) -> _Amounts:
    """The same use, with a part of it taken from the hold instead of the wallet."""
    with exact():
        wallet = amounts["customer_wallet"] - held
    if held < 0 or wallet < 0:
        raise InvalidValue("A hold pays at most what the use costs", field="held")
    return {**amounts, "customer_wallet": wallet, "reserved_funds": held}


def _positive(amount: Decimal) -> Decimal:
    if amount <= 0:
        raise InvalidValue("The amount of this transfer is above zero", field="amount")
    return amount
