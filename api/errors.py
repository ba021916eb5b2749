"""The one place that knows HTTP statuses and error bodies; the refusals themselves live lower."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import psycopg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from billing.errors import BillingError, InvalidValue, NotAllowed

log = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = "1"
MESSAGE_LENGTH_MAX = 500


class Unauthorized(BillingError):
    """No key, or one that is malformed, unknown, revoked or of the other environment."""

    code = "UNAUTHORIZED"


class NotMember(NotAllowed):
    """The caller named another merchant than its own."""

    code = "NOT_MEMBER"
    reason = "not_member"


class NoPermission(NotAllowed):
    """The caller's user may not do this."""

    code = "NO_PERMISSION"
    reason = "no_permission"

    def __init__(self, permission: str) -> None:
        super().__init__(f"This needs the permission {permission}")
        self.required_permissions = [permission]


class InsufficientScope(NoPermission):
    """The user may do this, but not with this key."""

    code = "INSUFFICIENT_SCOPE"
    reason = "insufficient_scope"


class Unprocessable(BillingError):
    """Well formed, yet it can have no meaning here (an event that no metric reads)."""

    code = "UNPROCESSABLE"


# A subclass with a code of its own has its parent's status unless it is listed.
STATUSES: Mapping[str, int] = {
    "INVALID_VALUE": 400,
    "BILLING_ERROR": 400,
    "CURRENCY_MISMATCH": 400,
    "INSUFFICIENT_FUNDS": 400,
    "UNAUTHORIZED": 401,
    "NOT_ALLOWED": 403,
    "NOT_FOUND": 404,
    "CONFLICT": 409,
    "CLOCK_MEMBER_FAILED": 500,
    "UNPROCESSABLE": 422,
    "ALREADY_REFUNDED": 422,
    "NOT_REFUNDABLE": 422,
    "INVOICE_NOT_LINKABLE_STATUS": 422,
    "INVOICE_NO_BALANCE": 422,
    "STANDARD_BILLING_ONLY": 422,
    "E_INVOICE_NOT_POSSIBLE": 422,
}

CATEGORIES: Mapping[int, str] = {
    400: "bad_request",
    401: "unauthorized",
    402: "payment_required",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "payload_too_large",
    415: "unsupported_media_type",
    422: "unprocessable_entity",
    429: "too_many_requests",
    500: "internal",
    503: "unavailable",
}


class ErrorAnswer(BaseModel):
    """What every refusal looks like; clients branch on `code`, never on `message`."""

    message: str
    error: str | None = None
    code: str | None = None
    details: dict[str, Any] | None = None
    reason: str | None = None
    requiredPermissions: list[str] | None = None  # noqa: N815 - the wire's spelling


class FieldError(BaseModel):
    """One field that was refused, named as the wire names it."""

    field: str
    message: str
    code: str | None = None


class ValidationErrorAnswer(BaseModel):
    """A request that breaks the rules of its fields."""

    message: str
    error: str
    errors: list[FieldError]


RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"model": ValidationErrorAnswer | ErrorAnswer, "description": "Bad request"},
    401: {"model": ErrorAnswer, "description": "No valid API key"},
    403: {"model": ErrorAnswer, "description": "Not allowed"},
    404: {"model": ErrorAnswer, "description": "Not found"},
    409: {"model": ErrorAnswer, "description": "Conflict"},
    422: {"model": ErrorAnswer, "description": "Unprocessable"},
    500: {"model": ErrorAnswer, "description": "Internal error"},
    503: {"model": ErrorAnswer, "description": "A server behind this one is away"},
}


def status_of(error: BillingError) -> int:
    """The status of a refusal: of its code, else of the nearest parent's code."""
    codes = (error.code, *(cast("str", getattr(kind, "code", "")) for kind in type(error).__mro__))
    return next((STATUSES[code] for code in codes if code in STATUSES), 400)


def error_body(status: int, message: str, **members: Any) -> dict[str, Any]:
    """The contract's error body; members that are None are left out."""
    body = {"message": message, "error": CATEGORIES.get(status, "error"), **members}
    return {name: value for name, value in body.items() if value is not None}


def validation_body(errors: Sequence[FieldError]) -> dict[str, Any]:
    """The contract's validation form."""
    first = errors[0]
    message = f"{first.field}: {first.message}" if first.field else first.message
    return {
        "message": message,
        "error": "validation_error",
        "errors": [error.model_dump(exclude_none=True) for error in errors],
    }


def internal_error_body(request_id: str) -> dict[str, Any]:
    """What a caller learns of an unexpected error: where to find it in the log, nothing else."""
    return error_body(500, "Internal error", details={"requestId": request_id})


def _answer(
    status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> JSONResponse:
    return JSONResponse(body, status_code=status, headers=dict(headers or {}))


async def _billing_error(_request: Request, error: Exception) -> JSONResponse:
    refusal = cast("BillingError", error)
    status = status_of(refusal)
    if isinstance(refusal, InvalidValue):
        code = None if refusal.code == InvalidValue.code else refusal.code
        field_error = FieldError(field=refusal.field, message=refusal.message, code=code)
        return _answer(status, validation_body([field_error]))
    body = error_body(
        status,
        refusal.message,
        code=refusal.code,
        details=refusal.details,
        reason=getattr(refusal, "reason", None),
        requiredPermissions=getattr(refusal, "required_permissions", None),
    )
    return _answer(status, body, {"WWW-Authenticate": "Bearer"} if status == 401 else None)


# Members of a location that pydantic adds for itself: union members, validators, constraints.
_NOT_A_FIELD = re.compile(r"^(?![a-z][A-Za-z0-9_]*$)|[-\[(]|^(str|int|float|bool|dict|list|none)$")


def wire_path(location: Sequence[str | int]) -> str:
    """The dotted path of a field as the caller wrote it: `tiers[1].upTo`; or a header's name."""
    if location[0] == "header" and len(location) > 1:
        return str(location[1])
    path = ""
    for part in location[1:] if len(location) > 1 else location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not _NOT_A_FIELD.search(part):
            path += f".{part}" if path else part
    return path or "body"


def _untagged(location: Sequence[str | int], body: Any) -> Sequence[str | int]:
    """Without the tag of a body that is one of several, which stands where a member could."""
    if not isinstance(body, Mapping) or len(location) < 3 or location[0] != "body":
        return location
    tag = location[1]
    is_tag = tag in _texts(body) and not isinstance(body.get(tag), Mapping | list)
    return (location[0], *location[2:]) if is_tag else location


def _texts(body: Mapping[str, Any]) -> list[str]:
    return [value for value in body.values() if isinstance(value, str)]


def _field_error(error: Mapping[str, Any], body: Any = None) -> FieldError:
    kind = str(error["type"])
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        field = str(error["ctx"]["discriminator"]).strip("'")
        expected = error["ctx"].get("expected_tags")
        return FieldError(
            field=field, message=f"Must be one of {expected}" if expected else "Field required"
        )
    if kind == "json_invalid":
        reason = str(error.get("ctx", {}).get("error", "not JSON"))
        return FieldError(field="body", message=f"Malformed JSON: {reason}"[:MESSAGE_LENGTH_MAX])
    message = str(error["msg"]).removeprefix("Value error, ")
    if kind == "extra_forbidden":
        message = "Unknown field"
    path = wire_path(_untagged(error["loc"], body))
    return FieldError(field=path[:255], message=message[:MESSAGE_LENGTH_MAX])


async def _invalid_request(_request: Request, error: Exception) -> JSONResponse:
    refusal = cast("RequestValidationError", error)
    errors = list(refusal.errors())
    # An id of the wrong form in a path names nothing, so it is not found.
    if any(part["loc"] and part["loc"][0] == "path" for part in errors):
        return _answer(404, error_body(404, "Not found", code="NOT_FOUND"))
    return _answer(400, validation_body([_field_error(part, refusal.body) for part in errors[:20]]))


async def _http_error(_request: Request, error: Exception) -> JSONResponse:
    refusal = cast("HTTPException", error)
    status = refusal.status_code
    code = CATEGORIES.get(status, "error").upper()
    return _answer(status, error_body(status, str(refusal.detail), code=code), refusal.headers)


async def server_away(_request: Request, error: Exception) -> JSONResponse:
    """A server behind this one does not answer; the request may be repeated."""
    log.warning("server_away", kind=type(error).__name__)
    message = "A server that this needs is not available; try again"
    body = error_body(503, message, code="UNAVAILABLE")
    return _answer(503, body, {"Retry-After": RETRY_AFTER_SECONDS})


async def _database_refusal(request: Request, error: Exception) -> JSONResponse:
    """What only the database can see: a race for a unique value, or a value it cannot hold."""
    statement_error = cast("DBAPIError", error)
    if statement_error.connection_invalidated:
        return await server_away(request, error)
    cause = statement_error.orig
    if isinstance(cause, psycopg.errors.UniqueViolation | psycopg.errors.ForeignKeyViolation):
        message = "Another object stands against this: it exists already or is in use"
        return _answer(409, error_body(409, message, code="DUPLICATE_RESOURCE"))
    if isinstance(error, DataError):
        log.warning("database_refused_value", kind=type(cause).__name__)
        return _answer(400, error_body(400, "A value is out of range", code="INVALID_VALUE"))
    raise error


def install(app: FastAPI) -> None:
    """Registers one answer for each family of errors."""
    app.add_exception_handler(BillingError, _billing_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    for away in (OperationalError, InterfaceError, PoolTimeout, psycopg.OperationalError):
        app.add_exception_handler(away, server_away)
    for refused in (IntegrityError, DataError, DBAPIError):
        app.add_exception_handler(refused, _database_refusal)
