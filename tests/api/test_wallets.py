"""What customers have paid ahead, seen and given back by an operator."""

import asyncio
from typing import Any

import httpx2
import pytest

from tests.api.in_process import InProcess, Shop, accepted
from tests.api.test_usage_events import Legacy

Client = httpx2.AsyncClient


class Purse(Legacy):
    """25.00 on the wallet of a customer of a version 0 plan."""

    def __init__(self, shop: Shop, client: Client, commands: InProcess, operator: Client) -> None:
        super().__init__(shop, client, commands)
        self.operator = operator

    @property
    def path(self) -> str:
        return f"/internal/v1/customers/{self.customer}/wallet"

    async def funds(self) -> list[Any]:
        found: list[Any] = accepted(await self.operator.get(self.path))["funds"]
        return found

    async def pay_out(self, amount: str, key: str = "one", **members: str) -> httpx2.Response:
        body = {
            "currency": "USD", "amount": amount, "reason": "Transfer 7", "idempotencyKey": key,
        }  # fmt: skip
        return await self.operator.post(f"{self.path}/payouts", json=body | members)


@pytest.fixture
async def purse(shop: Shop, living: Client, commands: InProcess, operator: Client) -> Purse:
    opened = Purse(shop, living, commands, operator)
    await opened.open()
    return opened


async def test_the_rest_is_given_back_when_everything_has_ended(purse: Purse) -> None:
    """25.00 less a use of 5.50; the subscription ends, 19.50 stay the customer's and go back."""
    accepted(await purse.use())
    path = f"/v0/subscriptions/{purse.subscription}/termination"
    accepted(await purse.client.post(path, json={"reason": "Enough"}))
    assert await purse.funds() == [{"currency": "USD", "available": "19.5", "reserved": "0"}]
    paid = accepted(await purse.pay_out("19.50"))
    assert (paid["amount"], paid["reason"]) == ("19.50", "Transfer 7")
    assert await purse.funds() == [{"currency": "USD", "available": "0", "reserved": "0"}]
    listed = accepted(await purse.operator.get(f"{purse.path}/payouts"))["data"]
    assert listed == [paid]


async def test_what_is_held_is_not_given_back(purse: Purse) -> None:
    """A hold of 10 calls keeps 5.50: 19.50 are free, and not a cent more."""
    await purse.hold(10)
    assert await purse.funds() == [{"currency": "USD", "available": "19.5", "reserved": "5.5"}]
    refused = await purse.pay_out("19.51")
    assert (refused.status_code, refused.json()["code"]) == (400, "INSUFFICIENT_FUNDS")
    accepted(await purse.pay_out("19.50"))


async def test_a_key_pays_out_once(purse: Purse) -> None:
    """Five requests at once are one payout of 4.00; the key with another amount is refused."""
    answers = await asyncio.gather(*(purse.pay_out("4.00") for _ in range(5)))
    assert len({accepted(each)["id"] for each in answers}) == 1
    assert (await purse.pay_out("5.00")).status_code == 409
    accepted(await purse.pay_out("5.00", key="two"))
    assert (await purse.funds())[0]["available"] == "16"


async def test_payouts_at_once_never_exceed_the_wallet(purse: Purse) -> None:
    answers = await asyncio.gather(*(purse.pay_out("10.00", key=f"{n}") for n in range(4)))
    assert sorted(each.status_code for each in answers) == [201, 201, 400, 400]
    assert (await purse.funds())[0]["available"] == "5"


@pytest.mark.parametrize(
    "members", [{"amount": "0"}, {"amount": "-1"}, {"amount": "1.001"}, {"reason": ""}]
)
async def test_what_cannot_be_paid_is_refused(purse: Purse, members: dict[str, str]) -> None:
    refused = await purse.pay_out(**{"amount": "1.00"} | members)
    assert refused.status_code == 400
    assert (await purse.funds())[0]["available"] == "25"


async def test_an_unknown_customer_has_no_wallet(operator: Client) -> None:
    answer = await operator.get("/internal/v1/customers/cus_0/wallet")
    assert answer.status_code == 404
