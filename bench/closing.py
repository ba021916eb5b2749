"""Closing periods: the core against CPU seconds, and the workflows against the smallest one.

    BENCH_SUBSCRIPTIONS=1000 BENCH_EVENTS_PER_METRIC=50 BENCH_MEMBERS=100 python -m bench closing

CPU per operation counts; seconds on the clock depend on what else runs, which the load average
tells.
"""

import os
from typing import Any

from bench import closing_core, closing_year


def main() -> dict[str, Any]:
    core = closing_core.measure()
    _print(core)
    year = closing_year.measure()
    _print(year)
    ratios = _ratios(core, year)
    for name, (reached, target) in ratios.items():
        print(f"{name:52} {reached:10.2f}   {target}")
    return {"core": core, "year": year, "ratios": ratios, "loadAverage": os.getloadavg()[2]}


def _ratios(core: dict[str, float], year: dict[str, float]) -> dict[str, tuple[float, str]]:
    """What was reached, and the target."""
    floor = core["floorClientMicros"] + core["floorPostgresMicros"]
    close = core["closeClientMicros"] + core["closePostgresMicros"]
    growth = year["workerMibAfterTheYear"] / year["workerMibAfterThreeMonths"]
    return {
        "invoices a CPU second: read, rated, written, booked": (
            1e6 / (close - core["closeCollectionMicros"]),
            ">= 1000",
        ),
        "the same, handed over to collection": (core["closePerCpuSecond"], ""),
        "CPU of a close / of reading and pricing in chunks": (close / floor, "<= 5"),
        "CPU of a close through workflows / of a trivial one": (
            year["msPerClose"] / year["trivialMs"],
            "<= 4",
        ),
        "seconds for the year of all members": (year["yearSeconds"], "<= 60"),
        "a subscription's history events a period": (
            year["subscriptionEventsPerPeriod"],
            "<= 25",
        ),
        "memory of the worker, year / three months": (growth, "<= 1.1"),
    }


def _print(figures: dict[str, float]) -> None:
    for name, value in sorted(figures.items()):
        print(f"{name:32} {value:12.2f}", flush=True)
    print()
