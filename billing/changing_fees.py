"""Which fees stand against another plan at a boundary; what is given back is told elsewhere."""

from datetime import datetime

from billing.cycles import Cycles
from billing.rating import PriceTerms


def is_cut(price: PriceTerms, running: Cycles, boundary: datetime) -> bool:
    """Whether a fee of the old plan is owed in arrears for a cycle that runs over the boundary.

    What is paid ahead is not asked about: it is found among what invoices have billed.
    """
    if price.kind != "fee" or price.payment_term == "in_advance":
        return False
    if price.cadence is None or price.is_once:
        return False
    return Cycles(running.anchor, price.cadence).at(boundary).start != boundary


def is_missed(price: PriceTerms, running: Cycles, coming: Cycles) -> bool:
    """Whether a fee of the other plan would not be asked for at the boundary.

    Where other cycles begin there, every fee begins with them; what is billed once does at a
    start only.
    """
    if price.kind != "fee" or price.cadence is None:
        return False
    return price.is_once or (coming == running and price.cadence != running.cadence)
