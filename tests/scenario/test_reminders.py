"""Tales of renewal reminders: each renewal is told once, and only what will come."""

from datetime import datetime

import psycopg

from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2026-01-01")
GRACE = "PT0S"
DAYS = ("2026-01-29", "2026-02-26", "2026-03-29")


def _told(shop: Shop, contract: Contract, kind: str = "renewal_reminder") -> list[datetime]:
    with psycopg.connect(shop._database_url) as connection:
        rows = connection.execute(
            "SELECT told_at FROM notifications WHERE subscription_id = %s AND kind = %s "
            "ORDER BY told_at",
            [contract.id, kind],
        ).fetchall()
    return [told_at for (told_at,) in rows]


def three_days_before_unless_the_plan_says_otherwise(shop: Shop) -> Telling:
    """Boundaries on the first of February, March and April; the second plan says seven days."""
    usual = shop.subscribe(shop.plan(shop.fee("Rent", "1.00")))
    early = shop.subscribe(shop.plan(shop.fee("Rent", "1.00"), renewal_reminder_days=7))
    silent = shop.subscribe(shop.plan(shop.fee("Rent", "1.00"), renewal_reminder_enabled=False))
    yield at("2026-01-28T23:59:59")
    assert _told(shop, usual) == []
    yield at("2026-04-01")
    assert _told(shop, usual) == [at(day) for day in DAYS]
    assert _told(shop, early) == [at("2026-01-25"), at("2026-02-22"), at("2026-03-25")]
    assert _told(shop, silent) == []


def the_subscription_beats_its_plan(shop: Shop) -> Telling:
    """Five days instead of three; then none; then, asked for on 30 March, at once."""
    contract = shop.subscribe(
        shop.plan(shop.fee("Rent", "1.00")), renewal_reminder_days=5, renewal_reminder_enabled=True
    )
    yield at("2026-02-01")
    change = shop.client.subscriptions.update_subscription
    change(id=contract.id, renewal_reminder_enabled=False)
    yield at("2026-03-30")
    change(id=contract.id, renewal_reminder_enabled=None, renewal_reminder_days=None)
    yield at("2026-04-01")
    assert _told(shop, contract) == [at("2026-01-27"), at("2026-03-30")]


def what_does_not_renew_is_not_told_of(shop: Shop) -> Telling:
    """One ends on 1 February, one is paused on the 20th of January."""
    plan = shop.plan(shop.fee("Rent", "1.00"))
    ending = shop.subscribe(plan, ending_at=at("2026-02-01"))
    paused = shop.subscribe(plan)
    yield at("2026-01-20")
    shop.http.post(f"/v0/subscriptions/{paused.id}/pause").raise_for_status()
    yield at("2026-02-15")
    assert (_told(shop, ending), _told(shop, paused)) == ([], [])
    shop.http.post(f"/v0/subscriptions/{paused.id}/resume").raise_for_status()
    yield at("2026-03-01")
    assert _told(shop, paused) == [at("2026-02-26")]


def a_customer_may_not_want_to_know(shop: Shop) -> Telling:
    """His notification settings say so."""
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "1.00")))
    wishes = {"notificationSettings": {"renewalReminder": False}}
    path = f"/v0/customers/{contract.customer_id}"
    shop.http.patch(path, json=wishes).raise_for_status()
    yield at("2026-02-01")
    assert _told(shop, contract) == []


def a_link_to_pay_is_told(shop: Shop) -> Telling:
    """Each new link is a notification of its own."""
    contract = shop.subscribe(shop.plan(shop.fee("Rent", "1.00")), pays=False)
    invoice = shop.invoices(contract)[0].id
    yield at("2026-01-01T01:00:00")
    for _ in range(2):
        shop.client.invoices_v2.record_invoice_payment(id=invoice, method="hosted_link")
    assert _told(shop, contract, "payment_link") == [at("2026-01-01T01:00:00")] * 2


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
