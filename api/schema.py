"""The floor of every wire shape: camelCase, strict bodies, and the types that fields share."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

from billing.durations import parse_duration
from billing.errors import InvalidValue, NotFound
from billing.money import text as plain

T = TypeVar("T")

INT32_MAX = 2**31 - 1


class Wire(BaseModel):
    """An answer: built in Python by its field names, written in camelCase."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )

    @classmethod
    def from_row(cls, row: object, **members: Any) -> Self:
        """The answer for a row: its fields of the same names, and the members it does not hold."""
        shared = {name: getattr(row, name) for name in cls.model_fields if hasattr(row, name)}
        return cls(**shared | members)


class Body(BaseModel):
    """A request body: camelCase only, unknown fields and wrong types are refused."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True)


class Patch(Body):
    """A change: an omitted field stays as it is, null clears it where its type allows null."""

    def changes(self) -> dict[str, Any]:
        """What the caller sent, by field name; nested bodies stay bodies."""
        return {name: getattr(self, name) for name in self.model_fields_set}


def omitted() -> Any:
    """The default of a patch's field: nothing, neither here nor in the OpenAPI document."""
    return Field(default_factory=_nothing)


def _nothing() -> None:
    return None


def found(row: T | None, what: str) -> T:
    """The row, or the refusal that there is none (for this merchant)."""
    if row is None:
        raise NotFound(f"No such {what}")
    return row


def _is_none(value: Any) -> bool:
    return value is None


# An optional member of an answer: left out when there is nothing to say. Give it `= None`.
Absent = Annotated[T | None, Field(exclude_if=_is_none)]


# --- ids: the contract's prefixes; the length is ours, since nothing is unbounded ---


def _id(prefix: str, tail: str = "[a-zA-Z0-9]{1,64}") -> StringConstraints:
    return StringConstraints(pattern=f"^{prefix}_{tail}$")


MerchantId = Annotated[str, _id("org")]
ConsumerId = Annotated[str, _id("org")]
UserId = Annotated[str, _id("usr")]
ProductId = Annotated[str, _id("prod")]
FeatureId = Annotated[str, _id("feat")]
ItemId = Annotated[str, _id("itm")]
BillableMetricId = Annotated[str, _id("bm")]
FeeId = Annotated[str, _id("fee")]
PriceId = Annotated[str, _id("price")]
PricingUnitId = Annotated[str, _id("pu")]
PlanId = Annotated[str, _id("plan")]
PlanVersionId = Annotated[str, _id("pver")]
CustomerId = Annotated[str, _id("cus")]
SubscriptionId = Annotated[str, _id("sub")]
IntervalId = Annotated[str, _id("int")]
AdjustmentId = Annotated[str, _id("adj")]
TestClockId = Annotated[str, _id("tc", "[a-zA-Z0-9]{16}")]
InvoiceId = Annotated[str, _id("inv")]
CreditId = Annotated[str, _id("ccr")]
RefundId = Annotated[str, _id("crn")]
PaymentId = Annotated[str, StringConstraints(pattern="^(pay|ps)_[a-zA-Z0-9]{1,64}$")]
EntitlementId = Annotated[str, _id("ent")]
ReferenceId = Annotated[str, _id("xrf")]
IntegrationId = Annotated[str, _id("mint")]


# --- text: every string has a bound ---

Name = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Label = Annotated[str, StringConstraints(max_length=255)]
Description = Annotated[str, StringConstraints(max_length=5000)]
Key = Annotated[str, StringConstraints(min_length=1, max_length=255)]
"""An idempotency key."""
Reason = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
"""Why people did something, in their words."""
Currency = Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]
ExternalId = Annotated[str, StringConstraints(pattern="^[a-zA-Z0-9_-]{1,255}$")]
Provider = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]*$", max_length=64)]
"""Another system, such as an accounting one: lower-case snake case."""
PrintableText = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f-\x9f]{1,255}$")]
"""A name that machines give: an event type, a source, a subject. No control characters."""
Email = Annotated[
    str, StringConstraints(pattern=r"^[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,189}$")
]
WebAddress = Annotated[
    str, StringConstraints(pattern=r"^https?://[^\s\x00-\x1f\x7f]+$", max_length=2048)
]
"""Where a browser is sent: never a script or a file."""
METADATA_KEYS_MAX = 100


def _bounded(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    if len(metadata) > METADATA_KEYS_MAX:
        raise ValueError(f"at most {METADATA_KEYS_MAX} keys are allowed")
    return metadata


MetadataKey = Annotated[str, StringConstraints(max_length=255)]
Metadata = Annotated[dict[MetadataKey, Description], AfterValidator(_bounded)]

FREE_FORM_BYTES_MAX = 10_000


def _small(content: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(content)) > FREE_FORM_BYTES_MAX:
        raise ValueError(f"must be smaller than {FREE_FORM_BYTES_MAX} bytes")
    return content


FreeForm = Annotated[dict[str, Any], AfterValidator(_bounded), AfterValidator(_small)]
"""An object whose members are the caller's own."""


# --- instants: any ISO 8601 offset or none (then UTC) comes in, UTC with a Z goes out ---

_INSTANT_LENGTH_MAX = 64


def _instant(value: Any) -> datetime:
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, str) and len(value) <= _INSTANT_LENGTH_MAX and "T" in value.upper():
        try:
            moment = datetime.fromisoformat(value.upper())
        except ValueError as error:
            raise ValueError("must be an ISO 8601 date and time") from error
    else:
        raise ValueError("must be an ISO 8601 date and time")
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("must lie between the years 1 and 9999 in UTC") from error


Instant = Annotated[datetime, BeforeValidator(_instant)]


# --- durations: ISO 8601, kept as the caller wrote them ---


def _duration(value: str) -> str:
    try:
        parse_duration(value)
    except InvalidValue as error:
        raise ValueError(error.message) from error
    return value


DurationText = Annotated[str, StringConstraints(max_length=100), AfterValidator(_duration)]


# --- decimals: amounts travel as strings, rates as numbers; neither passes through a float ---

_DECIMAL = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,18})?")


def _amount(value: Any) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise ValueError("must be a decimal string with at most 20 digits and 18 decimals")
    return Decimal(value)


def _rate(value: Any) -> Decimal:
    if isinstance(value, Decimal):
        return value
    # A float's repr is the shortest text that reads back as it: what the caller wrote.
    text = plain(Decimal(repr(value))) if _is_number(value) else ""
    if not _DECIMAL.fullmatch(text):
        raise ValueError("must be a number with at most 20 digits and 18 decimals")
    return Decimal(text)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -1e20 < value < 1e20  # also keeps infinities and NaN out


_PLAIN_PATTERN = r"^[0-9]{1,34}(\.[0-9]{1,6})?$"
_PLAIN = re.compile(_PLAIN_PATTERN)


def _plain_decimal(value: Any) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if not isinstance(value, str) or not _PLAIN.fullmatch(value):
        raise ValueError("must be a plain decimal string: up to 34 digits and 6 decimals")
    return Decimal(value)


_AMOUNT_SCHEMA = {"type": "string", "pattern": r"^-?[0-9]{1,20}(\.[0-9]{1,18})?$"}

Amount = Annotated[
    Decimal, BeforeValidator(_amount), PlainSerializer(plain, str), WithJsonSchema(_AMOUNT_SCHEMA)
]
"""A decimal string in major units."""

Plain = Annotated[
    Decimal,
    BeforeValidator(_plain_decimal),
    PlainSerializer(plain, str),
    WithJsonSchema({"type": "string", "pattern": _PLAIN_PATTERN}),
]
"""A decimal string without sign or exponent: a share, or a number of units."""

Rate = Annotated[
    Decimal,
    BeforeValidator(_rate),
    PlainSerializer(float, float),
    WithJsonSchema({"type": "number"}),
]
"""A JSON number (percent, mostly) that is exact inside."""
