"""Tales of small print: values that are no numbers, twice a change in a day, a hundred lines.

May is billed on 1 June. Late usage is not waited for here.
"""

from datetime import timedelta
from decimal import Decimal

from tests.scenario.shop import Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2025-05-01T08:00")
GRACE = "PT0S"
BOUNDARY = at("2025-06-01T08:00")
SECOND = at("2025-07-01T08:00")
FIRST_OF_YEAR = at("2025-01-01")


def a_value_that_is_no_number_holds_up_nothing(shop: Shop) -> Telling:
    """5, then "many", then nothing at all, then 2: the invoice says 7.00."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))
    for amount in (5, "many", 2):
        shop.use(contract, units, amount)
    shop.client.events.ingest(
        request={
            "type": units.event_type,
            "source": "story",
            "subject": contract.customer_id,
            "data": {"something": "else"},
            "timestamp": at("2025-05-10"),
            "idempotency_key": "no-amount",
        }
    )
    yield BOUNDARY
    assert shop.bills(contract)[0] == "ISSUED 7.00 + 0.00 = 7.00"


def tenths_add_up(shop: Shop) -> Telling:
    """0.1 three times is 0.3, and 0.7 with 0.2 and "0.1" is 1.0: 10 x 1.3 = 13.00 exactly."""
    units = shop.meter("Units", "10")
    contract = shop.subscribe(shop.plan(units))
    for amount in (0.1, 0.1, 0.1, 0.7, 0.2, "0.1"):
        shop.use(contract, units, amount)
    yield BOUNDARY
    (line,) = shop.lines(contract, 0)
    assert (line.quantity, Decimal(line.total_price)) == (1.3, Decimal(13))
    assert shop.bills(contract)[0] == "ISSUED 13.00 + 0.00 = 13.00"


def two_versions_in_one_day(shop: Shop) -> Telling:
    """Rent 10.00, then 11.00 and 12.00 on the same day: June is billed once, at the last.

    Other engines stop here, or bill twice.
    """
    rents = [shop.fee("Rent", amount) for amount in ("10.00", "11.00", "12.00")]
    plan = shop.plan(keyed={"rent": rents[0]})
    contract = shop.subscribe(plan)
    shop.mint(plan, rent=rents[1])
    shop.mint(plan, rent=rents[2])
    yield BOUNDARY
    totals = [each.grand_total for each in shop.invoices(contract)]
    assert totals == ["10.00", "12.00", "12.00"]
    assert len(shop.lines(contract, 1)) == 1


def a_start_within_a_day_with_a_boundary_between(shop: Shop) -> Telling:
    """20 hours back, on 30 April, 12:00; boundaries on the 1st; not backdated, so all is due.

    Half a day of April: 30.00 x 0.5 / 30 = 0.50, and May's 30.00: 30.50 at once.
    """
    plan = shop.plan(shop.fee("Rent", "30.00"), billing_anchor=FIRST_OF_YEAR)
    contract = shop.subscribe(plan, OPENED - timedelta(hours=20))
    assert shop.bills(contract)[0] == "PAID 30.50 + 0.00 = 30.50"
    yield at("2025-06-01")
    assert shop.bills(contract)[1] == "ISSUED 30.00 + 0.00 = 30.00"


def an_end_before_the_first_payment(shop: Shop) -> Telling:
    """It was to end on 1 May, 10:00, and nobody has paid by then: CANCELLED, nothing is owed."""
    plan = shop.plan(shop.fee("Rent", "31.00"))
    contract = shop.subscribe(plan, pays=False, ending_at=at("2025-05-01T10:00"))
    yield BOUNDARY
    assert shop.bills(contract) == ["CANCELLED 31.00 + 0.00 = 31.00"]
    assert shop.client.subscriptions.get(id=contract.id).status == "terminated"


def none_of_a_fee(shop: Shop) -> Telling:
    """0 seats at 12.00: active at once, invoices of 0.00, each with its line."""
    contract = shop.subscribe(shop.plan(shop.fee("Seat", "12.00", quantity=0)))
    yield BOUNDARY
    assert shop.bills(contract)[:2] == ["PAID 0.00 + 0.00 = 0.00"] * 2
    assert [line.quantity for line in shop.lines(contract, 1)] == [0]


def a_hundred_lines(shop: Shop) -> Telling:
    """100 lines by hand of 0.01 to 1.00: 50.50, read page by page, each once."""
    contract = shop.subscribe(shop.plan(shop.meter("Units", "1")))
    for cents in range(1, 101):
        shop.client.invoices_v2.create_line_item(
            display_name=f"Line {cents}",
            currency="USD",
            quantity=1,
            unit_price=cents / 100,
            subscription_id=contract.id,
        )
    yield BOUNDARY
    invoice = shop.invoices(contract)[0]
    assert (invoice.grand_total, invoice.item_count) == ("50.50", 101)
    seen: list[str] = []
    token: str | None = None
    while True:
        page = shop.client.invoices_v2.get_line_items(id=invoice.id, limit=30, page_token=token)
        seen += [line.event_id for line in page.line_items]
        if not page.next_page_token:
            break
        token = str(page.next_page_token)
    assert (len(seen), len(set(seen))) == (101, 101)


def the_same_meter_before_and_after(shop: Shop) -> Telling:
    """Ended on 11 May and bought anew: usage belongs to whom it fell in, 3.00 and 4.00."""
    units = shop.meter("Units", "1")
    plan = shop.plan(units)
    contract = shop.subscribe(plan)
    shop.use(contract, units, 3, "2025-05-10T00:00:00")
    shop.use(contract, units, 4, "2025-05-12T00:00:00")
    yield at("2025-05-11")
    shop.terminate(contract)
    again = shop.subscribe(plan, customer_id=contract.customer_id)
    yield BOUNDARY
    assert shop.bills(contract) == ["ISSUED 3.00 + 0.00 = 3.00"]
    assert shop.bills(again) == ["ACTIVE 4.00 + 0.00 = 4.00"]


def what_is_shown_is_what_is_billed(shop: Shop) -> Telling:
    """A second before the boundary the open invoice shows what will be issued at it.

    1234 x 0.0321 = 39.6114, rent 29.99 and next month's 12.34 with 7.7 % tax: 81.9414, 81.94;
    6.3094878, 6.31; 88.25.
    """
    units = shop.meter("Units", "0.0321")
    rent = shop.fee("Rent", "29.99", term="in_arrears")
    plan = shop.plan(units, rent, shop.fee("Line", "12.34"), default_tax_rate=7.7)
    contract = shop.subscribe(plan)
    shop.use(contract, units, 1234)
    yield BOUNDARY - timedelta(seconds=1)
    assert shop.bills(contract)[1] == "ACTIVE 81.94 + 6.31 = 88.25"
    yield BOUNDARY
    assert shop.bills(contract)[1] == "ISSUED 81.94 + 6.31 = 88.25"


def usage_before_the_start_and_in_years_to_come(shop: Shop) -> Telling:
    """2 units of April are before the start, 9 of 2030 come in their time; May's 5 are owed."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))
    shop.use(contract, units, 2, "2025-04-10")
    shop.use(contract, units, 5, "2025-05-10")
    shop.use(contract, units, 9, "2030-05-10")
    yield BOUNDARY
    assert shop.bills(contract) == ["ISSUED 5.00 + 0.00 = 5.00", "ACTIVE 0.00 + 0.00 = 0.00"]


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
