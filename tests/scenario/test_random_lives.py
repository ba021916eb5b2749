"""Random subscriptions, through the official client, held to an oracle that shares no code.

Each life is a seed: prices of all models and cadences, stubs, taxes, currencies, late usage, deals,
pauses, versions, other plans and ends. Every invoice is compared, the open one too: line by line,
and by its exact sums where a deal or a credit changes lines.
"""

from collections import Counter
from datetime import datetime, timedelta
from fractions import Fraction
from functools import cache

import pytest

from tests.scenario.acted import Catalogue, Sold, lines
from tests.scenario.dice import AGGREGATIONS, Dice
from tests.scenario.oracle import Bill, Line, Oracle
from tests.scenario.shop import Shop, at
from tests.scenario.stage import Playbill, Tale, Telling, perform

OPENED = at("2025-01-31")
GRACE = "PT24H"
SEEDS = range(14)
STOPS = tuple(
    at(day) for day in ("2025-02-10", "2025-02-28", "2025-03-11T07:00", "2025-03-31", "2025-04-23")
)
CLOSED = at("2025-06-10")
CLOSE = Fraction(1, 10**12)
"""What is divided has sixty digits in the product, and no end in fractions."""


def _tale(seed: int) -> Tale:
    def life(shop: Shop) -> Telling:
        told = Dice(seed).told(OPENED, (*STOPS, CLOSED), timedelta(hours=24))
        sold = Sold(_catalogue(shop), told)
        sold.tell(OPENED)
        for stop in STOPS:
            yield stop
            sold.tell(stop)
        yield CLOSED
        _compare(shop, sold, Oracle(told, shop.now).bills())

    life.__name__ = f"life {seed}"
    return life


def _compare(shop: Shop, sold: Sold, bills: list[Bill]) -> None:
    invoices = shop.invoices(sold.contract)
    assert len(invoices) == len(bills)
    for invoice, bill in zip(invoices, bills, strict=True):
        found = lines(shop, invoice.id)
        if not bill.is_cut and not sold.life.deals:
            assert _by_name(found) == _by_name(bill.lines), invoice.sequence_number
        billed = sum(each.price for each in found), sum(each.tax for each in found)
        for said, due in zip(billed, bill.exact(), strict=True):
            assert abs(said - due) < CLOSE, invoice.sequence_number
        owed = Fraction(invoice.subtotal), Fraction(invoice.total_tax)
        assert owed == bill.due(sold.life), invoice.sequence_number


def _by_name(lines: list[Line]) -> Counter[tuple[str, datetime, datetime, int, int]]:
    """Lines as they can be compared: amounts in billionths."""
    return Counter(
        (each.name, *each.span, round(each.price * 10**9), round(each.tax * 10**9))
        for each in lines
    )


@cache
def _catalogue(shop: Shop) -> Catalogue:
    return Catalogue(shop, AGGREGATIONS)


TALES = [_tale(seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def playbill(shop: Shop) -> Playbill:
    """How the lives ended."""
    return perform(shop, TALES)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_life_is_billed_as_it_is_worked_out(seed: int, playbill: Playbill) -> None:
    playbill.tell(TALES[seed])


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
