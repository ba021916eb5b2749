"""Examples of the transfer that each fact of billing posts."""

from collections.abc import Callable
from decimal import Decimal
from typing import get_args

import pytest

from billing import ledger
from billing.errors import InvalidValue
from billing.ledger import CUSTOMER_OWNED, NORMAL_SIDE, Account, AccountKind, Posting, Transfer

PARTIES = ledger.Parties("org_1", "cus_1", "USD")
Book = dict[str, Decimal]


def book(*transfers: Transfer) -> Book:
    """The balances that are not zero, by kind of account."""
    return {account.kind: at for account, at in ledger.fold(transfers).items() if at}


def expected(**amounts: str) -> Book:
    return {kind: Decimal(amount) for kind, amount in amounts.items()}


def issued(subtotal: str = "49.00", tax: str = "4.90", wallet_charge: str = "0") -> Transfer:
    return ledger.invoice_issued(
        PARTIES,
        "inv_1",
        subtotal=Decimal(subtotal),
        tax=Decimal(tax),
        wallet_charge=Decimal(wallet_charge),
    )


class TestTransfer:
    def test_the_parts_sum_to_zero_or_there_is_no_transfer(self) -> None:
        half = Posting("revenue", "org_1", Decimal(-1))
        with pytest.raises(InvalidValue, match="sums to zero"):
            Transfer("invoice_issued", "inv_1", "USD", (half,))

    def test_no_postings_no_transfer(self) -> None:
        with pytest.raises(InvalidValue, match="without postings"):
            Transfer("invoice_issued", "inv_1", "USD", ())

    def test_a_posting_of_nothing_is_refused(self) -> None:
        nothing = Posting("revenue", "org_1", Decimal(0))
        with pytest.raises(InvalidValue, match="nothing"):
            Transfer("invoice_issued", "inv_1", "USD", (nothing, nothing))

    @pytest.mark.parametrize(
        ("amount", "currency", "digits", "is_refused"),
        [
            ("0.01", "USD", None, False),
            ("0.010", "USD", None, False),
            ("0.001", "USD", None, True),
            ("0.001", "KWD", None, False),
            ("1.5", "JPY", None, True),
            ("0.000000001", "USD", 9, False),
            ("0.0000000001", "USD", 9, True),
            ("0.01", "USD", 0, False),
        ],
    )
    def test_amounts_are_rounded(
        self, amount: str, currency: str, digits: int | None, *, is_refused: bool
    ) -> None:
        sides = (
            Posting("customer_receivable", "cus_1", Decimal(amount)),
            Posting("revenue", "org_1", -Decimal(amount)),
        )
        if is_refused:
            with pytest.raises(InvalidValue, match="decimals"):
                Transfer("invoice_issued", "inv_1", currency, sides, digits)
        else:
            assert Transfer("invoice_issued", "inv_1", currency, sides, digits).postings == sides

    def test_a_currency_that_there_is_not(self) -> None:
        with pytest.raises(InvalidValue, match="not a currency"):
            Transfer("invoice_issued", "inv_1", "XXX", (Posting("revenue", "o", Decimal(1)),))

    def test_every_kind_of_account_has_a_side(self) -> None:
        assert set(NORMAL_SIDE) == set(get_args(AccountKind))


class TestInvoices:
    def test_issued(self) -> None:
        assert book(issued()) == expected(
            customer_receivable="53.90", revenue="-49.00", tax_payable="-4.90"
        )

    def test_owners(self) -> None:
        owners = {posting.account_kind: posting.owner_id for posting in issued().postings}
        assert owners == {
            "customer_receivable": "cus_1",
            "revenue": "org_1",
            "tax_payable": "org_1",
        }
        assert {kind for kind, owner in owners.items() if owner == "cus_1"} <= CUSTOMER_OWNED

    def test_without_tax_there_is_no_tax_posting(self) -> None:
        kinds = [posting.account_kind for posting in issued(tax="0.00").postings]
        assert kinds == ["customer_receivable", "revenue"]

    def test_a_wallet_charge_is_the_customer_s_money(self) -> None:
        """49.00 of fees and 20.00 into the wallet: 69.00 owed, 49.00 earned."""
        assert book(issued("69.00", "4.90", "20.00")) == expected(
            customer_receivable="73.90",
            revenue="-49.00",
            customer_wallet="-20.00",
            tax_payable="-4.90",
        )

    def test_of_nothing_there_is_no_transfer(self) -> None:
        with pytest.raises(InvalidValue, match="without postings"):
            issued("0.00", "0.00")

    def test_reversed(self) -> None:
        reversal = ledger.invoice_reversed(
            PARTIES,
            "inv_1",
            subtotal=Decimal("69.00"),
            tax=Decimal("4.90"),
            wallet_charge=Decimal("20.00"),
        )
        assert book(issued("69.00", "4.90", "20.00"), reversal) == {}
        assert reversal.kind == "invoice_reversed"

    def test_paid(self) -> None:
        paid = ledger.payment_received(PARTIES, "pay_1", amount=Decimal("53.90"))
        assert book(issued(), paid) == expected(
            processor_clearing="53.90", revenue="-49.00", tax_payable="-4.90"
        )

    def test_a_one_off_payment_is_revenue_at_once(self) -> None:
        paid = ledger.one_off_paid(PARTIES, "pay_1", amount=Decimal("5.00"))
        assert book(paid) == expected(processor_clearing="5.00", revenue="-5.00")

    def test_written_off(self) -> None:
        lost = ledger.invoice_written_off(PARTIES, "inv_1", amount=Decimal("53.90"))
        assert book(issued(), lost) == expected(
            write_off="53.90", revenue="-49.00", tax_payable="-4.90"
        )

    def test_refunded(self) -> None:
        paid = ledger.payment_received(PARTIES, "pay_1", amount=Decimal("53.90"))
        back = ledger.refund_paid(PARTIES, "crn_1", amount=Decimal("53.90"), tax=Decimal("4.90"))
        assert book(issued(), paid, back) == expected(revenue="-49.00", refunds="49.00")


class TestWallets:
    TOP_UP = ledger.wallet_topped_up(PARTIES, "pay_1", amount=Decimal("10.00"))
    HOLD = ledger.funds_reserved(PARTIES, "ent_1", amount=Decimal("0.0022"))

    def test_topped_up(self) -> None:
        assert book(self.TOP_UP) == expected(processor_clearing="10.00", customer_wallet="-10.00")

    def test_reserved_in_billionths(self) -> None:
        assert book(self.TOP_UP, self.HOLD) == expected(
            processor_clearing="10.00", customer_wallet="-9.9978", reserved_funds="-0.0022"
        )

    def test_consumed(self) -> None:
        used = ledger.reservation_consumed(
            PARTIES, "usg_1", price=Decimal("0.002"), tax=Decimal("0.0002")
        )
        assert book(self.TOP_UP, self.HOLD, used) == expected(
            processor_clearing="10.00",
            customer_wallet="-9.9978",
            revenue="-0.002",
            tax_payable="-0.0002",
        )

    @pytest.mark.parametrize(
        ("expired", "kind"), [(False, "reservation_released"), (True, "reservation_expired")]
    )
    def test_released_or_expired(self, *, expired: bool, kind: str) -> None:
        back = ledger.reservation_released(
            PARTIES, "ent_1", amount=Decimal("0.0022"), expired=expired
        )
        assert back.kind == kind
        assert book(self.TOP_UP, self.HOLD, back) == book(self.TOP_UP)

    def test_charged_without_a_hold(self) -> None:
        used = ledger.usage_charged(PARTIES, "usg_1", price=Decimal(1), tax=Decimal("0.1"))
        assert book(self.TOP_UP, used) == expected(
            processor_clearing="10.00", customer_wallet="-8.90", revenue="-1", tax_payable="-0.1"
        )


@pytest.mark.parametrize("amount", ["0", "-1"])
@pytest.mark.parametrize(
    "build",
    [
        lambda amount: ledger.payment_received(PARTIES, "x", amount=amount),
        lambda amount: ledger.one_off_paid(PARTIES, "x", amount=amount),
        lambda amount: ledger.invoice_written_off(PARTIES, "x", amount=amount),
        lambda amount: ledger.refund_paid(PARTIES, "x", amount=amount),
        lambda amount: ledger.wallet_topped_up(PARTIES, "x", amount=amount),
        lambda amount: ledger.funds_reserved(PARTIES, "x", amount=amount),
        lambda amount: ledger.reservation_consumed(PARTIES, "x", price=amount),
        lambda amount: ledger.usage_charged(PARTIES, "x", price=amount),
        lambda amount: ledger.reservation_released(PARTIES, "x", amount=amount),
    ],
)
def test_money_moves_one_way(build: Callable[[Decimal], Transfer], amount: str) -> None:
    """A negative payment would be an unwritten refund."""
    with pytest.raises(InvalidValue, match="above zero"):
        build(Decimal(amount))


def test_balances_as_people_read_them() -> None:
    assert ledger.normal_balance("customer_wallet", Decimal(-5)) == 5
    assert ledger.normal_balance("customer_receivable", Decimal(5)) == 5
    assert str(ledger.normal_balance("customer_wallet", Decimal(0))) == "0"


def test_the_fold_keeps_owners_and_currencies_apart() -> None:
    euros = ledger.Parties("org_1", "cus_1", "EUR")
    other = ledger.Parties("org_1", "cus_2", "USD")
    balances = ledger.fold(
        ledger.wallet_topped_up(parties, "x", amount=Decimal(amount))
        for parties, amount in ((PARTIES, "1"), (euros, "2"), (other, "3"), (PARTIES, "4"))
    )
    assert balances[Account("customer_wallet", "cus_1", "USD")] == -5
    assert balances[Account("customer_wallet", "cus_1", "EUR")] == -2
    assert balances[Account("customer_wallet", "cus_2", "USD")] == -3
    assert balances[Account("processor_clearing", "org_1", "USD")] == 8
