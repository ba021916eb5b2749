"""Tales of invoices to come: what is projected at the start is what is billed in its time.

Late usage is waited for for a day. Nobody uses anything.
"""

from datetime import datetime
from typing import Any

from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2025-01-17")
FIRST_OF_YEAR = at("2025-01-01")
LAST = at("2025-05-20")

Told = tuple[int, str, str, datetime | None, datetime | None, datetime, datetime]


def _told(invoice: Any) -> Told:
    return (
        invoice.sequence_number,
        f"{invoice.subtotal} + {invoice.total_tax} = {invoice.grand_total}",
        invoice.currency,
        invoice.issued_at,
        invoice.due_at,
        invoice.period_start,
        invoice.period_end,
    )


def _projected(shop: Shop, contract: Contract) -> list[Told]:
    """All that comes by the day of the last look, asked for two at a time."""
    pages = [
        shop.client.invoices_v2.list_projected_invoices(
            subscription_id=contract.id, to=LAST, limit=2, offset=offset
        ).data
        for offset in range(0, 8, 2)
    ]
    return [_told(invoice) for page in pages for invoice in page]


def _billed(shop: Shop, contract: Contract) -> list[Told]:
    return [_told(each) for each in shop.invoices(contract) if each.invoice_number is not None]


def a_stub_a_credit_and_an_end(shop: Shop) -> Telling:
    """Boundaries on the 1st; rent 31.00 in advance, support 62.00 in arrears, 10 % tax on top.

    17 to 31 January are 15 of 31 days: rent 15.00 at once, support 30.00 on 1 February. A credit of
    200.00 takes 30 + 31 in February and 62 + 31 in March; 46.00 of it are left for April, beside a
    workshop of 12.50: 93 + 12.50 - 46 = 59.50. May 93.00. It ends on 16 May: 62 x 15 / 31 = 30.00.
    """
    rent = shop.fee("Rent", "31.00")
    support = shop.fee("Support", "62.00", term="in_arrears")
    plan = shop.plan(rent, support, billing_anchor=FIRST_OF_YEAR, default_tax_rate=10)
    contract = shop.subscribe(plan, ending_at=at("2025-05-16"), payment_term_days=14)
    line: Any = {"currency": "USD", "quantity": 1, "subscription_id": contract.id}
    shop.client.invoices_v2.create_line_item(display_name="Goodwill", unit_price=-200, **line)
    shop.client.invoices_v2.create_line_item(
        display_name="Workshop", unit_price=12.5, invoice_at=at("2025-03-20"), **line
    )
    projected = _projected(shop, contract)
    assert [told[1] for told in projected] == [
        "0.00 + 0.00 = 0.00",
        "0.00 + 0.00 = 0.00",
        "59.50 + 5.95 = 65.45",
        "93.00 + 9.30 = 102.30",
        "30.00 + 3.00 = 33.00",
    ]
    assert projected[2][3:5] == (at("2025-04-02"), at("2025-04-16"))
    yield LAST
    assert _billed(shop, contract)[1:] == projected


def a_start_to_come(shop: Shop) -> Telling:
    """Rent 31.00 from 5 March, 18:00: issued and due that day, since nothing late can come."""
    starts = at("2025-03-05T18:00")
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "31.00")), starts)
    projected = _projected(shop, contract)
    assert projected[0][3:5] == (starts, at("2025-03-05"))
    assert [told[0] for told in projected] == [0, 1, 2]
    yield LAST
    assert _billed(shop, contract) == projected


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
