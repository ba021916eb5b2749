"""Whether an address says enough for tax; it does not know whether the place exists."""

from collections.abc import Mapping
from typing import Any, Final

STATE_COUNTRIES: Final = frozenset({"US", "CA"})


def tax_address_problem(address: Mapping[str, Any]) -> str | None:
    """What is missing for tax, None when nothing is; tax is then skipped, not refused."""
    country = str(address.get("country") or "").upper()
    if len(country) != 2:
        return "A country is needed (two letters)"
    if not address.get("zipCode"):
        return "A zip code is needed"
    if country in STATE_COUNTRIES and not address.get("state"):
        return f"A state is needed in {country}"
    return None
