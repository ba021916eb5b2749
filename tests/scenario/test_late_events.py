"""Tales of usage that comes late, is voided or corrected, at each state of its invoice.

May is billed on 1 June; until 2 June late usage still counts, then May's invoice is issued, and
what comes after that is a line of June's invoice, issued on 2 July.
"""

from datetime import datetime
from decimal import Decimal

from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2025-05-01")
BOUNDARY = at("2025-06-01")
IN_GRACE = at("2025-06-01T12:00")
ISSUED = at("2025-06-02")
NEXT_ISSUED = at("2025-07-02")
IN_MAY = "2025-05-10"


def _late(shop: Shop, contract: Contract, number: int) -> list[str]:
    """The corrections on an invoice: how much more was used, and what it costs."""
    return [
        f"{line.quantity:+g} for {Decimal(line.total_price):f}"
        for line in shop.lines(contract, number)
        if line.invoice_display_name.endswith("(late usage)")
    ]


def _billed(shop: Shop, contract: Contract, *numbers: int) -> list[str]:
    invoices = shop.invoices(contract)
    return [f"{invoices[number].status} {invoices[number].subtotal}" for number in numbers]


def reported_while_the_month_runs(shop: Shop) -> Telling:
    """On 20 May 5 units of 3 May and 2 of 25 May, still to come: 7.00."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))
    yield at("2025-05-20")
    shop.use(contract, units, 5, "2025-05-03")
    shop.use(contract, units, 2, "2025-05-25")
    yield ISSUED
    assert _billed(shop, contract, 0) == ["ISSUED 7.00"]


def reported_in_grace(shop: Shop) -> Telling:
    """On 1 June, 12:00: 4 units of 31 May and 8 of that hour. May 4.00, June 8.00."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))
    yield IN_GRACE
    shop.use(contract, units, 4, "2025-05-31T23:59:59")
    shop.use(contract, units, 8, IN_GRACE)
    assert _billed(shop, contract, 0, 1) == ["CLOSING 4.00", "ACTIVE 8.00"]
    yield ISSUED
    assert _billed(shop, contract, 0, 1) == ["ISSUED 4.00", "ACTIVE 8.00"]


def reported_after_the_issue(shop: Shop) -> Telling:
    """The first 10 at 1.00, then 0.50. May has 10: 10.00. On 2 June 10 more of May come.

    20 would have been 10 + 10 x 0.5 = 15.00: June owes the 5.00 that are missing, and 3.00 of its
    own 3 units: 8.00. Read by itself, the late usage would have cost 10.00.
    """
    units = shop.tiered("Units", "graduated", ("10", "1"), (None, "0.5"))
    contract = shop.subscribe(shop.plan(units))
    shop.use(contract, units, 10, IN_MAY)
    yield ISSUED
    shop.use(contract, units, 10, IN_MAY)
    shop.use(contract, units, 3, "2025-06-10")
    yield NEXT_ISSUED
    assert _billed(shop, contract, 0, 1) == ["ISSUED 10.00", "ISSUED 8.00"]
    assert _late(shop, contract, 1) == ["+10 for 5"]


def late_usage_that_makes_a_month_cheaper(shop: Shop) -> Telling:
    """100 units at 5.00 are 500.00; one more, and all 101 cost 3.00: 303.00.

    June gives 197.00 back and owes a fee of 200.00: 3.00.
    """
    units = shop.tiered("Units", "volume", ("100", "5"), (None, "3"))
    fee = shop.fee("Rent", "200.00", term="in_arrears")
    contract = shop.subscribe(shop.plan(units, fee))
    shop.use(contract, units, 100, IN_MAY)
    yield ISSUED
    shop.use(contract, units, 1, IN_MAY)
    yield NEXT_ISSUED
    assert _billed(shop, contract, 0, 1) == ["ISSUED 700.00", "ISSUED 3.00"]
    assert _late(shop, contract, 1) == ["+1 for -197"]


def what_cannot_be_given_back_at_once(shop: Shop) -> Telling:
    """The same 197.00, and a fee of 100.00: June owes 0.00 and carries 97.00, July owes 3.00."""
    units = shop.tiered("Units", "volume", ("100", "5"), (None, "3"))
    fee = shop.fee("Rent", "100.00", term="in_arrears")
    contract = shop.subscribe(shop.plan(units, fee))
    shop.use(contract, units, 100, IN_MAY)
    yield ISSUED
    shop.use(contract, units, 1, IN_MAY)
    yield at("2025-08-02")
    assert _billed(shop, contract, 0, 1, 2) == ["ISSUED 600.00", "PAID 0.00", "ISSUED 3.00"]


def voided_before_the_boundary_and_in_grace(shop: Shop) -> Telling:
    """1 + 2 + 4 units; the 2 are voided on 20 May, the 4 in grace: 1.00."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))
    _kept, early, late = (shop.use(contract, units, amount, IN_MAY) for amount in (1, 2, 4))
    yield at("2025-05-20")
    shop.void(early)
    assert _billed(shop, contract, 0) == ["ACTIVE 5.00"]
    yield IN_GRACE
    shop.void(late)
    yield ISSUED
    assert _billed(shop, contract, 0) == ["ISSUED 1.00"]


def voided_after_the_issue(shop: Shop) -> Telling:
    """7 units are billed with 10 % tax: 7.00 + 0.70. 4 are voided: June 6 - 4, 2.00 + 0.20."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units, default_tax_rate=10))
    shop.use(contract, units, 3, IN_MAY)
    wrong = shop.use(contract, units, 4, IN_MAY)
    yield ISSUED
    shop.void(wrong)
    shop.use(contract, units, 6, "2025-06-10")
    yield NEXT_ISSUED
    assert shop.bills(contract)[:2] == ["ISSUED 7.00 + 0.70 = 7.70", "ISSUED 2.00 + 0.20 = 2.20"]


def voided_and_reported_again(shop: Shop) -> Telling:
    """40 should have been 4: voided and reported right after the issue: -40 + 4, 36.00 back.

    June has 50 units: 50 - 36 = 14.00.
    """
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))
    wrong = shop.use(contract, units, 40, IN_MAY)
    yield ISSUED
    shop.void(wrong)
    shop.use(contract, units, 4, IN_MAY)
    shop.use(contract, units, 50, "2025-06-10")
    yield NEXT_ISSUED
    assert _late(shop, contract, 1) == ["-36 for -36"]
    assert _billed(shop, contract, 1) == ["ISSUED 14.00"]


def corrected_by_a_negative_event(shop: Shop) -> Telling:
    """10 and -4 are 6.00. Of another meter 3 and -5 are less than nothing: 0.00."""
    more, less = shop.meter("More", "1"), shop.meter("Less", "1")
    contract = shop.subscribe(shop.plan(more, less))
    for meter, amount in ((more, 10), (more, -4), (less, 3), (less, -5)):
        shop.use(contract, meter, amount, IN_MAY)
    yield ISSUED
    assert shop.charges(contract, 0) == {"More": 6, "Less": 0}


def corrected_after_the_issue(shop: Shop) -> Telling:
    """10.00 are billed; -4 comes on 2 June; June has 9 units: 9 - 4 = 5.00."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))
    shop.use(contract, units, 10, IN_MAY)
    yield ISSUED
    shop.use(contract, units, -4, IN_MAY)
    shop.use(contract, units, 9, "2025-06-10")
    yield NEXT_ISSUED
    assert _late(shop, contract, 1) == ["-4 for -4"]
    assert _billed(shop, contract, 1) == ["ISSUED 5.00"]


def a_meter_that_ignores_what_is_late(shop: Shop) -> Telling:
    """Its 5 units of May are billed, 7 that come after the issue are not: June 0.00."""
    units = shop.meter("Units", "1", of=shop.metric("Strict", lateUsage="ignore"))
    contract = shop.subscribe(shop.plan(units))
    shop.use(contract, units, 5, IN_MAY)
    yield ISSUED
    shop.use(contract, units, 7, IN_MAY)
    yield NEXT_ISSUED
    assert _billed(shop, contract, 0, 1) == ["ISSUED 5.00", "PAID 0.00"]


def the_same_event_again_after_the_issue(shop: Shop) -> Telling:
    """5 units under one key: sent in May, again in May, and again on 2 June: 5.00 and no more."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))

    def send(when: datetime) -> None:
        shop.client.events.ingest(
            request={
                "type": units.event_type,
                "source": "story",
                "subject": contract.customer_id,
                "data": {"amount": 5},
                "timestamp": when,
                "idempotency_key": "the-same-event-again",
            }
        )

    send(at(IN_MAY))
    send(at(IN_MAY))
    yield ISSUED
    send(at(IN_MAY))
    yield NEXT_ISSUED
    assert _billed(shop, contract, 0, 1) == ["ISSUED 5.00", "PAID 0.00"]


def late_readings_of_a_maximum(shop: Shop) -> Telling:
    """MAX 5 is billed; a late 3 changes nothing, a late 9 owes 4.00 more."""
    small = shop.meter("Small", "1", aggregation="MAX")
    great = shop.meter("Great", "1", aggregation="MAX")
    contract = shop.subscribe(shop.plan(small, great))
    shop.use(contract, small, 5, IN_MAY)
    shop.use(contract, great, 5, IN_MAY)
    yield ISSUED
    shop.use(contract, small, 3, IN_MAY)
    shop.use(contract, great, 9, IN_MAY)
    yield NEXT_ISSUED
    assert _billed(shop, contract, 0, 1) == ["ISSUED 10.00", "ISSUED 4.00"]
    assert _late(shop, contract, 1) == ["+4 for 4"]


def late_usage_within_a_least_charge(shop: Shop) -> Telling:
    """3 %, at least 1.00: 20 owe 1.00. 80 more make 3.00: 2.00 are missing."""
    share = {"percentage": "0.03", "minCharge": "1", "maxCharge": "50"}
    units = shop.meter("Share", model="percentage", properties=share)
    contract = shop.subscribe(shop.plan(units))
    shop.use(contract, units, 20, IN_MAY)
    yield ISSUED
    shop.use(contract, units, 80, IN_MAY)
    yield NEXT_ISSUED
    # June's own least charge is owed for nothing used.
    assert _billed(shop, contract, 0, 1) == ["ISSUED 1.00", "ISSUED 3.00"]
    assert _late(shop, contract, 1) == ["+80 for 2"]


def late_usage_in_a_package_that_is_paid(shop: Shop) -> Telling:
    """95 of 100 units are one package, 7.00; 5 more fill it for nothing, a 6th starts another."""
    sold = {"packageSize": "100", "unitPrice": "7"}
    full = shop.meter("Full", model="package", properties=sold)
    over = shop.meter("Over", model="package", properties=sold)
    contract = shop.subscribe(shop.plan(full, over))
    shop.use(contract, full, 95, IN_MAY)
    shop.use(contract, over, 95, IN_MAY)
    yield ISSUED
    shop.use(contract, full, 5, IN_MAY)
    shop.use(contract, over, 6, IN_MAY)
    yield NEXT_ISSUED
    assert _billed(shop, contract, 0, 1) == ["ISSUED 14.00", "ISSUED 7.00"]
    assert sorted(_late(shop, contract, 1)) == ["+5 for 0", "+6 for 7"]


def late_usage_is_taxed_like_its_month(shop: Shop) -> Telling:
    """May at 10 %, then the customer's rate is 20 %: 10 late units 10.00 + 1.00.

    June's own 10 units: 10.00 + 2.00. Together 20.00 + 3.00.
    """
    units = shop.meter("Units", "1")
    customer = shop.customer(tax_rates={"default": 10})
    contract = shop.subscribe(shop.plan(units), customer_id=customer)
    shop.use(contract, units, 1, IN_MAY)
    yield ISSUED
    shop.client.customers.update(id=customer, tax_rates={"default": 20})
    shop.use(contract, units, 10, IN_MAY)
    shop.use(contract, units, 10, "2025-06-10")
    yield NEXT_ISSUED
    assert shop.bills(contract)[1] == "ISSUED 20.00 + 3.00 = 23.00"


def late_usage_costs_what_its_month_cost(shop: Shop) -> Telling:
    """May at 1.00 a unit, June at 2.00: 3 late units 3.00, June's own 4 units 8.00."""
    metric = shop.metric("Units")
    old, new = (shop.meter(f"At {price}", price, of=metric) for price in ("1", "2"))
    plan = shop.plan(keyed={"units": old})
    contract = shop.subscribe(plan)
    shop.use(contract, old, 1, IN_MAY)
    yield at("2025-05-20")
    shop.mint(plan, units=new)
    yield ISSUED
    shop.use(contract, old, 3, IN_MAY)
    shop.use(contract, old, 4, "2025-06-10")
    yield NEXT_ISSUED
    assert _billed(shop, contract, 0, 1) == ["ISSUED 1.00", "ISSUED 11.00"]
    assert _late(shop, contract, 1) == ["+3 for 3"]


def late_usage_comes_in_two_waves(shop: Shop) -> Telling:
    """The first 10 at 1.00, then 0.50. May 8: 8.00. In June 4 more: 2 + 2 x 0.5 = 3.00 missing.

    In July 6 more, 18 in all: 10 + 8 x 0.5 = 14.00, of which 11.00 are billed: 3.00.
    """
    units = shop.tiered("Units", "graduated", ("10", "1"), (None, "0.5"))
    contract = shop.subscribe(shop.plan(units))
    shop.use(contract, units, 8, IN_MAY)
    yield ISSUED
    shop.use(contract, units, 4, IN_MAY)
    yield NEXT_ISSUED
    shop.use(contract, units, 6, IN_MAY)
    yield at("2025-08-02")
    assert _billed(shop, contract, 0, 1, 2) == ["ISSUED 8.00", "ISSUED 3.00", "ISSUED 3.00"]


def after_a_termination_grace_still_counts(shop: Shop) -> Telling:
    """Terminated on 20 May, issued on 21 May: 5 units of before, 2 of them told late: 5.00."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))
    shop.use(contract, units, 3, IN_MAY)
    yield at("2025-05-20")
    shop.terminate(contract)
    shop.use(contract, units, 2, IN_MAY)
    shop.use(contract, units, 9, "2025-05-20T00:00:00")
    yield IN_GRACE
    assert shop.bills(contract) == ["ISSUED 5.00 + 0.00 = 5.00"]


def usage_of_a_customer_not_yet_named(shop: Shop) -> Telling:
    """5 units of the external subject `acme-7`, which the customer is called afterwards: 5.00."""
    units = shop.meter("Units", "1")
    contract = shop.subscribe(shop.plan(units))
    shop.client.events.ingest(
        request={
            "type": units.event_type,
            "source": "story",
            "external_subject": "acme-7",
            "data": {"amount": 5},
            "timestamp": at(IN_MAY),
            "idempotency_key": "before-the-name",
        }
    )
    assert _billed(shop, contract, 0) == ["ACTIVE 0.00"]
    shop.client.customers.update(id=contract.customer_id, external_id="acme-7")
    yield ISSUED
    assert _billed(shop, contract, 0) == ["ISSUED 5.00"]


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
