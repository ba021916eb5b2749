"""Happy paths of what lives: events, subscriptions, invoices, payments, test clocks."""

from collections.abc import Callable
from datetime import timedelta

import httpx
from paygentic_sdk.models import OutOfBandPaymentResult

from local.story import PAYING_CARD, checkout_url
from tests.contract.frozen import fresh
from tests.contract.world import SOON, START, World, ids

DECLINED_CARD = "4000000000000002"


def ingest_event(world: World) -> None:
    """One event."""
    world.use_tokens(world.customer_id, [1], first=SOON, prefix=fresh("contract-"))


def create_subscription(world: World) -> None:
    """A new one, and the same again."""
    created = world.a_subscription()
    again = world.client.subscriptions.create(
        name="Metered",
        plan_id=created.plan_id,
        customer_id=created.customer_id,
        started_at=START,
        test_clock_id=world.clock_id,
    )
    assert again.id == created.id


def list_subscriptions(world: World) -> None:
    """Finds the customer's."""
    listed = world.client.subscriptions.list(
        request={"customer_id": world.subscription.customer_id, "status": ["active"]}
    )
    assert ids(listed.data) == {world.subscription.id}


def get_subscription(world: World) -> None:
    """Reads it back."""
    got = world.client.subscriptions.get(id=world.subscription.id)
    assert got.status == "active"


def update_subscription(world: World) -> None:
    """Changes one, clears its reminder, and ends it."""
    owner = world.a_subscription()
    changed = world.client.subscriptions.update_subscription(
        id=owner.id,
        auto_charge=True,
        version_policy="pinned",
        renewal_reminder_days=None,
        ending_at=owner.started_at + timedelta(days=400),
    )
    assert (changed.auto_charge, changed.version_policy) == (True, "pinned")
    ended = world.client.subscriptions.update_subscription(
        id=owner.id, status="terminated", termination_reason="Enough"
    )
    assert (ended.status, ended.termination_reason) == ("terminated", "Enough")


def generate_portal_link(world: World) -> None:
    """For an hour, and without saying how long; the page is there."""
    generate = world.client.subscriptions.generate_portal_link
    owner = world.subscription.id
    for link in (generate(id=owner, expires_in="PT1H"), generate(id=owner)):
        assert httpx.get(link.url).status_code == 200


def terminate_subscription(world: World) -> None:
    """Ends one."""
    ended = world.client.subscriptions.terminate(id=world.a_subscription().id, reason="Enough")
    assert ended.status == "terminated"


def record_invoice_payment(world: World) -> None:
    """Pays a first invoice past the provider, after a new link."""
    pending = world.subscribe(world.catalogue, world.a_customer(), world.clock_id)
    invoice_id = world.invoices(pending.id)[0].id
    linked = world.client.invoices_v2.record_invoice_payment(id=invoice_id, method="hosted_link")
    assert linked.method == "hosted_link"
    paid = world.client.invoices_v2.record_invoice_payment(id=invoice_id, method="out_of_band")
    assert isinstance(paid, OutOfBandPaymentResult)
    assert paid.invoice.status == "PAID"


def retry_invoice_payment(world: World) -> None:
    """A first payment that was declined; the customer saves another card, and it is charged."""
    customer_id = world.a_customer()
    pending = world.subscribe(world.catalogue, customer_id, world.clock_id)
    world.pay(checkout_url(pending), DECLINED_CARD)
    world.save_card(customer_id, PAYING_CARD)
    invoice_id = world.invoices(pending.id)[0].id
    assert world.client.invoices_v2.retry_invoice_payment(id=invoice_id).success


def create_line_item(world: World) -> None:
    """A charge for the next invoice, and the same by its key, in the header."""
    owner, key = world.a_subscription(), fresh("line-")
    made = [
        world.client.invoices_v2.create_line_item(
            display_name="Set-up",
            currency="USD",
            quantity=2,
            unit_price=15.25,
            subscription_id=owner.id,
            idempotency_key_param=key,
        )
        for _time in range(2)
    ]
    assert made[0].id == made[1].id
    assert [each.status for each in world.exchanges[-2:]] == [201, 200]


def list_projected_invoices(world: World) -> None:
    """The fee of each of the coming months, with its tax."""
    listed = world.client.invoices_v2.list_projected_invoices(
        subscription_id=world.subscription.id,
        from_=START + timedelta(days=100),
        to=START + timedelta(days=200),
    )
    assert [each.grand_total for each in listed.data] == ["53.90"] * 3


def list_invoices(world: World) -> None:
    """Finds the subscription's."""
    assert world.invoice_id in {each.id for each in world.invoices(world.subscription.id)}


def get_invoice(world: World) -> None:
    """Reads the first back, and how its line was calculated."""
    read = world.client.invoices_v2.get(
        id=world.invoice_id, expand="lineItems,items,lineProvenance"
    )
    assert read.grand_total == "53.90"
    assert read.line_items
    assert read.line_items.items == []
    (line,) = read.line_items.line_items
    assert line.provenance
    assert line.provenance.status == "recorded"
    assert line.provenance.result
    assert line.provenance.result.amount == line.total_price


def download_invoice_pdf(world: World) -> None:
    """Reads the first as a document."""
    answer = world.client.invoices_v2.download_invoice_pdf(id=world.invoice_id)
    assert answer.read().startswith(b"%PDF-")


def get_invoice_line_items(world: World) -> None:
    """Sees its one line."""
    listed = world.client.invoices_v2.get_line_items(
        id=world.invoice_id, expand="items,lineProvenance"
    )
    assert [line.provenance and line.provenance.status for line in listed.line_items] == [
        "recorded"
    ]


def list_line_items(world: World) -> None:
    """Finds the subscription's lines across its invoices."""
    listed = world.client.invoices_v2.list_line_items(
        request={"subscription_id": world.subscription.id}
    )
    assert listed.data


def create_payment(world: World) -> str:
    """A payment link, and the same by its key."""
    key = fresh("payment-")
    created = [
        world.client.payments.create(
            amount="12.50",
            currency="USD",
            merchant_id=world.merchant_id,
            customer_id=world.customer_id,
            idempotency_key=key,
        )
        for _time in range(2)
    ]
    assert created[0].id == created[1].id
    assert [each.status for each in world.exchanges[-2:]] == [201, 200]
    return created[0].id


def list_payments(world: World) -> None:
    """Finds one."""
    created = create_payment(world)
    listed = world.client.payments.list(request={"customer_id": world.customer_id, "limit": 100})
    assert created in ids(listed.data)


def get_payment(world: World) -> None:
    """Reads one back."""
    created = create_payment(world)
    assert world.client.payments.get(id=created).id == created


def list_payment_sessions(world: World) -> None:
    """Finds the subscription's first."""
    listed = world.client.payment_sessions.list_payment_sessions(
        request={"subscription_id": world.subscription.id}
    )
    assert listed.data


def create_test_clock(world: World) -> str:
    """A clock of its own."""
    clock = world.client.test_clocks.create(
        name="Contract",
        description="Told by the suite",
        current_time=START,
        merchant_id=world.merchant_id,
    )
    return clock.id


def list_test_clocks(world: World) -> None:
    """Finds one."""
    created = create_test_clock(world)
    listed = world.client.test_clocks.list(request={"limit": 100})
    assert created in ids(listed.data)


def get_test_clock(world: World) -> None:
    """Reads one back."""
    assert world.client.test_clocks.get(id=create_test_clock(world)).current_time == START


def advance_test_clock(world: World) -> None:
    """A day, by its length."""
    advanced = world.client.test_clocks.advance(
        id=create_test_clock(world), request_body={"advance_by": "P1D"}
    )
    assert advanced.current_time == START + timedelta(days=1)


def delete_test_clock(world: World) -> None:
    """Deletes one."""
    assert world.client.test_clocks.delete(id=create_test_clock(world)).deleted_at is not None


CASES: dict[str, Callable[[World], object]] = {
    "ingestEvent": ingest_event,
    "createSubscription": create_subscription,
    "listSubscriptions": list_subscriptions,
    "getSubscription": get_subscription,
    "updateSubscription": update_subscription,
    "generatePortalLink": generate_portal_link,
    "terminateSubscription": terminate_subscription,
    "recordInvoicePayment": record_invoice_payment,
    "retryInvoicePayment": retry_invoice_payment,
    "createLineItem": create_line_item,
    "listProjectedInvoices": list_projected_invoices,
    "listInvoices": list_invoices,
    "getInvoice": get_invoice,
    "downloadInvoicePdf": download_invoice_pdf,
    "getInvoiceLineItems": get_invoice_line_items,
    "listLineItems": list_line_items,
    "createPayment": create_payment,
    "listPayments": list_payments,
    "getPayment": get_payment,
    "listPaymentSessions": list_payment_sessions,
    "createTestClock": create_test_clock,
    "listTestClocks": list_test_clocks,
    "getTestClock": get_test_clock,
    "advanceTestClock": advance_test_clock,
    "deleteTestClock": delete_test_clock,
}
