"""The main job, end to end on real servers, every amount worked by hand."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg

from local.story import DECLINES_TWICE_CARD, Numbers, Story, checkout_url, token_amounts
from tests.scenario.conftest import Addresses, StoryMaker, durabill

START = datetime(2026, 1, 31, 9, tzinfo=UTC)


def _amounts(story: Story, subscription_id: str) -> list[tuple[int, str, str, str, str]]:
    return [
        (row.sequence_number, str(row.status), row.subtotal, row.total_tax, row.grand_total)
        for row in story.invoices(subscription_id)
    ]


def _balances(addresses: Addresses, merchant_id: str) -> dict[str, Decimal]:
    with psycopg.connect(addresses["databaseUrl"]) as connection:
        rows = connection.execute(
            "SELECT a.kind, sum(e.amount) FROM ledger_entries e "
            "JOIN ledger_accounts a ON a.id = e.account_id "
            "WHERE e.merchant_id = %s GROUP BY a.kind",
            [merchant_id],
        ).fetchall()
    return dict(rows)


def test_usage_in_paid_invoice_out(addresses: Addresses, tell_story: StoryMaker) -> None:
    """A fee of 49.00 in advance, 0.002 a token in arrears, 10 % tax on top.

    31 January: 49.00 + 4.90 = 53.90, paid on the hosted page.
    February: ten times the tokens 1 to 100 (50 500), 50 of the events sent twice, and 1 000 late
    tokens: 51 500 x 0.002 = 103.00, and March's fee of 49.00: 152.00 + 15.20 = 167.20.
    March: no usage, April's fee: 49.00 + 4.90 = 53.90; the card declines on 1 and 2 April.
    Terminated on 4 April without usage: a last invoice of 0.00.
    Revenue 49 + 152 + 49 = 250.00; tax 4.90 + 15.20 + 4.90 = 25.00.
    """
    story = tell_story(Numbers())
    catalogue = story.set_up_catalogue()
    clock_id = story.create_clock()
    customer_id = story.create_customer()
    subscription = story.subscribe(catalogue, customer_id, clock_id)
    assert subscription.status == "pending_payment"
    assert _amounts(story, subscription.id) == [(0, "ISSUED", "49.00", "4.90", "53.90")]

    page = story.pay(checkout_url(subscription))
    assert "paid" in page.lower()
    story.await_status(subscription.id, "active")

    tokens = token_amounts(1000)
    first_day = START + timedelta(days=1)
    story.use_tokens(customer_id, tokens, first=first_day, prefix="use")
    story.use_tokens(customer_id, tokens[:50], first=first_day, prefix="use")
    reading = story.client.billable_metrics.meter(
        id=catalogue.metric_id, from_=START, to=datetime(2026, 2, 28, 9, tzinfo=UTC)
    )
    assert reading.total_value == 50_500

    story.advance(clock_id, datetime(2026, 2, 28, 9, tzinfo=UTC))
    assert [row[1] for row in _amounts(story, subscription.id)] == ["PAID", "CLOSING", "ACTIVE"]
    story.use_tokens(customer_id, [1000], first=datetime(2026, 2, 27, 9, tzinfo=UTC), prefix="late")
    story.advance(clock_id, datetime(2026, 3, 1, 9, tzinfo=UTC))
    assert _amounts(story, subscription.id)[1] == (1, "PAID", "152.00", "15.20", "167.20")
    _check_february(story, subscription.id, catalogue.token_price_id, catalogue.fee_price_id)

    story.save_card(customer_id, DECLINES_TWICE_CARD)
    story.advance(clock_id, datetime(2026, 4, 1, 9, tzinfo=UTC))
    assert _amounts(story, subscription.id)[2] == (2, "ISSUED", "49.00", "4.90", "53.90")
    story.advance(clock_id, datetime(2026, 4, 2, 9, tzinfo=UTC))
    assert _amounts(story, subscription.id)[2][1] == "ISSUED"
    story.advance(clock_id, datetime(2026, 4, 4, 9, tzinfo=UTC))
    assert _amounts(story, subscription.id)[2][1] == "PAID"
    _check_charges(addresses, story.invoices(subscription.id)[2].id)

    assert story.terminate(subscription.id).status == "terminated"
    story.advance(clock_id, datetime(2026, 4, 6, tzinfo=UTC))
    assert _amounts(story, subscription.id)[3:] == [(3, "PAID", "0.00", "0.00", "0.00")]
    _check_books(addresses, story)


def _check_february(
    story: Story, subscription_id: str, token_price_id: str, fee_price_id: str
) -> None:
    invoice = story.invoices(subscription_id)[1]
    assert invoice.issued_at == datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert (invoice.period_start, invoice.period_end) == (
        START,
        datetime(2026, 3, 31, 9, tzinfo=UTC),
    )
    lines = {line.price_id: line for line in story.lines(invoice.id)}
    usage, fee = lines[token_price_id], lines[fee_price_id]
    assert (Decimal(usage.total_price), Decimal(usage.total_tax)) == (
        Decimal(103),
        Decimal("10.3"),
    )
    assert (usage.quantity, usage.tax_rate) == (51_500, 0.1)
    assert (usage.period_start, usage.period_end) == (
        START,
        datetime(2026, 2, 28, 9, tzinfo=UTC),
    )
    assert (Decimal(fee.total_price), fee.period_end) == (
        Decimal(49),
        datetime(2026, 3, 31, 9, tzinfo=UTC),
    )


def _check_charges(addresses: Addresses, invoice_id: str) -> None:
    """Two declines and one charge, in the provider's own book."""
    book = json.loads(durabill(addresses, "gateway", "charges", "--json").stdout)
    mine = [charge for charge in book if charge["invoiceId"] == invoice_id]
    assert [charge["status"] for charge in mine] == ["failed", "failed", "succeeded"]
    assert {charge["amount"] for charge in mine} == {"53.90"}


def _check_books(addresses: Addresses, story: Story) -> None:
    revenue = story.client.revenue.get(start_time=START, end_time=datetime(2026, 4, 7, tzinfo=UTC))
    assert revenue.net_revenue == "250.00"
    balances = _balances(addresses, story.merchant_id)
    assert balances == {
        "customer_receivable": Decimal(0),
        "processor_clearing": Decimal(275),
        "revenue": Decimal(-250),
        "tax_payable": Decimal(-25),
    }
    proof = durabill(addresses, "reconcile")
    assert proof.returncode == 0, proof.stdout + proof.stderr
