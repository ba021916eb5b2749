"""Users over HTTP: everybody is his own affair."""

from typing import Any

from activities.organizations import CreatedMerchant
from models.base import new_id
from models.database import Database
from models.organizations import User
from tests.api.in_process import Client, accepted


async def test_a_user_reads_and_changes_himself(client: Client, merchant: CreatedMerchant) -> None:
    path = f"/v0/users/{merchant.user_id}"
    user = accepted(await client.get(path))
    assert user["object"] == "user"
    assert user["oryId"]
    assert "@" in user["email"]
    assert user["organizations"][0]["id"] == merchant.merchant_id
    assert user["organizations"][0]["state"] == "active"
    changes = {
        "firstName": "Ada",
        "lastName": "Lovelace",
        "phone": "+44 1",
        "dateOfBirth": "1815-12-10",
        "address": {"country": "GB", "city": "London"},
        "type": "INDIVIDUAL",
    }
    changed = accepted(await client.patch(path, json=changes))
    assert {name: changed[name] for name in changes} == changes
    assert changed["oryId"] == user["oryId"]
    kept = accepted(await client.patch(path, json={"phone": "+44 2"}))
    assert (kept["firstName"], kept["phone"]) == ("Ada", "+44 2")
    assert accepted(await client.get(path)) == kept


async def test_wrong_changes_are_refused(client: Client, merchant: CreatedMerchant) -> None:
    wrong: list[dict[str, Any]] = [
        {"firstName": 1},
        {"firstName": None},
        {"dateOfBirth": "1815-13-01"},
        {"dateOfBirth": 5},
        {"type": "ROBOT"},
        {"address": {"planet": "Earth"}},
        {"email": "a@example.com"},
    ]
    for change in wrong:
        answer = await client.patch(f"/v0/users/{merchant.user_id}", json=change)
        assert answer.status_code == 400, change


async def test_nobody_else_is_shown(
    client: Client, merchant: CreatedMerchant, stranger: CreatedMerchant, database: Database
) -> None:
    colleague = User(id=new_id("usr"), merchant_id=merchant.merchant_id)
    async with database.transaction() as session:
        session.add(colleague)
    for user, status in ((colleague.id, 403), (stranger.user_id, 404), ("usr_1", 404)):
        assert (await client.get(f"/v0/users/{user}")).status_code == status
        change = await client.patch(f"/v0/users/{user}", json={"phone": "1"})
        assert change.status_code == status
