"""Holds on a wallet: two-phase in the ledger, never beyond its funds, resolved once."""

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from activities.holds import ReservedItem
from activities.organizations import CreatedMerchant
from activities.reservations import (
    RESERVATION_LIFE,
    Consume,
    ReservationActivities,
    ReservationRef,
    Reserve,
    TopUp,
)
from activities.subscriptions import SubscriptionActivities
from billing.errors import Conflict, InsufficientFunds, InvalidValue
from models.database import Database
from models.queries import ledger, reservations
from tests.activity.rows import START, PlanShape, Shop, open_shop

# 100 tokens at 0.50, and 10 % tax on them.
HOLD = Decimal("55.0")


async def _shop(database: Database, merchant: CreatedMerchant, funds: str) -> Shop:
    shape = PlanShape(fee=None, unit_price="0.50", billing_version=0)
    shop = await open_shop(database, merchant.merchant_id, shape)
    await SubscriptionActivities(database).create_subscription(shop.subscription())
    for _ in range(2):
        await ReservationActivities(database).top_up(
            TopUp(
                merchant_id=shop.merchant_id,
                customer_id=shop.customer_id,
                currency="USD",
                top_up_id=f"top-up-{shop.customer_id}",
                amount=Decimal(funds),
                now=START,
            )
        )
    return shop


def _reserve(shop: Shop, quantity: int = 100, max_uses: int = 1) -> Reserve:
    return Reserve(
        merchant_id=shop.merchant_id,
        customer_id=shop.customer_id,
        items=[ReservedItem(billable_metric_id=shop.metric_id, quantity=Decimal(quantity))],
        max_uses=max_uses,
    )


def _ref(shop: Shop, reservation_id: str, now: datetime = START) -> ReservationRef:
    return ReservationRef(merchant_id=shop.merchant_id, reservation_id=reservation_id, now=now)


async def _wallet(database: Database, shop: Shop) -> Decimal:
    async with database.transaction() as session:
        return await ledger.wallet_balance(session, shop.merchant_id, shop.customer_id, "USD")


async def _state(database: Database, shop: Shop, reservation_id: str) -> str:
    async with database.transaction() as session:
        row = await reservations.get(session, shop.merchant_id, reservation_id)
        assert row is not None
        return row.status


async def test_a_hold_takes_its_cost_with_tax(
    database: Database, merchant: CreatedMerchant
) -> None:
    shop = await _shop(database, merchant, "100")
    await ReservationActivities(database).reserve(_reserve(shop))
    assert await _wallet(database, shop) == 100 - HOLD


async def test_held_funds_cannot_be_held_twice(
    database: Database, merchant: CreatedMerchant
) -> None:
    """A wallet of 100 covers one hold of 55, however many ask at once."""
    shop = await _shop(database, merchant, "100")
    activities = ReservationActivities(database)
    answers = await asyncio.gather(
        *(activities.reserve(_reserve(shop)) for _ in range(5)), return_exceptions=True
    )
    refused = [each for each in answers if isinstance(each, InsufficientFunds)]
    assert len(refused) == 4
    assert await _wallet(database, shop) == 100 - HOLD


async def test_release_gives_everything_back_once(
    database: Database, merchant: CreatedMerchant
) -> None:
    shop = await _shop(database, merchant, "100")
    activities = ReservationActivities(database)
    held = await activities.reserve(_reserve(shop))
    await activities.release(_ref(shop, held))
    assert await _wallet(database, shop) == 100
    with pytest.raises(Conflict):
        await activities.release(_ref(shop, held))
    assert await _wallet(database, shop) == 100


async def test_the_last_use_releases_the_rest(
    database: Database, merchant: CreatedMerchant
) -> None:
    """A hold of 55 for two uses: 11 and 22 are used, 22 come back."""
    shop = await _shop(database, merchant, "100")
    activities = ReservationActivities(database)
    held = await activities.reserve(_reserve(shop, max_uses=2))

    def use(use_id: str, price: str, tax: str) -> Consume:
        return Consume(
            merchant_id=shop.merchant_id,
            reservation_id=held,
            use_id=use_id,
            price=Decimal(price),
            tax=Decimal(tax),
            now=START,
        )

    for _ in range(2):
        await activities.consume(use("first", "10", "1"))
    assert await _state(database, shop, held) == "reserved"
    await activities.consume(use("second", "20", "2"))
    assert await _state(database, shop, held) == "consumed"
    assert await _wallet(database, shop) == 100 - 33
    with pytest.raises(Conflict):
        await activities.consume(use("third", "1", "0"))


async def test_a_use_beyond_the_hold_is_refused(
    database: Database, merchant: CreatedMerchant
) -> None:
    shop = await _shop(database, merchant, "100")
    activities = ReservationActivities(database)
    held = await activities.reserve(_reserve(shop))
    with pytest.raises(InvalidValue):
        await activities.consume(
            Consume(
                merchant_id=shop.merchant_id,
                reservation_id=held,
                use_id="big",
                price=Decimal(60),
                tax=Decimal(0),
                now=START,
            )
        )
    assert await _wallet(database, shop) == 100 - HOLD


async def test_expiry_gives_the_rest_back_once(
    database: Database, merchant: CreatedMerchant
) -> None:
    shop = await _shop(database, merchant, "100")
    activities = ReservationActivities(database)
    held = await activities.reserve(_reserve(shop))
    early = START + RESERVATION_LIFE - timedelta(seconds=1)
    await activities.expire_reservation(_ref(shop, held, early))
    assert await _state(database, shop, held) == "reserved"
    for _ in range(3):
        view = await activities.expire_reservation(_ref(shop, held, START + RESERVATION_LIFE))
    assert view.status == "expired"
    assert await _wallet(database, shop) == 100


async def test_an_empty_wallet_reserves_nothing(
    database: Database, merchant: CreatedMerchant
) -> None:
    shop = await _shop(database, merchant, "54.99")
    with pytest.raises(InsufficientFunds):
        await ReservationActivities(database).reserve(_reserve(shop))


async def test_without_a_pricing_subscription_nothing_is_reserved(
    database: Database, merchant: CreatedMerchant
) -> None:
    shape = PlanShape(fee=None, unit_price="0.50", billing_version=0)
    shop = await open_shop(database, merchant.merchant_id, shape)
    with pytest.raises(InvalidValue):
        await ReservationActivities(database).reserve(_reserve(shop))
