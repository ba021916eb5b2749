"""Users on the wire: a person reads and changes only himself; members are managed elsewhere."""

from datetime import date
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter
from pydantic import BeforeValidator, StringConstraints, WithJsonSchema

from api.address_input import AddressInput
from api.deps import Caller, Now, Session
from api.idempotency import KeptRoute
from api.schema import Absent, Instant, Label, Patch, UserId, Wire, found, omitted
from billing.errors import NotAllowed
from billing.ids import derived_id
from models import organizations as tables
from models.queries import organizations

router = APIRouter(prefix="/v0/users", tags=["Users"], route_class=KeptRoute)


def _day(value: Any) -> Any:
    """A calendar day as ISO 8601 writes it."""
    if not isinstance(value, str):
        return value
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise ValueError("must be a date: YYYY-MM-DD") from error


Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]


class UserPatch(Patch):
    """A change of oneself."""

    first_name: Label = omitted()
    last_name: Label = omitted()
    phone: Annotated[str, StringConstraints(max_length=64)] = omitted()
    date_of_birth: Day = omitted()
    address: AddressInput = omitted()
    type: Literal["COMPANY", "INDIVIDUAL"] = omitted()


class UserOrganization(Wire):
    """The merchant for which a user acts."""

    id: str
    state: str
    roles: list[str]


class User(Wire):
    """A person who acts for a merchant."""

    object: Literal["user"] = "user"
    id: str
    email: str
    ory_id: str
    organizations: list[UserOrganization]
    first_name: str
    last_name: str
    phone: Absent[str] = None
    date_of_birth: Absent[date] = None
    address: Absent[dict[str, str]] = None
    type: Absent[str] = None
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: tables.User) -> Self:
        """The answer for a row; the identity id is opaque and follows from the user's own."""
        member = UserOrganization(id=row.merchant_id, state="active", roles=["member"])
        return cls.from_row(
            row,
            # A reserved domain: nobody's address, where none is known.
            email=row.email or f"{row.id}@users.invalid",
            ory_id=derived_id("idn", row.id),
            organizations=[member],
            address=row.address or None,
        )


@router.get("/{id}", operation_id="getUser")
async def get_user(id: UserId, caller: Caller, session: Session) -> User:
    """Get the user whose key this is."""
    return User.of(await _oneself(session, caller, id))


@router.patch("/{id}", operation_id="updateUser")
async def update_user(
    id: UserId, body: UserPatch, caller: Caller, now: Now, session: Session
) -> User:
    """Change the user whose key this is."""
    row = await _oneself(session, caller, id)
    changes = body.changes()
    if "address" in changes:
        changes["address"] = body.address.model_dump(by_alias=True, exclude_none=True)
    row.sqlmodel_update(changes | {"updated_at": now})
    return User.of(row)


async def _oneself(session: Session, caller: Caller, user_id: str) -> tables.User:
    """The caller's user; a colleague is refused, anybody else is not found."""
    user = found(await organizations.get_user(session, caller.merchant_id, user_id), "user")
    if user.id != caller.user_id:
        raise NotAllowed("A user reads and changes only himself")
    return user
