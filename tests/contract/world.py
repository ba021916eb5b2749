"""One merchant with one of everything, made through the official client when a test asks for it.

Every exchange of the client is kept, so that a test can look at the bytes beside the models.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Protocol

import httpx
from paygentic_sdk import Paygentic
from paygentic_sdk.models import PlanLineInput, Subscription

from local.story import Catalogue, Numbers, Story, checkout_url, token_amounts
from models.base import wall_now
from tests.contract.frozen import Exchange, fresh
from tests.scenario.conftest import durabill

START = datetime(2026, 1, 31, 9, tzinfo=UTC)
SOON = START + timedelta(days=1)
PERIOD_END = datetime(2026, 2, 28, 9, tzinfo=UTC)


class _Named(Protocol):
    id: str


def ids(rows: Iterable[_Named] | None) -> set[str]:
    """What a list holds; the client allows it to be null."""
    return {row.id for row in rows or ()}


class World(Story):
    """The merchant's objects; each is made once, by the first who needs it."""

    def __init__(self, addresses: dict[str, str]) -> None:
        super().__init__(addresses, Numbers(start=START, events=20), lambda _step: None)
        self.addresses = addresses
        self.user_id = addresses["userId"]
        self.exchanges: list[Exchange] = []
        self.client = self.client_with(addresses["apiKey"])

    def client_with(self, api_key: str) -> Paygentic:
        """The official client with this key, its exchanges kept."""
        browser = httpx.Client(event_hooks={"response": [self._keep]}, timeout=60)
        return Paygentic(server_url=self.addresses["apiUrl"], bearer_auth=api_key, client=browser)

    def _keep(self, response: httpx.Response) -> None:
        response.read()
        is_json = response.headers.get("content-type", "").startswith("application/json")
        body = response.json() if is_json and response.content else None
        request = response.request
        self.exchanges.append(
            Exchange(request.method, request.url.path, response.status_code, body)
        )

    @cached_property
    def stranger_id(self) -> str:
        """Another merchant of the same installation."""
        made = durabill(self.addresses, "merchant", "create", "--name", "Stranger", "--json")
        return str(json.loads(made.stdout)["merchantId"])

    @cached_property
    def catalogue(self) -> Catalogue:
        """A product, a metric, a feature, a fee, two prices and a plan."""
        return self.set_up_catalogue()

    @cached_property
    def feature_id(self) -> str:
        """The catalogue's feature."""
        listed = self.client.features.list(product_id=self.catalogue.product_id)
        return next(each.id for each in listed.data if each.key == "inference")

    @cached_property
    def fee_id(self) -> str:
        """The catalogue's fee."""
        return str(self.client.prices.get(id=self.catalogue.fee_price_id).fee_id)

    @cached_property
    def clock_id(self) -> str:
        """A clock at the start of the story."""
        return self.create_clock()

    @cached_property
    def customer_id(self) -> str:
        """The customer who holds the subscription."""
        return self.create_customer()

    @cached_property
    def subscription(self) -> Subscription:
        """A subscription whose first invoice was paid on the hosted page, and some usage."""
        pending = self.subscribe(self.catalogue, self.customer_id, self.clock_id)
        self.pay(checkout_url(pending))
        active = self.await_status(pending.id, "active")
        amounts = token_amounts(self.numbers.events)
        self.use_tokens(self.customer_id, amounts, first=SOON, prefix="use")
        return active

    @cached_property
    def invoice_id(self) -> str:
        """The paid first invoice."""
        return self.invoices(self.subscription.id)[0].id

    def a_customer(self) -> str:
        """A customer of the asking test's own."""
        return self.create_customer(fresh("Grace "))

    def a_subscription(self, *price_ids: str, on_clock: bool = True) -> Subscription:
        """A subscription of the asking test's own, to usage unless prices are named.

        Nothing of it is due in advance: it is active at once.
        """
        lines: list[PlanLineInput | str] = [*price_ids] or [self.catalogue.token_price_id]
        plan = self.client.plans.create(
            name=fresh("Metered "),
            currency="USD",
            merchant_id=self.merchant_id,
            product_id=self.catalogue.product_id,
            prices=lines,
            billing_cadence="P1M",
        )
        created = self.client.subscriptions.create(
            name="Metered",
            plan_id=plan.id,
            customer_id=self.a_customer(),
            started_at=START if on_clock else wall_now(),
            test_clock_id=self.clock_id if on_clock else None,
        )
        return self.await_status(created.id, "active")
