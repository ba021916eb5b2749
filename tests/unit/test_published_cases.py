"""Cases that other billing systems have published, where their rule is ours: equal to the cent.

Each table names its source. Where a rule differs on purpose, docs/domain/other-systems.md says so.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

import pytest

from billing import pricing, proration
from billing.durations import parse_duration
from billing.invoicing import totals
from billing.periods import Period, boundary, period_at
from billing.pricing import graduated
from billing.rating import Charge, Measure, PriceTerms, Schedule, charges_at, rate_measure

Amounts = Mapping[str, str]


def _tiers(*bands: tuple[str | None, str, str]) -> dict[str, Any]:
    names = ("upTo", "unitPrice", "flatAmount")
    return {"tiers": [dict(zip(names, band, strict=True)) for band in bands]}


def _bands(*bands: tuple[str | None, str]) -> dict[str, Any]:
    return {"tiers": [{"upTo": up_to, "unitPrice": price} for up_to, price in bands]}


# Lago, spec/services/charge_models/graduated_service_spec.rb.
LAGO_GRADUATED = _tiers(("10", "10", "2"), ("20", "5", "3"), (None, "5", "3"))
LAGO_GRADUATED_AMOUNTS = {
    "0": "2", "1": "12", "10": "102", "11": "110", "12": "115", "21": "163",
}  # fmt: skip
LAGO_DECIMAL_RANGES = _tiers(("0.1", "10", "0"), ("1", "5", "0"), (None, "2", "0"))
# Lago, spec/services/charge_models/volume_service_spec.rb.
LAGO_VOLUME = _tiers(("100", "2", "10"), ("200", "1", "0"), (None, "0.5", "50"))
LAGO_VOLUME_AMOUNTS = {
    "0": "10", "1": "12", "100": "210", "100.5": "100.5", "101": "101", "200": "200", "210": "155",
    "300": "200",
}  # fmt: skip
# Lago, spec/services/charge_models/package_service_spec.rb.
LAGO_PACKAGE = {"packageSize": "10", "unitPrice": "100"}
# Lago, spec/services/charge_models/percentage_service_spec.rb: without fixed and free parts.
LAGO_PERCENTAGE = {"percentage": "0.029", "minCharge": "0", "maxCharge": "1000000"}
# The same file: a least and a greatest charge for each of 10, 80 and 10 000 (16.142), without them,
# and what is left of 800 after free units.
LAGO_BOUNDED = {"percentage": "0.0299", "minCharge": "1.75", "maxCharge": "12"}
LAGO_UNBOUNDED = LAGO_BOUNDED | {"minCharge": "0", "maxCharge": "1000000"}
LAGO_FREE = LAGO_UNBOUNDED | {"percentage": "0.013"}
# OpenMeter, openmeter/billing/rating/service/rate/tieredgraduated_test.go.
OPENMETER_GRADUATED = _tiers(
    ("5", "0", "100"), ("10", "0", "50"), ("15", "5", "0"), (None, "1", "0")
)
# The same file: tokens are counted by the million, and a started million is a whole one.
OPENMETER_MILLIONS = _tiers(("5", "10", "0"), (None, "8", "0"))
# OpenMeter, openmeter/billing/rating/service/rate/tieredvolume_test.go.
OPENMETER_VOLUME = _tiers(
    ("5", "0", "100"), ("10", "0", "150"), ("15", "10", "0"), (None, "5", "0")
)
OPENMETER_VOLUME_AMOUNTS = {
    "0": "100", "3": "100", "5": "100", "14": "140", "15": "150", "16": "80", "100": "500",
}  # fmt: skip
# BillaBear, features/Invoice/Pricing/tiered_volume.feature.
BILLABEAR_FLAT = _tiers(("10", "0", "10"), (None, "0", "15"))
BILLABEAR_BOTH = _tiers(("10", "10", "10"), (None, "2", "0"))
# OpenMeter, openmeter/billing/rating/service/rate/package_test.go.
OPENMETER_PACKAGE = {"packageSize": "10", "unitPrice": "15"}
OPENMETER_PACKAGES = {"0": "0", "1": "15", "9": "15", "10": "15", "11": "30", "110": "165"}
# Stripe, "Set up tiered pricing" (fonts) and its older "Tiered pricing".
STRIPE_FONTS = (("5", "7"), ("10", "6.5"), (None, "6"))
STRIPE_FONTS_BY_VOLUME = {"1": "7", "5": "35", "6": "39", "20": "120", "25": "150"}
STRIPE_TIERS = (("5", "5"), ("10", "4"), ("15", "3"), ("20", "2"), (None, "1"))
STRIPE_TIERS_BY_VOLUME = {"1": "5", "5": "25", "6": "24", "20": "40", "25": "25"}
# Orb, "Invoice calculation examples" 1, and Autumn, "Graduated pricing".
ORB_CALLS = _bands(("10000", "0.001"), ("100000", "0.0008"), (None, "0.0005"))
AUTUMN_REQUESTS = _bands(("1000", "0.01"), ("10000", "0.008"), (None, "0.005"))
# Zuora, "Rating by billing period" and "Example scenario for usage rating in group".
ZUORA_TIERS = _bands(("10", "2"), ("20", "3"), (None, "5"))
ZUORA_MINUTES = _bands(("50", "11"), ("100", "10"), (None, "9"))
# Tabular Editor's editions page, and Apple's StoreKit: 5 x 9.99 + 3 x 7.99.
EDITOR_SEATS = _bands(("5", "950"), ("10", "900"), (None, "850"))
STOREKIT_SEATS = _bands(("5", "9.99"), (None, "7.99"))
# The contract of this API, which shares its example with its vendor.
CONTRACT_VOLUME = _bands(("100", "5"), (None, "3"))


def _cases(source: str, model: str, properties: Any, amounts: Amounts) -> list[Any]:
    return [
        pytest.param(model, properties, quantity, amount, id=f"{source} {model} {quantity}")
        for quantity, amount in amounts.items()
    ]


@pytest.mark.parametrize(
    ("model", "properties", "quantity", "amount"),
    [
        *_cases("Lago", "graduated", LAGO_GRADUATED, LAGO_GRADUATED_AMOUNTS),
        *_cases("Lago", "graduated", LAGO_DECIMAL_RANGES, {"0.05": "0.5", "0.5": "3"}),
        *_cases("Lago", "volume", LAGO_VOLUME, LAGO_VOLUME_AMOUNTS),
        *_cases("Lago", "package", LAGO_PACKAGE, {"121": "1300"}),
        *_cases("Lago", "percentage", LAGO_PERCENTAGE, {"4": "0.116"}),
        *_cases("Lago", "percentage", LAGO_BOUNDED, {"10": "1.75", "80": "2.392", "10000": "12"}),
        *_cases("Lago", "percentage", LAGO_UNBOUNDED, {"10090": "301.691", "90": "2.691"}),
        *_cases("Lago", "percentage", LAGO_FREE, {"550": "7.15", "400": "5.2", "800": "10.4"}),
        *_cases("OpenMeter", "graduated", OPENMETER_GRADUATED, {"22": "182"}),
        *_cases("OpenMeter", "graduated", OPENMETER_MILLIONS, {"8": "74"}),
        *_cases("Orb", "graduated", ORB_CALLS, {"150000": "107"}),
        *_cases("Autumn", "graduated", AUTUMN_REQUESTS, {"15000": "107"}),
        *_cases("Zuora", "graduated", ZUORA_TIERS, {"15": "35", "21": "55"}),
        *_cases("Zuora", "volume", ZUORA_MINUTES, {"160": "1440", "195": "1755", "50": "550"}),
        *_cases("Tabular Editor", "graduated", EDITOR_SEATS, {"12": "10950"}),
        *_cases("StoreKit", "graduated", STOREKIT_SEATS, {"8": "73.92"}),
        *_cases("OpenMeter", "volume", OPENMETER_VOLUME, OPENMETER_VOLUME_AMOUNTS),
        *_cases("BillaBear", "volume", BILLABEAR_FLAT, {"9": "10", "50": "15"}),
        *_cases("BillaBear", "volume", BILLABEAR_BOTH, {"9": "100", "11": "22"}),
        *_cases("OpenMeter", "package", OPENMETER_PACKAGE, OPENMETER_PACKAGES),
        *_cases("Stripe", "volume", _bands(*STRIPE_FONTS), STRIPE_FONTS_BY_VOLUME),
        *_cases("Stripe", "graduated", _bands(*STRIPE_FONTS), {"5": "35"}),
        *_cases("Stripe", "volume", _bands(*STRIPE_TIERS), STRIPE_TIERS_BY_VOLUME),
        *_cases("Stripe", "graduated", _bands(*STRIPE_TIERS), {"6": "29"}),
        *_cases("Contract", "volume", CONTRACT_VOLUME, {"100": "500", "101": "303"}),
    ],
)
def test_amounts_of_a_model(
    model: str, properties: Mapping[str, Any], quantity: str, amount: str
) -> None:
    assert pricing.rate(model, properties, Decimal(quantity)).amount == Decimal(amount)


def test_a_part_of_a_period_after_another() -> None:
    """OpenMeter, tieredgraduated_test.go: 10 more after 12 cost 3 x 5 + 7 x 1 = 22."""
    more = graduated.additional(OPENMETER_GRADUATED, Decimal(12), Decimal(10))
    assert more == Decimal(22)


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cadence", "start", "boundaries"),
    [
        # Stripe, "Setting the subscription billing cycle date".
        ("P1M", "2025-01-31", ["2025-02-28", "2025-03-31", "2025-04-30"]),
        ("P1M", "2024-01-31", ["2024-02-29", "2024-03-31", "2024-04-30"]),
        ("P1M", "2025-09-02", ["2025-10-02", "2025-11-02", "2025-12-02"]),
        # Lago, spec/services/fees/subscription_service_spec.rb: by anniversary.
        ("P1M", "2022-08-31", ["2022-09-30"]),
        # Lago, spec/scenarios/golden/matrix/b02_boundaries.yml: a cut by a short month is undone.
        ("P3M", "2024-01-31", ["2024-04-30", "2024-07-31"]),
        ("P6M", "2024-03-31", ["2024-09-30", "2025-03-31"]),
        ("P1Y", "2024-02-29", ["2025-02-28", "2026-02-28"]),
        # Kill Bill, TestInvoiceDateUtils.
        ("P1M", "2016-04-08", ["2016-05-08", "2016-06-08", "2016-07-08", "2016-08-08"]),
        ("P30D", "2016-04-08", ["2016-05-08", "2016-06-07", "2016-07-07", "2016-08-06"]),
        ("P7D", "2016-04-08", ["2016-04-15", "2016-04-22", "2016-04-29", "2016-05-06"]),
    ],
)
def test_boundaries_by_anniversary(cadence: str, start: str, boundaries: list[str]) -> None:
    length = parse_duration(cadence)
    found = [boundary(day(start), length, index + 1) for index in range(len(boundaries))]
    assert found == [day(each) for each in boundaries]


@pytest.mark.parametrize(
    ("start", "end", "cycle", "due"),
    [
        # Lago, spec/services/fees/subscription_service_spec.rb: 1.00 a cycle and 20 % tax.
        ("2022-03-15", "2022-04-01", ("2022-03-01", "2022-04-01"), ("0.55", "0.11")),
        ("2022-03-15", "2023-01-01", ("2022-01-01", "2023-01-01"), ("0.80", "0.16")),
        ("2022-06-22", "2022-06-27", ("2022-06-20", "2022-06-27"), ("0.71", "0.14")),
        # Terminated in arrears at the end of 20 March, and of 16 March in a week.
        ("2022-03-01", "2022-03-21", ("2022-03-01", "2022-04-01"), ("0.65", "0.13")),
        ("2022-03-14", "2022-03-17", ("2022-03-14", "2022-03-21"), ("0.43", "0.09")),
    ],
)
def test_a_part_of_a_cycle_and_its_tax(
    start: str, end: str, cycle: tuple[str, str], due: tuple[str, str]
) -> None:
    charge = Charge(
        _fee(Decimal("0.2")), Period(day(start), day(end)), Period(*(day(each) for each in cycle))
    )
    line = rate_measure(charge, Measure(Decimal(0)), "exclusive")
    total = totals([line], "EUR", "exclusive")
    assert (total.subtotal, total.tax) == tuple(Decimal(each) for each in due)


def test_what_is_left_of_a_cycle_after_its_trial() -> None:
    """Lago, the same file: 30.00 from 31 August to 30 September, 15 of 31 days free: 15.48.

    Their period holds both days; ours are half-open, and 16 of 31 are the same.
    """
    cycle = Period(day("2022-08-31"), day("2022-10-01"))
    part = proration.prorate(Decimal(30), Period(day("2022-09-15"), cycle.end), cycle)
    assert round(part, 2) == Decimal("15.48")


# Kill Bill, invoice/src/test/java/…/proRations/inAdvance/{monthly,quarterly,annual}:
# TestLeadingProRation, TestTrailingProRation, TestDoubleProRation, TestProRation. They give cycles
# of a price, as parts of the full cycle around them.
@pytest.mark.parametrize(
    ("cadence", "anchor", "start", "target", "cycles"),
    [
        ("P1M", "2011-01-13", "2011-02-01", "2011-02-01", Fraction(12, 31)),
        ("P1M", "2011-01-13", "2011-02-01", "2011-02-04", Fraction(12, 31)),
        ("P1M", "2011-01-13", "2011-02-01", "2011-02-13", Fraction(12, 31) + 1),
        ("P1M", "2011-01-13", "2011-02-01", "2011-04-13", Fraction(12, 31) + 3),
        ("P3M", "2010-11-13", "2011-02-01", "2011-02-01", Fraction(12, 92)),
        ("P3M", "2010-11-13", "2011-02-01", "2011-02-13", Fraction(12, 92) + 1),
        ("P3M", "2010-11-13", "2011-02-01", "2011-06-13", Fraction(12, 92) + 2),
        ("P3M", "2010-10-15", "2011-01-01", "2011-01-22", Fraction(14, 92) + 1),
        ("P3M", "2010-10-15", "2011-01-01", "2011-06-26", Fraction(14, 92) + 2),
        ("P1Y", "2010-01-15", "2011-01-01", "2011-01-01", Fraction(14, 365)),
        ("P1Y", "2010-01-15", "2011-01-01", "2011-01-15", Fraction(14, 365) + 1),
        ("P1Y", "2010-01-15", "2011-01-01", "2012-02-26", Fraction(14, 365) + 2),
        # TestProRation: from a change of phase or plan up to the next bill, over leap years.
        ("P1M", "2011-01-10", "2011-02-24", "2011-03-06", Fraction(1, 2)),
        ("P1M", "2011-01-03", "2011-02-17", "2011-03-01", Fraction(1, 2)),
        ("P1M", "2011-01-03", "2011-02-17", "2011-03-03", Fraction(3, 2)),
        ("P1M", "2011-01-03", "2011-02-17", "2011-03-04", Fraction(3, 2)),
        ("P1M", "2011-02-15", "2011-02-15", "2011-03-01", Fraction(1)),
        ("P1M", "2011-03-06", "2011-03-06", "2011-03-09", Fraction(1)),
        ("P1M", "2010-12-15", "2010-12-15", "2011-01-16", Fraction(2)),
        ("P1M", "2012-02-15", "2012-02-15", "2012-03-15", Fraction(2)),
        ("P1M", "2012-01-15", "2012-01-15", "2012-02-03", Fraction(1)),
        ("P1M", "2012-01-30", "2012-01-30", "2012-03-01", Fraction(2)),
        ("P1M", "2011-01-27", "2011-02-14", "2011-03-01", Fraction(13, 31) + 1),
        ("P1M", "2011-02-15", "2011-02-15", "2011-04-21", Fraction(3)),
        ("P1M", "2011-01-15", "2011-03-07", "2011-04-21", Fraction(8, 28) + 2),
        ("P1M", "2011-01-15", "2011-03-10", "2011-04-21", Fraction(5, 28) + 2),
        # They take 31 days for the cycle from 31 January to 28 February, which has 28: 14 / 31.
        ("P1M", "2011-01-31", "2011-02-14", "2011-03-01", Fraction(14, 28) + 1),
    ],
)
def test_cycles_in_advance(
    cadence: str, anchor: str, start: str, target: str, cycles: Fraction
) -> None:
    schedule = Schedule(day(anchor), parse_duration(cadence), day(start))
    assert _cycles(schedule, "in_advance", until=day(target)) == cycles


@pytest.mark.parametrize(
    ("cadence", "anchor", "start", "end", "cycles"),
    [
        ("P1M", "2010-06-17", "2010-06-17", "2010-07-25", 1 + Fraction(8, 31)),
        ("P1M", "2011-01-13", "2011-02-01", "2011-04-13", Fraction(12, 31) + 2),
        ("P3M", "2010-11-13", "2011-02-01", "2011-08-13", Fraction(12, 92) + 2),
        ("P3M", "2010-10-15", "2011-01-01", "2011-04-27", Fraction(14, 92) + 1 + Fraction(12, 91)),
        ("P1Y", "2010-01-15", "2011-01-01", "2012-01-27",
         Fraction(14, 365) + 1 + Fraction(12, 366)),
        ("P1M", "2011-02-10", "2011-02-10", "2011-02-24", Fraction(1, 2)),
        ("P1M", "2011-02-01", "2011-02-01", "2011-02-14", Fraction(13, 28)),
        ("P1M", "2012-02-01", "2012-02-01", "2012-02-15", Fraction(14, 29)),
        ("P1M", "2011-02-07", "2011-02-07", "2011-02-15", Fraction(8, 28)),
        ("P1M", "2011-02-07", "2011-02-07", "2011-03-07", Fraction(1)),
        ("P1M", "2011-02-07", "2011-02-07", "2011-03-10", 1 + Fraction(3, 31)),
        ("P1M", "2011-01-07", "2011-01-31", "2011-03-10", Fraction(7, 31) + 1 + Fraction(3, 31)),
        ("P1M", "2010-12-15", "2010-12-15", "2011-03-17", 3 + Fraction(2, 31)),
    ],
)  # fmt: skip
def test_cycles_up_to_an_end(
    cadence: str, anchor: str, start: str, end: str, cycles: Fraction
) -> None:
    """Theirs are in advance and know their end; ours in arrears come to the same parts."""
    schedule = Schedule(day(anchor), parse_duration(cadence), day(start))
    assert _cycles(schedule, "in_arrears", until=day(end)) == cycles


def _cycles(
    schedule: Schedule, term: Literal["in_advance", "in_arrears"], *, until: datetime
) -> Fraction:
    """How many cycles fall due from the start to an instant; arrears also end there."""
    fee = _fee(Decimal(0), term)
    due: list[Charge] = []
    ended: Period | None = None
    begin = schedule.started_at
    while begin <= until:
        end = period_at(schedule.anchor, schedule.cadence, begin).end
        coming = Period(begin, end)
        due += charges_at([fee], schedule, ended=ended, coming=coming)
        ended, begin = coming, end
    if term == "in_arrears" and ended is not None:
        cut = Period(ended.start, until)
        due += charges_at([fee], schedule, ended=cut, coming=None, terminating=True)
    return sum((proration.fraction(each.window, each.cycle) for each in due), Fraction(0))


def _fee(tax_rate: Decimal, term: Literal["in_advance", "in_arrears"] = "in_arrears") -> PriceTerms:
    return PriceTerms(
        price_id="price_1",
        kind="fee",
        source_id="fee_1",
        display_name="Fee",
        model="standard",
        properties={"unitPrice": "1"},
        payment_term=term,
        cadence=None,
        quantity=Decimal(1),
        is_obligation=False,
        in_scope=True,
        tax_rate=tax_rate,
    )
