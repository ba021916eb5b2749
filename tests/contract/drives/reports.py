"""Happy paths of what a merchant reads about the money."""

from collections.abc import Callable
from datetime import timedelta

from tests.contract.world import START, World


def get_revenue(world: World) -> None:
    """Of the month, by plan: the subscription's first invoice is in it."""
    assert world.invoice_id
    revenue = world.client.revenue.get(
        start_time=START, end_time=START + timedelta(days=30), group_by="plan"
    )
    assert revenue.net_revenue != "0.00"


CASES: dict[str, Callable[[World], object]] = {"getRevenue": get_revenue}
