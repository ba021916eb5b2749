"""Tales of parts: stubs before a plan's anchor, and fees of other cadences than their plan.

A stub is prorated by its seconds. Late usage is not waited for here.
"""

from decimal import Decimal

from tests.scenario.shop import Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2024-01-29T12:00")
GRACE = "PT0S"
FIRST_OF_YEAR = at("2024-01-01")


def stub_of_a_rate_in_advance(shop: Shop) -> Telling:
    """31.00 a month, boundaries on the 1st: 29 Jan 12:00 to 1 Feb is 2.5 of January's 31 days.

    31.00 x 2.5 / 31 = 2.50 at the start; usage of the stub is not prorated: 10 x 0.50 = 5.00.
    On 1 February: 5.00 + 31.00 = 36.00.
    """
    calls = shop.meter("Calls", "0.50")
    plan = shop.plan(shop.fee("Rent", "31.00"), calls, billing_anchor=FIRST_OF_YEAR)
    contract = shop.subscribe(plan)
    assert contract.first.billing_anchor == FIRST_OF_YEAR
    shop.use(contract, calls, 10)
    yield at("2024-02-01")
    assert shop.bills(contract)[:2] == ["PAID 2.50 + 0.00 = 2.50", "ISSUED 36.00 + 0.00 = 36.00"]
    assert shop.windows(contract, 0)["Rent"] == (OPENED, at("2024-02-01"))
    assert shop.windows(contract, 1) == {
        "Calls": (OPENED, at("2024-02-01")),
        "Rent": (at("2024-02-01"), at("2024-03-01")),
    }


def stub_of_a_rate_in_arrears(shop: Shop) -> Telling:
    """The same 2.50, owed when the stub has ended; February's 31.00 on 1 March."""
    rent = shop.fee("Rent", "31.00", term="in_arrears")
    contract = shop.subscribe(shop.plan(rent, billing_anchor=FIRST_OF_YEAR))
    assert contract.first.status == "active"
    yield at("2024-03-01")
    assert shop.bills(contract)[:2] == [
        "ISSUED 2.50 + 0.00 = 2.50",
        "ISSUED 31.00 + 0.00 = 31.00",
    ]


def stub_of_an_obligation_in_advance(shop: Shop) -> Telling:
    """Owed whole: nothing for the stub, 31.00 on 1 February."""
    owed = shop.fee("License", "31.00", is_obligation=True)
    contract = shop.subscribe(shop.plan(owed, billing_anchor=FIRST_OF_YEAR))
    assert contract.first.status == "active"
    yield at("2024-02-01")
    assert shop.bills(contract)[0] == "ISSUED 31.00 + 0.00 = 31.00"
    assert shop.windows(contract, 0)["License"] == (at("2024-02-01"), at("2024-03-01"))


def stub_of_an_obligation_in_arrears(shop: Shop) -> Telling:
    """Nothing on 1 February, when the stub ends; 31.00 on 1 March for February."""
    owed = shop.fee("License", "31.00", term="in_arrears", is_obligation=True)
    contract = shop.subscribe(shop.plan(owed, billing_anchor=FIRST_OF_YEAR))
    yield at("2024-03-01")
    assert shop.bills(contract)[:2] == ["PAID 0.00 + 0.00 = 0.00", "ISSUED 31.00 + 0.00 = 31.00"]


def stub_of_a_quarter(shop: Shop) -> Telling:
    """91.00 a quarter from 30 November 2023, 12:00, whose first quarter ends on 29 February 2024.

    It has 1 + 31 + 31 + 28 = 91 days; from 29 January 31 are left: 91.00 x 31 / 91 = 31.00.
    The next runs to 30 May: 91.00.
    """
    rent = shop.fee("Rent", "91.00", every="P3M")
    anchor = at("2023-11-30T12:00")
    plan = shop.plan(rent, billing_cadence="P3M", billing_anchor=anchor)
    contract = shop.subscribe(plan)
    yield at("2024-02-29T12:00")
    assert shop.bills(contract)[:2] == [
        "PAID 31.00 + 0.00 = 31.00",
        "ISSUED 91.00 + 0.00 = 91.00",
    ]
    assert shop.windows(contract, 1)["Rent"] == (at("2024-02-29T12:00"), at("2024-05-30T12:00"))


def stub_that_does_not_end_in_cents(shop: Shop) -> Telling:
    """100.00 x 2.5 / 31 = 8.0645161…: the line keeps it, the invoice owes 8.06.

    With 19 % tax: 8.0645161… x 0.19 = 1.5322580…, owed as 1.53; 8.06 + 1.53 = 9.59.
    """
    plan = shop.plan(shop.fee("Rent", "100.00"), billing_anchor=FIRST_OF_YEAR, default_tax_rate=19)
    contract = shop.subscribe(plan)
    assert shop.bills(contract)[0] == "PAID 8.06 + 1.53 = 9.59"
    (line,) = shop.lines(contract, 0)
    assert line.total_price.startswith("8.064516129032258064516129032258")
    assert line.total_tax.startswith("1.532258064516129032258064516129")
    yield OPENED


def yearly_fee_in_a_monthly_plan_with_a_stub(shop: Shop) -> Telling:
    """366.00 a year counted from 1 January 2024, a year of 366 days, of which 28.5 are over.

    366.00 x 337.5 / 366 = 337.50 at the start; and 31.00 x 2.5 / 31 = 2.50 of a monthly fee.
    On 1 February only the monthly 31.00 falls due.
    """
    yearly, monthly = shop.fee("Support", "366.00", every="P1Y"), shop.fee("Rent", "31.00")
    contract = shop.subscribe(shop.plan(yearly, monthly, billing_anchor=FIRST_OF_YEAR))
    yield at("2024-02-01")
    assert shop.bills(contract)[:2] == [
        "PAID 340.00 + 0.00 = 340.00",
        "ISSUED 31.00 + 0.00 = 31.00",
    ]
    assert shop.charges(contract, 0) == {"Support": Decimal("337.5"), "Rent": Decimal("2.5")}


def yearly_fee_beside_a_monthly_one(shop: Shop) -> Telling:
    """120.00 a year and 5.00 a month, both in advance: 125.00, then 5.00."""
    yearly, monthly = shop.fee("Support", "120.00", every="P1Y"), shop.fee("Line", "5.00")
    contract = shop.subscribe(shop.plan(yearly, monthly))
    yield at("2024-02-29T12:00")
    assert [bill.split(" = ")[1] for bill in shop.bills(contract)] == ["125.00", "5.00", "5.00"]


def fee_once_in_advance(shop: Shop) -> Telling:
    """A set-up of 99.00 once and 10.00 a month: 109.00, then 10.00."""
    once, monthly = shop.fee("Set-up", "99.00", every="P0D"), shop.fee("Line", "10.00")
    contract = shop.subscribe(shop.plan(once, monthly))
    yield at("2024-02-29T12:00")
    assert [bill.split(" = ")[1] for bill in shop.bills(contract)] == ["109.00", "10.00", "10.00"]


def fee_once_in_arrears(shop: Shop) -> Telling:
    """99.00 once, owed at the first boundary and never again."""
    once = shop.fee("Report", "99.00", every="P0D", term="in_arrears")
    contract = shop.subscribe(shop.plan(once))
    yield at("2024-02-29T12:00")
    assert [bill.split(" = ")[1] for bill in shop.bills(contract)] == ["99.00", "0.00"]


def fee_once_in_a_stub_is_whole(shop: Shop) -> Telling:
    """A set-up is no rate: 99.00 for a stub of 2.5 days, and the rent's 2.50: 101.50."""
    once, monthly = shop.fee("Set-up", "99.00", every="P0D"), shop.fee("Rent", "31.00")
    contract = shop.subscribe(shop.plan(once, monthly, billing_anchor=FIRST_OF_YEAR))
    assert shop.bills(contract)[0] == "PAID 101.50 + 0.00 = 101.50"
    yield at("2024-02-01")
    assert shop.bills(contract)[1] == "ISSUED 31.00 + 0.00 = 31.00"


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
