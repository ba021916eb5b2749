"""Tales of beginnings: in the future, in the past with and without what went before, or twice.

The shop opens on 15 June 2025. Late usage is not waited for here.
"""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from paygentic_sdk import errors

from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2025-06-15")
GRACE = "PT0S"
BOUNDARY = at("2025-07-15")


def a_start_in_the_future(shop: Shop) -> Telling:
    """From 1 July, 30.00 in advance and 1.00 a unit: active at once, billed on 1 July.

    2 units used on 20 June are before the start and owed by nobody; 3 of July are in August's
    invoice. July: 30.00.
    """
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "30.00"), units), at("2025-07-01"))
    assert contract.first.status == "active"
    shop.use(contract, units, 2, "2025-06-20")
    shop.use(contract, units, 3, "2025-07-02")
    assert shop.bills(contract) == ["ACTIVE 30.00 + 0.00 = 30.00"]
    yield BOUNDARY
    assert shop.bills(contract) == ["ISSUED 30.00 + 0.00 = 30.00", "ACTIVE 33.00 + 0.00 = 33.00"]
    assert shop.windows(contract, 0) == {"Rent": (at("2025-07-01"), at("2025-08-01"))}


def a_start_in_the_future_by_usage(shop: Shop) -> Telling:
    """From 1 July by usage alone: an empty first invoice at the start, then July's on 1 August."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units), at("2025-07-01"))
    yield BOUNDARY
    shop.use(contract, units, 4)
    assert shop.bills(contract) == ["PAID 0.00 + 0.00 = 0.00", "ACTIVE 4.00 + 0.00 = 4.00"]


def a_start_in_the_future_in_a_stub(shop: Shop) -> Telling:
    """From 1 July, boundaries on the 16th: 15 of the 30 days from 16 June: 30.00 / 2 = 15.00."""
    plan = shop.plan(shop.fee("Rent", "30.00"), billing_anchor=at("2025-01-16"))
    contract = shop.subscribe(plan, at("2025-07-01"))
    yield BOUNDARY
    assert shop.bills(contract)[0] == "ISSUED 15.00 + 0.00 = 15.00"
    assert shop.windows(contract, 0)["Rent"] == (at("2025-07-01"), at("2025-07-16"))


def a_start_in_the_past_without_what_went_before(shop: Shop) -> Telling:
    """From 1 April, bought on 15 June: April and May are nobody's, June's 30.00 fell due before.

    Billed is what falls due from now on: on 1 July all 5 units of June, the ones of 10 June too,
    and July's 30.00: 35.00. The 7 units of May stay unbilled.
    """
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "30.00"), units), at("2025-04-01"))
    assert contract.first.status == "active"
    assert contract.first.billing_starts_at == OPENED
    shop.use(contract, units, 7, "2025-05-10")
    shop.use(contract, units, 2, "2025-06-10")
    shop.use(contract, units, 3, "2025-06-20")
    yield BOUNDARY
    assert shop.bills(contract)[0] == "ISSUED 35.00 + 0.00 = 35.00"
    assert shop.windows(contract, 0) == {
        "Units": (at("2025-06-01"), at("2025-07-01")),
        "Rent": (at("2025-07-01"), at("2025-08-01")),
    }


def a_start_in_the_past_on_a_boundary(shop: Shop) -> Telling:
    """From 15 April, bought on 15 June: that boundary falls due now, the one of May does not.

    2 units since 15 May and the rent until 15 July: 32.00, to be paid first. On 15 July: 3 units
    and the next rent, 33.00. The 7 units before 15 May stay unbilled.
    """
    units = shop.meter("Units", "1")
    plan, customer_id = shop.plan(shop.fee("Rent", "30.00"), units), shop.customer()
    for amount, day in ((7, "05-10"), (2, "06-10"), (3, "06-20")):
        shop.report(customer_id, units, amount, at(f"2025-{day}"))
    contract = shop.subscribe(plan, at("2025-04-15"), customer_id=customer_id)
    assert contract.first.status == "pending_payment"
    assert contract.first.billing_starts_at == OPENED
    yield at("2025-07-16")
    assert shop.bills(contract)[:2] == [
        "PAID 32.00 + 0.00 = 32.00",
        "ISSUED 33.00 + 0.00 = 33.00",
    ]


def a_start_in_the_past_with_what_went_before(shop: Shop) -> Telling:
    """From 1 April, bought on 15 June, `per_period`: three fees of 30.00 on one first invoice.

    The boundaries 1 April, 1 May and 1 June have passed: 90.00 in advance, and 10.00 in arrears
    for April and for May: 110.00, to be paid first. On 1 July: 30.00 + 10.00 for June = 40.00.
    """
    ahead, behind = shop.fee("Ahead", "30.00"), shop.fee("Behind", "10.00", term="in_arrears")
    plan = shop.plan(ahead, behind)
    contract = shop.subscribe(plan, at("2025-04-01"), elapsed_period_billing="per_period")
    assert contract.first.status == "pending_payment"
    assert shop.bills(contract)[0] == "PAID 110.00 + 0.00 = 110.00"
    assert len(shop.lines(contract, 0)) == 5
    yield BOUNDARY
    assert shop.bills(contract)[1] == "ISSUED 40.00 + 0.00 = 40.00"


def what_went_before_is_what_was_billed_in_time(shop: Shop) -> Telling:
    """Two subscriptions from the opening, one bought 40 days later: the same lines, then as ever.

    Weeks of 7.00, quarters of 91.00 and years of 366.00, ahead and behind, from 31 December 2023.
    On 15 June 3 weeks begin by the 30th, 15 of the quarter's 91 days are left and 199 of the
    year's 365: 21.00 + 15.00 + 199.5452… = 235.55. On 30 June 4 weeks and a quarter are ahead, 2
    weeks and 15 days behind: 28.00 + 91.00 + 14.00 + 15.00 = 148.00. At once: 383.5452….
    """
    fees = [
        shop.fee(f"{every} {term}", amount, every=every, term=term)
        for every, amount in (("P7D", "7.00"), ("P3M", "91.00"), ("P1Y", "366.00"))
        for term in ("in_advance", "in_arrears")
    ]
    plan = shop.plan(*fees, billing_anchor=at("2023-12-31"))
    in_time = shop.subscribe(plan)
    yield OPENED + timedelta(days=40)
    later = shop.subscribe(plan, OPENED, elapsed_period_billing="per_period")
    assert [bill.split()[1] for bill in shop.bills(in_time)[:2]] == ["235.55", "148.00"]
    assert shop.bills(later)[0] == "PAID 383.55 + 0.00 = 383.55"
    assert _lines(shop, later) == _lines(shop, in_time)
    yield OPENED + timedelta(days=100)
    assert _lines(shop, later) == _lines(shop, in_time)


def _lines(shop: Shop, contract: Contract) -> list[tuple[str, datetime | None, str]]:
    """What was billed for when, whichever invoice it stands on."""
    return sorted(
        (line.invoice_display_name, line.period_start, line.total_price)
        for invoice in shop.invoices(contract)
        if invoice.status != "ACTIVE"
        for line in shop.lines(contract, invoice.sequence_number)
    )


def usage_that_went_before(shop: Shop) -> Telling:
    """The customer used 3 in April and 4 in May before he bought, `per_period`: 7.00 at once.

    2 of June wait for 1 July.
    """
    units = shop.meter("Units", "1")
    customer = shop.customer()
    for day, amount in (("04-10", 3), ("05-10", 4), ("06-10", 2)):
        shop.report(customer, units, amount, at(f"2025-{day}"))
    plan = shop.plan(units)
    contract = shop.subscribe(
        plan, at("2025-04-01"), customer_id=customer, elapsed_period_billing="per_period"
    )
    assert shop.bills(contract) == ["PAID 7.00 + 0.00 = 7.00", "ACTIVE 2.00 + 0.00 = 2.00"]
    yield BOUNDARY
    assert shop.bills(contract)[1] == "ISSUED 2.00 + 0.00 = 2.00"


def a_stub_that_went_before(shop: Shop) -> Telling:
    """From 11 May, boundaries on the 1st, `per_period`: 21 of May's 31 days and all of June.

    31.00 x 21 / 31 = 21.00, and 31.00: 52.00.
    """
    plan = shop.plan(shop.fee("Rent", "31.00"), billing_anchor=at("2025-01-01"))
    contract = shop.subscribe(plan, at("2025-05-11"), elapsed_period_billing="per_period")
    assert shop.bills(contract)[0] == "PAID 52.00 + 0.00 = 52.00"
    yield OPENED


def a_day_back_is_not_backdated(shop: Shop) -> Telling:
    """24 hours back is a normal start: its 30.00 are due. A minute more, and they are not."""
    plan = shop.plan(shop.fee("Rent", "30.00"))
    near = shop.subscribe(plan, OPENED - timedelta(hours=24), pays=False)
    far = shop.subscribe(plan, OPENED - timedelta(hours=24, minutes=1))
    assert near.first.status == "pending_payment"
    assert shop.bills(near) == ["ISSUED 30.00 + 0.00 = 30.00"]
    assert far.first.status == "active"
    assert shop.windows(far, 0)["Rent"][0] == at("2025-07-13T23:59")
    yield OPENED


def twelve_months_back_and_no_more(shop: Shop) -> Telling:
    """From 15 June 2024, `per_period`: thirteen fees of 1.00 are due, today's too. A day more: 400.

    The whole invoice is 13.00.
    """
    plan = shop.plan(shop.fee("Rent", "1.00"))
    contract = shop.subscribe(plan, at("2024-06-15"), elapsed_period_billing="per_period")
    assert shop.bills(contract)[0] == "PAID 13.00 + 0.00 = 13.00"
    with pytest.raises(errors.PaygenticError) as refused:
        shop.subscribe(plan, at("2024-06-14"), elapsed_period_billing="per_period")
    assert refused.value.status_code == 400
    yield OPENED


def years_ago_in_another_system(shop: Shop) -> Telling:
    """From 20 March 2021, whose periods another system billed: only the present one counts.

    The year that runs ends on 20 March 2026; the month, which has a rent of 30.00 in arrears, on
    20 June: 30.00, and 4 units of 1 June, although they are older than the purchase.
    """
    units, rent = shop.meter("Units", "1"), shop.fee("Rent", "30.00", term="in_arrears")
    yearly = shop.fee("Support", "365.00", every="P1Y")
    contract = shop.subscribe(shop.plan(units, rent, yearly), at("2021-03-20"))
    assert contract.first.status == "active"
    shop.use(contract, units, 4, "2025-06-01")
    yield BOUNDARY
    assert shop.bills(contract)[0] == "ISSUED 34.00 + 0.00 = 34.00"
    assert shop.windows(contract, 0)["Rent"] == (at("2025-05-20"), at("2025-06-20"))
    planned = shop.client.invoices_v2.list_projected_invoices(
        subscription_id=contract.id, from_=shop.now, to=at("2026-03-21"), limit=100
    )
    assert planned.data[-1].grand_total == "395.00"


def subscribed_twice(shop: Shop) -> Telling:
    """The same customer and plan again is the first subscription, and one fee of 30.00."""
    plan = shop.plan(shop.fee("Rent", "30.00"))
    contract = shop.subscribe(plan)
    again = shop.subscribe(plan, customer_id=contract.customer_id)
    assert again.id == contract.id
    assert shop.bills(contract)[0] == "PAID 30.00 + 0.00 = 30.00"
    assert len(shop.invoices(contract)) == 2
    yield OPENED


def a_free_start_owes_nothing(shop: Shop) -> Telling:
    """A fee of 0.00 in advance: active at once, invoice 0 is PAID; then usage as ever."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(shop.fee("Free", "0"), units))
    assert contract.first.status == "active"
    shop.use(contract, units, 6)
    yield BOUNDARY
    assert shop.bills(contract)[:2] == ["PAID 0.00 + 0.00 = 0.00", "ISSUED 6.00 + 0.00 = 6.00"]


def two_plans_of_one_customer(shop: Shop) -> Telling:
    """Events say whose they are, not of which plan: each metric is billed where it is priced.

    4 x 1.00 in one plan, 5 x 2.00 in the other.
    """
    one, two = shop.meter("One", "1"), shop.meter("Two", "2")
    first = shop.subscribe(shop.plan(one))
    second = shop.subscribe(shop.plan(two), customer_id=first.customer_id)
    shop.use(first, one, 4)
    shop.use(first, two, 5)
    yield BOUNDARY
    assert [shop.bills(each)[0].split(" = ")[1] for each in (first, second)] == ["4.00", "10.00"]


def days_until_it_is_due(shop: Shop) -> Telling:
    """Issued on 15 July 00:00, due 30 days later at midnight: 14 August."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units), payment_term_days=30)
    shop.use(contract, units, 1)
    yield BOUNDARY
    invoice = shop.invoices(contract)[0]
    assert (invoice.issued_at, invoice.due_at) == (BOUNDARY, at("2025-08-14"))
    assert Decimal(invoice.unpaid_amount) == 1


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
