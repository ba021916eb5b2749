"""Happy paths of giving money back: a paid invoice is refunded whole, and the refund is voided."""

from collections.abc import Callable

from local.story import checkout_url
from tests.contract.world import World


def _paid_invoice(world: World) -> str:
    pending = world.subscribe(world.catalogue, world.a_customer(), world.clock_id)
    world.pay(checkout_url(pending))
    world.await_status(pending.id, "active")
    return world.invoices(pending.id)[0].id


def create_invoice_refund(world: World) -> tuple[str, str]:
    """Of a paid first invoice."""
    invoice_id = _paid_invoice(world)
    refund = world.client.invoices_v2.create_invoice_refund(id=invoice_id, reason="Too slow")
    assert refund.id.startswith("crn_")
    return invoice_id, refund.id


def list_invoice_refunds(world: World) -> None:
    """Finds it."""
    invoice_id, refund_id = create_invoice_refund(world)
    listed = world.client.invoices_v2.list_invoice_refunds(id=invoice_id)
    assert [refund.id for refund in listed.data] == [refund_id]


def void_invoice_refund(world: World) -> None:
    """Takes it back at once: the provider's confirmation is waited for."""
    invoice_id, refund_id = create_invoice_refund(world)
    voided = world.client.invoices_v2.void_invoice_refund(
        id=invoice_id, refund_id=refund_id, reason="Agreed otherwise"
    )
    assert voided.status == "VOIDED"


CASES: dict[str, Callable[[World], object]] = {
    "createInvoiceRefund": create_invoice_refund,
    "listInvoiceRefunds": list_invoice_refunds,
    "voidInvoiceRefund": void_invoice_refund,
}
