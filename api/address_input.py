"""A postal address as request bodies give it; whether tax can use it is judged in billing."""

from typing import Annotated

from pydantic import StringConstraints

from api.schema import Body, Label


class AddressInput(Body):
    """A postal address; tax needs a country and a zip code, in the US and Canada a state too."""

    line1: Label | None = None
    line2: Label | None = None
    city: Label | None = None
    state: Label | None = None
    country: Annotated[str, StringConstraints(pattern="^[a-zA-Z]{2}$")] | None = None
    zip_code: Annotated[str, StringConstraints(max_length=32)] | None = None
