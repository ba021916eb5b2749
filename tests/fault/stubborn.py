"""A client that does not give up: it repeats what may be repeated, as its merchant would."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

import httpx
import httpx2
import psycopg
from paygentic_sdk.errors import NoResponseError, PaygenticDefaultError, PaygenticError

from activities.gateways.port import GatewayCharge, GatewayUnavailable
from local.story import Catalogue, Numbers, Story, checkout_url

T = TypeVar("T")

PATIENCE_SECONDS = 90
PAUSE_SECONDS = 0.2
START = datetime(2026, 1, 31, 9, tzinfo=UTC)
EVENTS = 5
TOKENS = 400
PAYING_CARD = "4242424242424242"
# Its first charge of each invoice succeeds, but the answer is lost.
LOSES_ANSWER_CARD = "4000009000000029"
# What a client sees of a server, a provider or a database that is only coming back.
_AWAY = (
    httpx.HTTPError,
    httpx2.HTTPError,
    NoResponseError,
    GatewayUnavailable,
    psycopg.OperationalError,
)


def stubbornly(call: Callable[[], T]) -> T:
    """The call's answer, once the servers are back; a refusal (4xx) is not repeated."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return call()
        except _AWAY:
            _pause(deadline)
        except (PaygenticDefaultError, PaygenticError) as error:
            if error.status_code < 500:
                raise
            _pause(deadline)


def _pause(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError("The servers did not come back")
    time.sleep(PAUSE_SECONDS)


@dataclass(frozen=True, kw_only=True)
class Effects:
    """What a story left behind, without ids: equal stories leave equal effects."""

    invoices: list[tuple[int, str, str, str | None]]
    charges: list[list[tuple[str, Decimal]]]
    balances: dict[str, Decimal]
    events: int


class StubbornStory:
    """Two paid months and a termination, told against servers that die."""

    def __init__(self, addresses: dict[str, str], card: str = PAYING_CARD) -> None:
        self._addresses = addresses
        self._card = card
        self.story = Story(addresses, Numbers(events=EVENTS), lambda _step: None)

    def tell(self, before_step: Callable[[], None] = lambda: None) -> str:
        """Runs the story; `before_step` is called before everything that may be disturbed."""
        story = self.story
        catalogue = story.set_up_catalogue()
        clock_id = story.create_clock()
        customer_id = story.create_customer()
        before_step()
        subscription_id = self._subscribe(catalogue, customer_id, clock_id)
        self._use(customer_id, START + timedelta(days=1), "first")
        for instant in (
            datetime(2026, 3, 1, 9, tzinfo=UTC),
            datetime(2026, 4, 2, tzinfo=UTC),
        ):
            before_step()
            self._advance(clock_id, instant)
            self._use(customer_id, instant - timedelta(hours=20), f"until-{instant:%m}")
        before_step()
        self._terminate(subscription_id)
        self._advance(clock_id, datetime(2026, 4, 5, tzinfo=UTC))
        return subscription_id

    def _subscribe(self, catalogue: Catalogue, customer_id: str, clock_id: str) -> str:
        subscription = stubbornly(lambda: self.story.subscribe(catalogue, customer_id, clock_id))
        page = checkout_url(subscription)
        stubbornly(lambda: self._pay(page))
        stubbornly(lambda: self.story.await_status(subscription.id, "active"))
        return subscription.id

    def _pay(self, page: str) -> None:
        """Pays until the page says so; a page that could not charge says to try again."""
        with httpx2.Client(timeout=60) as browser:
            form = {"cardNumber": self._card, "expiry": "12/40", "cvc": "123"}
            answer = browser.post(page, data=form)
        if answer.status_code >= 500:
            raise httpx2.TransportError(f"the page answered {answer.status_code}")

    def _use(self, customer_id: str, first: datetime, prefix: str) -> None:
        stubbornly(
            lambda: self.story.use_tokens(
                customer_id, [TOKENS] * EVENTS, first=first, prefix=prefix
            )
        )

    def _advance(self, clock_id: str, instant: datetime) -> None:
        """The same target again joins the advance under way, or finds it done."""
        stubbornly(lambda: self.story.advance(clock_id, instant))

    def _terminate(self, subscription_id: str) -> None:
        def terminate() -> None:
            if self.story.client.subscriptions.get(id=subscription_id).status != "terminated":
                self.story.terminate(subscription_id)

        stubbornly(terminate)

    def effects(self, subscription_id: str, book: list[GatewayCharge]) -> Effects:
        """Reads what the story left."""
        invoices = self.story.invoices(subscription_id)
        charges: list[list[tuple[str, Decimal]]] = [
            [(charge.status, charge.amount) for charge in book if charge.invoice_id == invoice.id]
            for invoice in invoices
        ]
        with psycopg.connect(self._addresses["databaseUrl"]) as connection:
            balances = connection.execute(
                "SELECT a.kind, sum(e.amount) FROM ledger_entries e "
                "JOIN ledger_accounts a ON a.id = e.account_id "
                "WHERE e.merchant_id = %s GROUP BY a.kind",
                [self.story.merchant_id],
            ).fetchall()
            events = connection.execute(
                "SELECT count(*) FROM usage_events WHERE merchant_id = %s",
                [self.story.merchant_id],
            ).fetchone()
        return Effects(
            invoices=[
                (each.sequence_number, str(each.status), each.grand_total, str(each.issued_at))
                for each in invoices
            ],
            charges=charges,
            balances=dict(balances),
            events=0 if events is None else events[0],
        )
