"""Many rows of a table in one statement: insert or update them, or ask for some; no table's rules.

Each column travels as one array, of instants or of texts, which costs the client a join and the
server a copy; the statement says what the texts are. A statement is built from the table's own
names, once a shape.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from sqlalchemy import ColumnElement, DateTime, Text, cast, func, literal, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm.attributes import instance_dict
from sqlalchemy.sql.elements import TextClause
from sqlalchemy.types import NullType
from sqlmodel import SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models import packing

Row = Mapping[str, Any]
T = TypeVar("T", bound=SQLModel)
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_ENCODER = msgspec.json.Encoder()
# An array that is packed already: nothing is left for SQLAlchemy to convert.
_PACKED = NullType()
_AS_THEY_ARE = {str, type(None)}


def is_among(column: Any, values: Collection[str]) -> ColumnElement[bool]:
    """Whether a column of text has one of these values: the same statement for any number."""
    array = cast(literal(packing.texts(list(values)), _PACKED), ARRAY(Text))
    among: ColumnElement[bool] = column == func.any(array)
    return among


async def of_ids(
    session: AsyncSession,
    table: type[T],
    merchant_id: str,
    ids: Collection[str],
    *,
    lock: bool = False,
) -> list[T]:
    """The merchant's rows with these ids, in their order, in which they may be locked."""
    if not ids:
        return []
    statement = (
        select(table)
        .where(_column(table, "merchant_id") == merchant_id, is_among(_column(table, "id"), ids))
        .order_by(_column(table, "id"))
    )
    if lock:
        statement = statement.with_for_update(key_share=True)
    return list((await session.exec(statement)).all())


async def insert(session: AsyncSession, table: type[SQLModel], rows: Sequence[Row]) -> None:
    """Inserts rows that have the same columns; what they leave out the database fills."""
    if rows:
        names = tuple(rows[0])
        await _run(session, _insertion(table, names), _arrays(table, names, rows))


async def insert_new(session: AsyncSession, table: type[SQLModel], rows: Sequence[Row]) -> set[str]:
    """The same, without those that stand already; returns the ids of those that are new."""
    if not rows:
        return set()
    names = tuple(rows[0])
    done = await _run(session, _insertion_of_new(table, names), _arrays(table, names, rows))
    return set(done.scalars())


async def update(
    session: AsyncSession, table: type[SQLModel], merchant_id: str, rows: Sequence[Row]
) -> None:
    """Writes the columns of rows by their ids; rows that the session has loaded are not told."""
    if rows:
        names = tuple(rows[0])
        values = {**_arrays(table, names, rows), "merchant_id": merchant_id}
        await _run(session, _change(table, names), values)


@dataclass(frozen=True, slots=True)
class Change:
    """What some columns of a loaded row become."""

    row: Any
    columns: Row


async def change(
    session: AsyncSession, table: type[SQLModel], merchant_id: str, changes: Sequence[Change]
) -> None:
    """Writes some columns of each, which the loaded rows are told; a statement a set of columns."""
    shapes: dict[tuple[str, ...], list[Change]] = {}
    for each in changes:
        shapes.setdefault(tuple(each.columns), []).append(each)
    for members in shapes.values():
        rows = [{"id": each.row.id, **each.columns} for each in members]
        await update(session, table, merchant_id, rows)
    for each in changes:
        # What `set_committed_value` does to a column that has no change of its own, at once.
        instance_dict(each.row).update(each.columns)


async def _run(session: AsyncSession, statement: TextClause, values: dict[str, Any]) -> Any:
    connection = await session.connection()
    return await connection.execute(statement, values)


def _arrays(table: type[SQLModel], names: Sequence[str], rows: Sequence[Row]) -> dict[str, Any]:
    columns = zip(*[[row[name] for name in names] for row in rows], strict=True)
    return {
        f"a_{name}": _packer(table, name)(values)
        for name, values in zip(names, columns, strict=True)
    }


@lru_cache(maxsize=1_024)
def _packer(table: type[SQLModel], name: str) -> Callable[[Sequence[Any]], packing.Packed]:
    kind = _column(table, name).type
    if isinstance(kind, DateTime):
        return packing.few_instants
    return _documents if isinstance(kind, JSONB) else _texts


def _documents(values: Sequence[Any]) -> packing.Packed:
    return packing.texts([_document(value) for value in values])


def _texts(values: Sequence[Any]) -> packing.Packed:
    if set(map(type, values)) <= _AS_THEY_ARE:
        return packing.texts(values)
    return packing.texts([_text(value) for value in values])


def _document(value: Any) -> str | None:
    return None if value is None else _ENCODER.encode(value).decode()


def _text(value: Any) -> str | None:
    return value if value is None or type(value) is str else str(value)


@lru_cache(maxsize=256)
def _insertion(table: type[SQLModel], names: tuple[str, ...]) -> TextClause:
    return text(_insert_sql(table, names))


@lru_cache(maxsize=256)
def _insertion_of_new(table: type[SQLModel], names: tuple[str, ...]) -> TextClause:
    return text(f"{_insert_sql(table, names)} ON CONFLICT DO NOTHING RETURNING id")


def _insert_sql(table: type[SQLModel], names: tuple[str, ...]) -> str:
    columns = ", ".join(f'"{name}"' for name in names)
    typed = ", ".join(_typed(table, name) for name in names)
    given = _given(table, names)
    return f'INSERT INTO "{table.__tablename__}" ({columns}) SELECT {typed} FROM {given}'


@lru_cache(maxsize=256)
def _change(table: type[SQLModel], names: tuple[str, ...]) -> TextClause:
    changes = ", ".join(f'"{name}" = {_typed(table, name)}' for name in names if name != "id")
    return text(
        f'UPDATE "{table.__tablename__}" AS kept SET {changes} FROM {_given(table, names)} '
        "WHERE kept.merchant_id = :merchant_id AND kept.id = given.id"
    )


def _given(table: type[SQLModel], names: tuple[str, ...]) -> str:
    arrays = ", ".join(f"CAST(:a_{name} AS {_array_of(table, name)})" for name in names)
    return f"unnest({arrays}) AS given({', '.join(chr(34) + name + chr(34) for name in names)})"


def _array_of(table: type[SQLModel], name: str) -> str:
    return "timestamptz[]" if isinstance(_column(table, name).type, DateTime) else "text[]"


def _typed(table: type[SQLModel], name: str) -> str:
    kind = _column(table, name).type
    return f'CAST(given."{name}" AS {kind.compile(dialect=_DIALECT)})'


def _column(table: type[SQLModel], name: str) -> Any:
    return table.__table__.c[name]  # type: ignore[attr-defined]
