"""What the suite does with each operation; an operation that is not here counts as open.

A new operation: write its function in the module of its area, and name it in that module's CASES.
"""

from collections.abc import Callable

from tests.contract.drives import (
    catalogue,
    connections,
    customers,
    lifecycles,
    refunds,
    reports,
    terms,
)
from tests.contract.world import World

CASES: dict[str, Callable[[World], object]] = {
    **catalogue.CASES,
    **connections.CASES,
    **customers.CASES,
    **lifecycles.CASES,
    **refunds.CASES,
    **reports.CASES,
    **terms.CASES,
}
