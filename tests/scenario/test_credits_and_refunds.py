"""Tales of lines by hand and money back: credits that are carried, charges to come, refunds.

April has usage at 1.00 a unit; grace ends a day after the boundary.
"""

from decimal import Decimal

import pytest
from paygentic_sdk import errors

from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2025-04-01")
BOUNDARY = at("2025-05-01")
IN_GRACE = at("2025-05-01T12:00")
ISSUED = at("2025-05-02")
THIRD_ISSUED = at("2025-07-02")
PAYS = "4242424242424242"


def _write(shop: Shop, contract: Contract, name: str, price: float, **members: object) -> None:
    request: dict[str, object] = {
        "display_name": name,
        "currency": "USD",
        "quantity": 1,
        "unit_price": price,
        **members,
    }
    if "invoice_id" not in request:
        request["subscription_id"] = contract.id
    shop.client.invoices_v2.create_line_item(**request)  # type: ignore[arg-type]


def _totals(shop: Shop, contract: Contract) -> list[str]:
    closed = ("ACTIVE", "CLOSING")
    return [each.grand_total for each in shop.invoices(contract) if each.status not in closed]


def a_credit_that_lasts_three_months(shop: Shop) -> Telling:
    """A credit of 100.00 and a rent of 40.00 in arrears: 0.00, 0.00, and 40 - 20 = 20.00."""
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "40.00", term="in_arrears")))
    _write(shop, contract, "Goodwill", -100)
    yield THIRD_ISSUED
    assert _totals(shop, contract) == ["0.00", "0.00", "20.00"]


def a_credit_with_nothing_to_pay(shop: Shop) -> Telling:
    """Nothing used in April: 0.00. May has 30 units: 30 - 25 = 5.00."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))
    _write(shop, contract, "Goodwill", -25)
    shop.use(contract, units, 30, "2025-05-10")
    yield THIRD_ISSUED
    assert _totals(shop, contract)[:2] == ["0.00", "5.00"]


def two_credits_are_used_in_their_order(shop: Shop) -> Telling:
    """10 units, credits of 6.00 and 6.00: the first whole, the second by 4.00; May 10 - 2 = 8."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))
    _write(shop, contract, "First", -6)
    _write(shop, contract, "Second", -6)
    shop.use(contract, units, 10, "2025-04-10")
    shop.use(contract, units, 10, "2025-05-10")
    yield THIRD_ISSUED
    assert _totals(shop, contract)[:2] == ["0.00", "8.00"]
    assert shop.charges(contract, 0) == {"Units": 10, "First": -6, "Second": -4}


def a_rebate_comes_before_a_credit(shop: Shop) -> Telling:
    """10.00 less a rebate of 4.00 leaves 6.00 for a credit of 8.00: 0.00, and 2.00 are carried.

    May has 10 units and no rebate: 10 - 2 = 8.00.
    """
    units, rebate = shop.meter("Units", "1"), shop.meter("Rebate", "-1")
    contract = shop.subscribe(shop.plan(units, rebate))
    _write(shop, contract, "Goodwill", -8)
    shop.use(contract, units, 10, "2025-04-10")
    shop.use(contract, rebate, 4, "2025-04-10")
    shop.use(contract, units, 10, "2025-05-10")
    yield THIRD_ISSUED
    assert _totals(shop, contract)[:2] == ["0.00", "8.00"]
    assert shop.charges(contract, 0) == {"Units": 10, "Rebate": -4, "Goodwill": -6}


def a_charge_for_a_later_month(shop: Shop) -> Telling:
    """Written in April for 10 May: on May's invoice, 50.00, and not on April's."""
    contract = shop.subscribe(shop.plan(shop.meter("Units", "1")))
    _write(shop, contract, "Workshop", 50, invoice_at=at("2025-05-10"))
    yield THIRD_ISSUED
    assert _totals(shop, contract)[:2] == ["0.00", "50.00"]


def a_charge_for_an_invoice_that_closes(shop: Shop) -> Telling:
    """In grace, on 1 May: 20.00 on April's invoice, which is still open; after it, 409."""
    contract = shop.subscribe(shop.plan(shop.meter("Units", "1")))
    yield IN_GRACE
    april = shop.invoices(contract)[0]
    _write(shop, contract, "Work", 20, invoice_id=april.id)
    yield ISSUED
    assert _totals(shop, contract) == ["20.00"]
    with pytest.raises(errors.PaygenticError) as refused:
        _write(shop, contract, "Work", 20, invoice_id=april.id)
    assert refused.value.status_code == 409


def lines_by_hand_with_tax_inside(shop: Shop) -> Telling:
    """119.00 and a credit of 59.50, both with 19 % inside: 100 - 50 = 50.00, and 9.50 of tax."""
    plan = shop.plan(shop.meter("Units", "1"), default_tax_rate=19, tax_behavior="inclusive")
    contract = shop.subscribe(plan)
    _write(shop, contract, "Workshop", 119)
    _write(shop, contract, "Goodwill", -59.5)
    yield ISSUED
    assert shop.bills(contract)[0] == "ISSUED 50.00 + 9.50 = 59.50"


def a_charge_before_the_end(shop: Shop) -> Telling:
    """Terminated on 11 April with a charge written for May: the last invoice takes it, 50.00."""
    contract = shop.subscribe(shop.plan(shop.meter("Units", "1")))
    _write(shop, contract, "Workshop", 50, invoice_at=at("2025-05-10"))
    yield at("2025-04-11")
    shop.terminate(contract)
    yield BOUNDARY
    assert _totals(shop, contract) == ["50.00"]


def another_currency_is_refused(shop: Shop) -> Telling:
    """A line in EUR has no place in a subscription in USD: 400, and nothing is billed."""
    contract = shop.subscribe(shop.plan(shop.meter("Units", "1")))
    with pytest.raises(errors.PaygenticError) as refused:
        _write(shop, contract, "Work", 20, currency="EUR")
    assert refused.value.status_code == 400
    yield ISSUED
    assert _totals(shop, contract) == ["0.00"]


def refunded_after_the_month_was_paid(shop: Shop) -> Telling:
    """30 units with 10 % tax: 33.00 by card, given back on 2 May; May's 5 units are owed as ever.

    Late usage of April is still owed too: 2 more units are 2.00 + 0.20 on May's invoice.
    """
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units, default_tax_rate=10), auto_charge=True)
    shop.save_card(contract.customer_id, PAYS)
    shop.use(contract, units, 30, "2025-04-10")
    yield ISSUED
    april = shop.invoices(contract)[0]
    refund = shop.client.invoices_v2.create_invoice_refund(id=april.id, reason="Unhappy")
    assert (refund.total, refund.tax_amount) == ("33.00", "3.00")
    assert shop.invoices(contract)[0].status == "PAID"
    shop.use(contract, units, 2, "2025-04-11")
    shop.use(contract, units, 5, "2025-05-10")
    yield THIRD_ISSUED
    assert shop.bills(contract)[1] == "PAID 7.00 + 0.70 = 7.70"


def only_what_was_paid_goes_back(shop: Shop) -> Telling:
    """An invoice that is ISSUED, and one of 0.00, have nothing to give back: 400."""
    units = shop.meter("Units", "1")
    owed, nothing = (shop.subscribe(shop.plan(units)) for _ in range(2))
    shop.use(owed, units, 5, "2025-04-10")
    yield ISSUED
    for contract in (owed, nothing):
        invoice = shop.invoices(contract)[0]
        with pytest.raises(errors.PaygenticError) as refused:
            shop.client.invoices_v2.create_invoice_refund(id=invoice.id)
        assert refused.value.status_code == 400
    assert [shop.invoices(each)[0].status for each in (owed, nothing)] == ["ISSUED", "PAID"]


def paid_in_yen_and_given_back(shop: Shop) -> Telling:
    """980 yen with 10 % on top, 1078, by transfer and back: whole yen both ways."""
    plan = shop.plan(shop.fee("Rent", "980"), currency="JPY", default_tax_rate=10)
    contract = shop.subscribe(plan)
    refund = shop.client.invoices_v2.create_invoice_refund(id=shop.invoices(contract)[0].id)
    assert [Decimal(refund.total), Decimal(refund.tax_amount)] == [Decimal(1078), Decimal(98)]
    yield OPENED


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
