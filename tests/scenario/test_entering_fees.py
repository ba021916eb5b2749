"""Tales of fees that a plan did not have before: what is owed of a cycle that runs already."""

from decimal import Decimal
from typing import Any

from tests.scenario.shop import Contract, Shop, at
from tests.scenario.stage import Playbill, Tale, Telling

OPENED = at("2026-01-01")
GRACE = "PT0S"
IMMEDIATE = {"effective_date": "immediate", "proration": "none"}


def _ask(shop: Shop, contract: Contract, what: str) -> None:
    answer = shop.http.post(f"/v0/subscriptions/{contract.id}/{what}")
    assert answer.is_success, answer.text


def _licence(shop: Shop, amount: str = "365.00") -> str:
    return shop.fee("Licence", amount, every="P1Y")


def _subtotals(shop: Shop, contract: Contract) -> list[str]:
    return [each.subtotal for each in shop.invoices(contract) if each.status != "ACTIVE"]


def with_a_version(shop: Shop) -> Telling:
    """A licence of 365.00 a year comes on 20 January: from 1 February 334 of 365 days, 334.00.

    Beside 31.00 a month; the projection knows it; then once in January 2027.
    """
    rent = shop.fee("Rent", "31.00")
    plan = shop.plan(keyed={"rent": rent})
    contract = shop.subscribe(plan)
    yield at("2026-01-20")
    shop.mint(plan, rent=rent, licence=_licence(shop))
    planned = shop.client.invoices_v2.list_projected_invoices(
        subscription_id=contract.id, from_=shop.now, to=at("2026-03-02")
    )
    assert [each.subtotal for each in planned.data] == ["365.00", "31.00"]
    yield at("2026-03-01")
    assert _subtotals(shop, contract) == ["31.00", "365.00", "31.00"]
    assert shop.windows(contract, 1)["Licence"] == (at("2026-02-01"), at("2027-01-01"))
    yield at("2027-01-01")
    assert _subtotals(shop, contract)[-2:] == ["31.00", "396.00"]


def with_an_immediate_version(shop: Shop) -> Telling:
    """The same where arrears follow at once: the licence still enters on 1 February."""
    rent = shop.fee("Rent", "31.00")
    plan = shop.plan(keyed={"rent": rent}, version_transition=IMMEDIATE)
    contract = shop.subscribe(plan)
    yield at("2026-01-20")
    shop.mint(plan, rent=rent, licence=_licence(shop))
    yield at("2026-03-01")
    assert _subtotals(shop, contract) == ["31.00", "365.00", "31.00"]


def a_dearer_licence_waits_for_its_year(shop: Shop) -> Telling:
    """The licence was paid for 2026; its new price is asked in January 2027."""
    rent = shop.fee("Rent", "31.00")
    plan = shop.plan(keyed={"rent": rent, "licence": _licence(shop)})
    contract = shop.subscribe(plan)
    yield at("2026-01-20")
    shop.mint(plan, rent=rent, licence=_licence(shop, "500.00"))
    yield at("2026-03-01")
    assert _subtotals(shop, contract) == ["396.00", "31.00", "31.00"]
    yield at("2027-01-01")
    assert _subtotals(shop, contract)[-1] == "531.00"


def with_a_version_during_a_pause(shop: Shop) -> Telling:
    """Paused on 11 January, the licence comes in February; resumed on 18 March.

    Of March 14 of 31 days are left, 14.00; of the year 289 of 365, 289.00. Nobody has paid the
    licence, though its year began before the pause.
    """
    rent = shop.fee("Rent", "31.00")
    plan = shop.plan(keyed={"rent": rent})
    contract = shop.subscribe(plan)
    yield at("2026-01-11")
    _ask(shop, contract, "pause")
    yield at("2026-02-10")
    shop.mint(plan, rent=rent, licence=_licence(shop))
    assert _subtotals(shop, contract) == ["31.00", "0.00"]
    yield at("2026-03-18")
    _ask(shop, contract, "resume")
    yield at("2026-04-01")
    assert shop.charges(contract, 2) == {"Rent": Decimal(14), "Licence": Decimal(289)}
    assert shop.charges(contract, 3) == {"Rent": Decimal(31)}


def with_a_version_before_a_short_pause(shop: Shop) -> Telling:
    """Minted on the 5th, paused on the 11th, resumed on the 21st: it enters on 1 February."""
    rent = shop.fee("Rent", "31.00")
    plan = shop.plan(keyed={"rent": rent})
    contract = shop.subscribe(plan)
    yield at("2026-01-05")
    shop.mint(plan, rent=rent, licence=_licence(shop))
    yield at("2026-01-11")
    _ask(shop, contract, "pause")
    yield at("2026-01-21")
    _ask(shop, contract, "resume")
    yield at("2026-02-01")
    assert _subtotals(shop, contract) == ["31.00", "0.00", "365.00"]


def terms_of_its_own_that_begin_in_a_pause(shop: Shop) -> Telling:
    """A licence of the subscription's own from 1 February, paused from 11 January to 18 March.

    289 of 365 days are left, 289.00, beside 14.00.
    """
    contract = shop.subscribe(shop.plan(keyed={"rent": shop.fee("Rent", "31.00")}))
    request: Any = {
        "add": [
            {
                "price_key": "licence", "price_id": _licence(shop, "1.00"), "unit_price": "365.00",
                "base_quantity": "1", "billing_cadence": "P1Y", "billing_mode": "advance",
                "start_date": at("2026-02-01"),
            }
        ]
    }  # fmt: skip
    shop.client.subscriptions.edit_subscription_intervals(
        id=contract.id, edit_subscription_intervals_request=request
    )
    yield at("2026-01-11")
    _ask(shop, contract, "pause")
    yield at("2026-03-18")
    _ask(shop, contract, "resume")
    yield at("2026-04-01")
    assert shop.charges(contract, 2) == {"Rent": Decimal(14), "Licence": Decimal(289)}
    assert shop.charges(contract, 3) == {"Rent": Decimal(31)}


def test_tale(tale: Tale, playbill: Playbill) -> None:
    playbill.tell(tale)


def test_the_books_agree(difference: str | None) -> None:
    assert difference is None
