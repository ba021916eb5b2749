"""Other plans for a subscription, as tales ask for them; it tells none."""

from typing import Any

import httpx2

from tests.scenario.shop import Contract, Shop


def asked(shop: Shop, contract: Contract, plan_id: str, **members: Any) -> httpx2.Response:
    """What the operator is answered who asks for another plan, now unless the members say when."""
    return shop.http.post(
        f"/internal/v1/subscriptions/{contract.id}/planChange",
        json={"planId": plan_id, "at": "now", **members},
        headers={"Authorization": f"Bearer {shop._admin_key}"},
    )


def changed(shop: Shop, contract: Contract, plan_id: str, **members: Any) -> Any:
    """The change, which was made, or only previewed."""
    answer = asked(shop, contract, plan_id, **members)
    assert answer.is_success, answer.text
    return answer.json()


def lines_of(change: Any) -> list[tuple[str, str]]:
    """What a change gives back and asks for, by name."""
    return [(each["displayName"], each["amount"]) for each in change["lines"]]


def closed(shop: Shop, contract: Contract) -> list[str]:
    """What each invoice comes to that is not open any more, without tax."""
    return [each.subtotal for each in shop.invoices(contract) if each.status != "ACTIVE"]


def posted(shop: Shop, contract: Contract, what: str, method: str = "POST", **body: Any) -> Any:
    """What a subscription's own route answers."""
    answer = shop.http.request(method, f"/v0/subscriptions/{contract.id}{what}", json=body)
    assert answer.is_success, answer.text
    return answer.json()
