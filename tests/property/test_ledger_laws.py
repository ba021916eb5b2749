"""Laws of the ledger: transfers sum to zero, balances are folds, a hold ends once and whole."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from billing import ledger
from billing.entitlements import HoldState, check_resolution, remaining
from billing.errors import Conflict, InvalidValue
from billing.ledger import Account, AccountKind, Transfer

PARTIES = ledger.Parties("org_1", "cus_1", "USD")
WALLET = Account("customer_wallet", "cus_1", "USD")
HELD = Account("reserved_funds", "cus_1", "USD")
cents = st.integers(1, 10**9).map(lambda units: Decimal(units).scaleb(-2))
any_cents = st.integers(-(10**9), 10**9).map(lambda units: Decimal(units).scaleb(-2))
nanos = st.integers(1, 10**15).map(lambda units: Decimal(units).scaleb(-9))


@given(any_cents, any_cents, any_cents)
def test_an_issued_invoice_sums_to_zero_and_reverses_to_nothing(
    subtotal: Decimal, tax: Decimal, wallet_charge: Decimal
) -> None:
    """Also where rebates make the subtotal negative."""
    sums = {"subtotal": subtotal, "tax": tax, "wallet_charge": wallet_charge}
    if not any(sums.values()):
        return
    issue = ledger.invoice_issued(PARTIES, "inv_1", **sums)
    back = ledger.invoice_reversed(PARTIES, "inv_1", **sums)
    assert sum(posting.amount for posting in issue.postings) == 0
    balances = ledger.fold([issue])
    assert balances.get(Account("customer_receivable", "cus_1", "USD"), 0) == subtotal + tax
    assert not any(ledger.fold([issue, back]).values())


@given(nanos)
def test_reserve_then_release_is_the_identity(amount: Decimal) -> None:
    hold = ledger.funds_reserved(PARTIES, "ent_1", amount=amount)
    back = ledger.reservation_released(PARTIES, "ent_1", amount=amount)
    assert not any(ledger.fold([hold, back]).values())


@given(st.lists(st.tuples(nanos, st.booleans()), min_size=1, max_size=20), st.integers(0, 20))
def test_a_balance_is_the_fold_of_its_entries_cut_where_one_likes(
    moves: list[tuple[Decimal, bool]], cut: int
) -> None:
    transfers = [
        ledger.wallet_topped_up(PARTIES, f"pay_{at}", amount=amount)
        if is_top_up
        else ledger.usage_charged(PARTIES, f"usg_{at}", price=amount)
        for at, (amount, is_top_up) in enumerate(moves)
    ]
    whole = ledger.fold(transfers)
    first, second = ledger.fold(transfers[:cut]), ledger.fold(transfers[cut:])
    for account, balance in whole.items():
        assert first.get(account, Decimal(0)) + second.get(account, Decimal(0)) == balance
    assert sum(whole.values()) == 0


@given(
    st.lists(
        st.tuples(st.sampled_from(["customer_wallet", "revenue", "refunds"]), any_cents),
        max_size=5,
    )
)
def test_a_transfer_is_balanced_or_refused(rows: list[tuple[AccountKind, Decimal]]) -> None:
    postings = tuple(ledger.Posting(kind, "org_1", amount) for kind, amount in rows)
    is_sound = bool(rows) and all(amount for _, amount in rows)
    is_sound = is_sound and not sum(amount for _, amount in rows)
    try:
        Transfer("any", "doc_1", "USD", postings)
    except InvalidValue:
        assert not is_sound
    else:
        assert is_sound


class WalletMachine(RuleBasedStateMachine):
    """A wallet beside a model of two numbers: what is available, and what each hold still holds."""

    holds: Bundle[str] = Bundle("holds")

    def __init__(self) -> None:
        super().__init__()
        self.transfers: list[Transfer] = []
        self.available = Decimal(0)
        self.states: dict[str, HoldState] = {}
        self.held: dict[str, Decimal] = {}

    @rule(amount=nanos)
    def top_up(self, amount: Decimal) -> None:
        document_id = f"pay_{len(self.transfers)}"
        self.transfers.append(ledger.wallet_topped_up(PARTIES, document_id, amount=amount))
        self.available += amount

    @rule(target=holds, amount=nanos)
    def reserve(self, amount: Decimal) -> str:
        hold_id = f"ent_{len(self.states)}"
        taken = min(amount, self.available)
        self.states[hold_id] = "reserved"
        self.held[hold_id] = taken
        if taken:
            self.transfers.append(ledger.funds_reserved(PARTIES, hold_id, amount=taken))
            self.available -= taken
        return hold_id

    @rule(hold_id=holds, part=st.fractions(0, 1), has_tax=st.booleans())
    def use(self, hold_id: str, part: Fraction, *, has_tax: bool) -> None:
        units = int(self.held[hold_id].scaleb(9))
        spent = Decimal(int(units * part)).scaleb(-9)
        if not spent:
            return
        tax = Decimal(int(spent.scaleb(9)) // 10 if has_tax else 0).scaleb(-9)
        self.transfers.append(
            ledger.reservation_consumed(PARTIES, "usg_1", price=spent - tax, tax=tax)
        )
        self.held[hold_id] = remaining(self.held[hold_id], spent)

    @rule(hold_id=consumes(holds), end=st.sampled_from(["consumed", "released", "expired"]))
    def resolve(self, hold_id: str, end: HoldState) -> None:
        check_resolution(self.states[hold_id], end)
        left = self.held.pop(hold_id)
        if left:
            self.transfers.append(
                ledger.reservation_released(PARTIES, hold_id, amount=left, expired=end == "expired")
            )
            self.available += left
        self.states[hold_id] = end
        self._cannot_resolve_again(hold_id)

    def _cannot_resolve_again(self, hold_id: str) -> None:
        try:
            check_resolution(self.states[hold_id], "released")
        except Conflict:
            return
        raise AssertionError(f"{hold_id} was resolved twice")

    @invariant()
    def balances_are_the_model_s(self) -> None:
        balances = ledger.fold(self.transfers)
        wallet = ledger.normal_balance("customer_wallet", balances.get(WALLET, Decimal(0)))
        held = ledger.normal_balance("reserved_funds", balances.get(HELD, Decimal(0)))
        assert wallet == self.available
        assert held == sum(self.held.values(), Decimal(0))
        assert wallet >= 0
        assert held >= 0

    @invariant()
    def the_books_balance(self) -> None:
        assert sum(ledger.fold(self.transfers).values(), Decimal(0)) == 0


TestWalletMachine = WalletMachine.TestCase
TestWalletMachine.settings = settings(max_examples=60, stateful_step_count=30)
