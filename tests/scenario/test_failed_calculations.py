"""An invoice that cannot be calculated fails alone, says so, and is billed once it can be."""

from datetime import UTC, datetime
from decimal import Decimal

import httpx2
import pytest
from paygentic_sdk import errors

from activities.organizations import CreateMerchant, OrganizationActivities
from models.database import Database
from tests.scenario.conftest import Addresses, durabill
from tests.scenario.shop import Contract, Shop, at

OPENED = datetime(2025, 5, 1, tzinfo=UTC)
BOUNDARY = at("2025-06-01")
SECOND = at("2025-07-01")


@pytest.fixture
async def shop(addresses: Addresses) -> Shop:
    """A shop of this story's own, whose clock may be told of failures."""
    database = Database(addresses["databaseUrl"])
    organizations = OrganizationActivities(database)
    merchant = await organizations.create_merchant(CreateMerchant("Failing"))
    await organizations.change_merchant(merchant.merchant_id, {"grace_period": "PT0S"})
    await database.close()
    return Shop(addresses, merchant, OPENED)


def _shown(shop: Shop, contract: Contract) -> list[tuple[str, str | None, str]]:
    return [
        (str(each.status), each.failure_reason, each.grand_total)
        for each in shop.invoices(contract)
    ]


def _refused(shop: Shop, instant: datetime) -> httpx2.Response:
    """An advance that brings not everybody on."""
    answer = shop.http.patch(
        f"/v0/testClocks/{shop.clock_id}", json={"currentTime": instant.isoformat()}, timeout=120
    )
    assert answer.status_code == 500, answer.text
    return answer


async def test_a_value_beyond_all_books_holds_up_nobody_else(
    addresses: Addresses, shop: Shop
) -> None:
    """10^19 a unit, and an event says 10 000 000 units by mistake: 10^26 fits into no ledger.

    Until it is voided, May is FAILED and June waits behind it, while another customer's 5.00 are
    issued and every list answers. Then May owes its other 3 units, 3 x 10^19, and June 2 x 10^19.
    """
    dear = shop.meter("Dear", "10000000000000000000")
    failing = shop.subscribe(shop.plan(dear))
    units = shop.meter("Units", "1")
    other = shop.subscribe(shop.plan(units))
    shop.use(other, units, 5)
    shop.use(failing, dear, 3)
    mistake = shop.use(failing, dear, 10_000_000)
    shop.use(failing, dear, 2, "2025-06-10")
    assert _shown(shop, failing) == [("ACTIVE", "CALCULATION_FAILED", "0.00")]
    assert shop.client.invoices_v2.list(request={}).pagination.total == 2

    told = _refused(shop, BOUNDARY).json()
    assert told["code"] == "CLOCK_MEMBER_FAILED"
    may, _june = shop.invoices(failing)
    assert told["details"] == {
        f"invoice-close/{failing.id}/0": f"{may.id} cannot be calculated: The amount is too large"
    }
    assert _shown(shop, failing)[0] == ("FAILED", "CALCULATION_FAILED", "0.00")
    assert _shown(shop, other)[0] == ("ISSUED", None, "5.00")
    failed = shop.client.invoices_v2.list(request={"status": "FAILED"})
    assert [each.id for each in failed.data] == [may.id]
    assert shop.client.invoices_v2.list(request={"status": "CLOSING"}).data == []
    lines = shop.client.invoices_v2.list_line_items(request={"subscription_id": failing.id})
    assert [line.period_start for line in lines.data] == [BOUNDARY]

    _refused(shop, SECOND)
    assert [status for status, _, _ in _shown(shop, failing)] == ["FAILED", "CLOSING", "ACTIVE"]

    shop.void(mistake)
    shop.advance(at("2025-07-02"))
    assert _shown(shop, failing) == [
        ("ISSUED", None, "30000000000000000000.00"),
        ("ISSUED", None, "20000000000000000000.00"),
        ("ACTIVE", None, "0.00"),
    ]
    proof = durabill(addresses, "reconcile")
    assert proof.returncode == 0, proof.stdout + proof.stderr


def test_a_line_that_no_invoice_could_bear_is_refused(shop: Shop) -> None:
    """10^19 x 10 has 21 digits; 10^19 has 20 and is billed."""
    contract = shop.subscribe(shop.plan(shop.meter("Units", "1")))

    def write(quantity: float) -> str:
        made = shop.client.invoices_v2.create_line_item(
            display_name="Dear", currency="USD", quantity=quantity, unit_price=1e19,
            subscription_id=contract.id,
        )  # fmt: skip
        return str(made.subtotal)

    for wrong in (10, 1e19):
        with pytest.raises(errors.BadRequest, match="unitPrice"):
            write(wrong)
    assert Decimal(write(1)) == Decimal(10) ** 19
