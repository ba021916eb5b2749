"""Random lives, lived by the real product through the official client; it judges nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tests.scenario.changing import changed, posted
from tests.scenario.lives import Act, Deal, Life, Price
from tests.scenario.oracle import Line
from tests.scenario.shop import Meter, Shop, price_of


def text(value: Fraction) -> str:
    """As a decimal of the wire."""
    return str(Decimal(value.numerator) / Decimal(value.denominator))


def key_of(name: str) -> str:
    """What a plan calls a line of this name."""
    return name.lower().replace(" ", "-")


class Catalogue:
    """What a shop sells: a metric for each way of reading, all of one type of event."""

    def __init__(self, shop: Shop, aggregations: tuple[str, ...]) -> None:
        self.shop = shop
        self.metrics = {way: shop.metric(way, way) for way in aggregations}

    def price(self, price: Price, plan_every: str) -> Meter | str:
        """The price as the catalogue has it."""
        options: dict[str, Any] = {}
        if price.reads is None:
            if price.obligation:
                options["is_obligation"] = True
            return self.shop.fee(
                price.name, text(price.unit), every=price.every,
                term="in_advance" if price.advance else "in_arrears",
                quantity=price.quantity, **options,
            )  # fmt: skip
        if price.every != plan_every:
            options["billingCadence"] = price.every
        return self.shop.meter(
            price.name, of=self.metrics[price.reads], model=price.model,
            properties=properties(price), **options,
        )  # fmt: skip


def properties(price: Price) -> dict[str, Any]:
    """What the model is told."""
    match price.model:
        case "standard":
            return {"unitPrice": text(price.unit)}
        case "package":
            return {"unitPrice": text(price.unit), "packageSize": text(price.size)}
        case "percentage":
            told = {"percentage": text(price.unit), "minCharge": text(price.least)}
            return told if price.most is None else told | {"maxCharge": text(price.most)}
    return {
        "tiers": [
            {
                "upTo": None if top is None else text(top),
                "unitPrice": text(unit),
                **({"flatAmount": text(flat)} if flat else {}),
            }
            for top, unit, flat in price.bands
        ]
    }


MEMBERS = {
    "percentageDiscount": "percentage_discount",
    "usageDiscount": "usage_discount",
    "minimumQuantity": "minimum_quantity",
    "maximumQuantity": "maximum_quantity",
}


def lines(shop: Shop, invoice_id: str) -> list[Line]:
    """An invoice's lines, as the oracle writes them; a correction of nothing is none."""
    found = shop.client.invoices_v2.get_line_items(id=invoice_id, limit=1000).line_items
    written = [
        Line(
            each.invoice_display_name,
            (each.period_start or shop.now, each.period_end or shop.now),
            Fraction(each.total_price),
            Fraction(each.total_tax),
        )
        for each in found
    ]
    return [each for each in written if each.price or not each.name.endswith("(late usage)")]


class Sold:
    """A life with its plan and its subscription."""

    def __init__(self, catalogue: Catalogue, life: Life) -> None:
        self.catalogue = catalogue
        self.shop = catalogue.shop
        self.life = life
        self.keyed: dict[str, Meter | str] = {}
        self.plan_id = self.plan(life.prices)
        self.customer_id = self.shop.customer()
        self.report(self.shop.now - timedelta(seconds=1))
        options: dict[str, Any] = {"ending_at": life.ends} if life.ends else {}
        if life.elapsed:
            options["elapsed_period_billing"] = "per_period"
        self.contract = self.shop.subscribe(
            self.plan_id, life.start, customer_id=self.customer_id, **options
        )

    def tell(self, at: datetime) -> None:
        """All that is told at an instant: late usage, then deals, then what happens."""
        self.report(at)
        for deal in self.life.deals:
            if deal.created == at:
                self.deal(deal)
        for act in self.life.acts:
            if act.at == at:
                self.act(act)

    def report(self, arrived: datetime) -> None:
        """Sends the events that arrive at an instant, in one batch."""
        batch = [
            {
                "type": self.catalogue.metrics[each.type][1],
                "source": "dice",
                "subject": self.customer_id,
                "data": {"amount": text(each.value)},
                "timestamp": each.when.isoformat(),
                "idempotencyKey": f"dice-{next(self.shop._numbers)}",
            }
            for each in self.life.events
            if each.arrived == arrived
        ]
        if batch:
            answer = self.shop.http.post("/v0/events/batch", json=batch)
            assert answer.is_success, answer.text
            assert '"error"' not in answer.text, answer.text

    def priced(self, prices: tuple[Price, ...]) -> dict[str, Meter | str]:
        """Prices in the catalogue, by key."""
        made = {key_of(each.name): self.catalogue.price(each, self.life.every) for each in prices}
        self.keyed = made | self.keyed
        return made

    def plan(self, prices: tuple[Price, ...]) -> str:
        """A plan of these prices."""
        life = self.life
        anchor = {} if life.anchor == life.start else {"billing_anchor": life.anchor}
        return self.shop.plan(
            keyed=self.priced(prices),
            currency=life.currency,
            billing_cadence=life.every,
            default_tax_rate=float(life.rate * 100),
            tax_behavior="inclusive" if life.inclusive else "exclusive",
            **anchor,
        )

    def act(self, act: Act) -> None:
        """Does what happens."""
        match act.what:
            case "pause" | "resume":
                posted(self.shop, self.contract, f"/{act.what}")
            case "end":
                self.shop.terminate(self.contract)
            case "end_at_period_end":
                posted(self.shop, self.contract, "/terminationAtPeriodEnd")
            case "mint":
                self.shop.mint(self.plan_id, **self.priced(act.prices))
            case "plan":
                self.plan_id = self.plan(act.prices)
                changed(self.shop, self.contract, self.plan_id)

    def deal(self, deal: Deal) -> None:
        """Writes an adjustment."""
        request: Any = {
            "type": deal.kind, MEMBERS[deal.kind]: text(deal.value), "effective_from": deal.since,
        }  # fmt: skip
        if deal.until:
            request["effective_to"] = deal.until
        if deal.target:
            request["target_price_ids"] = [price_of(self.keyed[key_of(deal.target)])]
        self.shop.client.subscriptions.create_subscription_adjustment(
            id=self.contract.id, create_subscription_adjustment_request=request
        )
