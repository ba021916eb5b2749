"""Random lives of subscriptions, the same for the same seed; it sells and judges nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

from tests.scenario.lives import Act, Band, Deal, Event, Life, Price

AGGREGATIONS = ("SUM", "COUNT", "AVG", "MIN", "MAX", "LATEST", "UNIQUE_COUNT")
MODELS = ("standard", "volume", "graduated", "package", "percentage")
CADENCES = ("P1W", "P1M", "P1M", "P1M", "P3M", "P1Y")
PLANS = ("P1M", "P1M", "P3M", "P1Y")
RATES = ("0.004", "0.01", "0.125", "1", "2.5", "7.77")
FEES = ("0", "9.99", "10", "31", "100", "0.333")
ACTS = ("pause", "pause", "mint", "plan", "plan", "end", "end_at_period_end")
AFTER_PAUSE = ("resume", "resume", "resume", "end")
DEALS = ("percentageDiscount", "usageDiscount", "minimumQuantity", "maximumQuantity")
ACTING = 0.4
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
# Late usage is looked for longer than this, whatever the cadence.
LOOKED_BACK = 60 * DAY


class Dice:
    """All chance of one seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def pick(self, *of: Any) -> Any:
        """One of these."""
        return self.random.choice(of)

    def money(self, of: tuple[str, ...]) -> Fraction:
        """An amount of a catalogue."""
        return Fraction(Decimal(self.random.choice(of)))

    def bands(self, *, flat: bool) -> tuple[Band, ...]:
        """Two or three bands."""
        tops = [Fraction(5), Fraction(20), None][self.random.randrange(2) :]
        return tuple(
            (top, self.money(RATES), self.money(FEES) if flat else Fraction(0)) for top in tops
        )

    def meter(self, name: str, aggregation: str, plan_every: str) -> Price:
        """A metered price."""
        every = self.pick(plan_every, plan_every, *CADENCES)
        price: dict[str, Any] = {
            "name": name,
            "every": every,
            "reads": aggregation,
            "type": aggregation,
            "unit": self.money(RATES),
        }
        model = self.pick(*MODELS)
        if model == "percentage":
            price |= {"unit": Fraction(3, 100), "least": self.money(("0", "1", "0.5"))}
            price["most"] = Fraction(self.pick(50, 1000))
        if model in {"volume", "graduated"}:
            price["bands"] = self.bands(flat=self.random.random() < 0.5)
        if model == "package":
            price["size"] = Fraction(self.pick(1, 3, 10))
        return Price(model=model, **price)

    def fee(self, name: str, plan_every: str) -> Price:
        """A fee."""
        every = self.pick(plan_every, plan_every, "P0D", *CADENCES)
        return Price(
            name=name,
            every=every,
            unit=self.money(FEES),
            advance=self.random.random() < 0.5,
            quantity=self.pick(1, 1, 0, 3, 7),
            obligation=every != "P0D" and self.random.random() < 0.15,
        )

    def anchor(self, now: datetime) -> datetime | None:
        """A plan's anchor, or none."""
        if self.random.random() < 0.5:
            return None
        year = now.year - self.pick(1, 2)
        return datetime.fromisoformat(
            f"{year}-{self.pick('01-29', '01-30', '01-31', '03-15', '12-31', '05-01')}"
            f"T{self.pick('00:00', '00:00', '13:37:05')}+00:00"
        )

    def start(self, now: datetime) -> datetime:
        """When billing begins."""
        shift = self.pick(0, 0, 0, -0.5, -1, 3, 17, -20, -45, -100, -200)
        return now + timedelta(days=shift, seconds=self.pick(0, 0, 1, 12345))

    def life(self, now: datetime, anchor: datetime | None, every: str) -> Life:
        """A subscription that is bought now; its events are still to come."""
        start = min(self.start(now), now + 20 * DAY)
        ways = self.random.sample(AGGREGATIONS, self.random.randrange(4))
        prices = [self.meter(f"M{index} {way}", way, every) for index, way in enumerate(ways)]
        prices += [self.fee(f"F{index}", every) for index in range(self.random.randrange(4))]
        prices = prices or [self.fee("Only", every)]
        rate = Fraction(Decimal(self.pick("0", "0", "0.19", "0.08875", "0.1")))
        return Life(
            start=start, created=now, anchor=anchor or start, every=every,
            prices=tuple(prices), rate=rate,
            elapsed=now > start and self.random.random() < 0.5,
            ends=self.pick(None, None, start + timedelta(days=self.pick(10, 31, 59, 80, 100)))
            if start >= now else None,
            currency=self.pick("USD", "USD", "JPY", "KWD"),
            inclusive=self.random.random() < 0.3,
        )  # fmt: skip

    def uses(self, life: Life, types: list[str], until: datetime, arrived: datetime) -> list[Event]:
        """Events up to an instant, all reported at one."""
        since = life.start - 3 * DAY
        found: dict[tuple[datetime, str], Event] = {}
        for _ in range(self.random.randrange(25)):
            when = since + (until - since) * self.random.random()
            when = when.replace(microsecond=0)
            value = Fraction(Decimal(self.pick("0", "1", "2", "2", "0.5", "4.25", "13", "100")))
            kind = self.pick(*types)
            found[when, kind] = Event(when, kind, value, arrived)
        return list(found.values())

    def another(self, prices: tuple[Price, ...], every: str) -> tuple[Price, ...]:
        """The lines of a plan's next version: other amounts, perhaps a line less or more."""
        kept = [each for each in prices if each.every != every or self.random.random() < 0.85]
        found = [
            replace(each, unit=self.money(FEES)) if each.reads is None
            else replace(self.meter(each.name, str(each.reads), every), every=each.every)
            for each in kept
        ]  # fmt: skip
        if self.random.random() < 0.3 or not found:
            found.append(self.fee(f"N{self.random.randrange(10**6)}", every))
        return tuple(found)

    def acts(self, life: Life, stops: Sequence[datetime]) -> tuple[Act, ...]:
        """What happens to a subscription at the stops of the clock."""
        found: list[Act] = []
        for stop in stops:
            is_running = life.start < stop and (life.ends is None or stop < life.ends)
            if not is_running or self.random.random() > ACTING:
                continue
            what = self.pick(*(AFTER_PAUSE if found and found[-1].what == "pause" else ACTS))
            if what == "plan" and life.ends is not None:
                continue
            had = found[-1].prices if found else life.prices
            if what == "mint":
                had = self.another(had, life.every)
            if what == "plan":
                had = self.other_plan(stop.strftime("%m%d"), life.every)
            found.append(Act(stop, what, had))
            if what.startswith("end"):
                break
        return tuple(found)

    def other_plan(self, mark: str, every: str) -> tuple[Price, ...]:
        """The lines of another plan, by names that no other one has."""
        ways = self.random.sample(AGGREGATIONS, self.random.randrange(3))
        meters = [self.meter(f"P{mark} {way}", way, every) for way in ways]
        return (*meters, *(self.fee(f"Q{mark} {n}", every) for n in range(self.pick(1, 2))))

    def deals(self, life: Life, stops: Sequence[datetime]) -> tuple[Deal, ...]:
        """Adjustments, written when the subscription is bought; a discount also at a stop."""
        found = []
        for _ in range(self.random.randrange(3)):
            kind = self.pick(*DEALS)
            since = life.start + timedelta(days=self.pick(0, 0, 10.5, 31, 45))
            until = self.pick(None, since + timedelta(days=self.pick(7, 20.25, 31, 60)))
            if kind == "percentageDiscount":
                last = [each.at for each in life.acts if each.what.startswith("end")]
                open_until = min([*last, *([life.ends] if life.ends else [])], default=stops[-1])
                created = self.pick(life.created, *(each for each in stops if each < open_until))
                value, target = Fraction(self.pick(1, 2, 5, 10), 10), ""
            else:
                targets = [each.name for each in life.prices if _is_target(kind, each, life)]
                if not targets:
                    continue
                created, target = life.created, self.pick(*targets)
                value = Fraction(self.pick(1, 3, 8, 25))
            found.append(Deal(kind, value, since, until, target, created))
        return tuple(found)

    def told(self, now: datetime, stops: Sequence[datetime], grace: timedelta) -> Life:
        """A whole life, with all that is told of it at each stop."""
        every = self.pick(*PLANS)
        life = replace(self.life(now, self.anchor(now), every), grace=grace)
        life = replace(life, acts=self.acts(life, stops[:-1]))
        life = replace(life, deals=self.deals(life, stops[:-1]))
        kinds = list(AGGREGATIONS)
        events = self.uses(life, kinds, stops[-1], now - SECOND)
        for stop in stops[:-1]:
            late = self.uses(life, kinds, stop, stop)[:5]
            events += [each for each in late if each.when > stop - LOOKED_BACK]
        return replace(life, events=tuple(events))


def _is_target(kind: str, price: Price, life: Life) -> bool:
    """Whether such a deal may name the price; sides of a bounded period are another story."""
    if price.once or price.model == "percentage":
        return False
    if kind == "usageDiscount":
        return price.reads is not None and price.model in {"standard", "volume"}
    return price.reads is None or all(each.what == "mint" for each in life.acts)
