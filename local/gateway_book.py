"""The simulated gateway's own book in SQLite: what it charged, whatever anybody else believes.

It never shares a file or a transaction with the product: a charge that our side lost, or made
twice, can be seen here. Card numbers and security codes are not in it.
"""

import json
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS payment_methods (
    id TEXT PRIMARY KEY, brand TEXT NOT NULL, last4 TEXT NOT NULL,
    exp_month INTEGER NOT NULL, exp_year INTEGER NOT NULL, behavior TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS charges (
    sequence INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, status TEXT NOT NULL,
    amount TEXT NOT NULL, currency TEXT NOT NULL, invoice_id TEXT NOT NULL,
    payment_method_id TEXT NOT NULL, idempotency_key TEXT NOT NULL,
    decline_code TEXT, created_at TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS charges_of_key ON charges (idempotency_key);
CREATE INDEX IF NOT EXISTS charges_of_invoice ON charges (payment_method_id, invoice_id);
CREATE TABLE IF NOT EXISTS refunds (
    id TEXT PRIMARY KEY, charge_id TEXT NOT NULL REFERENCES charges (id),
    amount TEXT NOT NULL, idempotency_key TEXT NOT NULL, created_at TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS answers (
    idempotency_key TEXT PRIMARY KEY, request TEXT NOT NULL,
    status INTEGER NOT NULL, body TEXT NOT NULL
) STRICT;
"""

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class SavedMethod:
    """A card as the gateway remembers it: enough to show it, and how it behaves."""

    id: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int
    behavior: str


@dataclass(frozen=True, kw_only=True)
class BookedCharge:
    """One charge; a declined one has its code."""

    id: str
    amount: str
    currency: str
    invoice_id: str
    payment_method_id: str
    idempotency_key: str
    decline_code: str | None
    created_at: str

    @property
    def status(self) -> str:
        """`succeeded` or `failed`."""
        return "succeeded" if self.decline_code is None else "failed"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a request was answered, kept under its idempotency key."""

    status: int
    body: dict[str, Any]


class Book:
    """The one connection; every write is on disk before its method's transaction block ends."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("PRAGMA busy_timeout=5000")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Lets go of the file."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and durable."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def save_method(self, method: SavedMethod) -> None:
        """Remembers a card."""
        self._connection.execute(
            "INSERT INTO payment_methods VALUES (?, ?, ?, ?, ?, ?)",
            (
                *(method.id, method.brand, method.last4),
                *(method.exp_month, method.exp_year, method.behavior),
            ),
        )

    def method(self, method_id: str) -> SavedMethod | None:
        """A card by its id."""
        row = self._one("SELECT * FROM payment_methods WHERE id = ?", method_id)
        return SavedMethod(**row) if row else None

    def charge_count(self, method_id: str, invoice_id: str) -> int:
        """How often this card was charged for this invoice."""
        row = self._one(
            "SELECT count(*) AS n FROM charges WHERE payment_method_id = ? AND invoice_id = ?",
            method_id,
            invoice_id,
        )
        return int(row["n"]) if row else 0

    def add_charge(self, charge: BookedCharge) -> None:
        """Books a charge, whether it succeeded or not."""
        self._connection.execute(
            "INSERT INTO charges (id, status, amount, currency, invoice_id, payment_method_id,"
            " idempotency_key, decline_code, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(charge.id, charge.status, charge.amount, charge.currency, charge.invoice_id),
                *(charge.payment_method_id, charge.idempotency_key),
                *(charge.decline_code, charge.created_at),
            ),
        )

    def charge(self, charge_id: str) -> BookedCharge | None:
        """A charge by its id."""
        found = self._charges("WHERE id = ?", charge_id)
        return found[0] if found else None

    def charges(self, idempotency_key: str | None = None) -> list[BookedCharge]:
        """All charges in the order in which they were made, or those under one key."""
        if idempotency_key is None:
            return self._charges("")
        return self._charges("WHERE idempotency_key = ?", idempotency_key)

    def refunded(self, charge_id: str) -> Decimal:
        """How much of a charge went back."""
        rows = self._connection.execute(
            "SELECT amount FROM refunds WHERE charge_id = ?", (charge_id,)
        ).fetchall()
        return sum((Decimal(row["amount"]) for row in rows), Decimal(0))

    def add_refund(self, charge_id: str, amount: str, key: str, created_at: str) -> str:
        """Books a refund and gives its id."""
        refund_id = new_id("re")
        self._connection.execute(
            "INSERT INTO refunds VALUES (?, ?, ?, ?, ?)",
            (refund_id, charge_id, amount, key, created_at),
        )
        return refund_id

    def answer(self, key: str) -> tuple[str, Answer] | None:
        """The request that came under a key before, and its answer."""
        row = self._one("SELECT * FROM answers WHERE idempotency_key = ?", key)
        if row is None:
            return None
        return row["request"], Answer(status=row["status"], body=json.loads(row["body"]))

    def keep_answer(self, key: str, request: str, answer: Answer) -> None:
        """Remembers an answer for good."""
        self._connection.execute(
            "INSERT INTO answers VALUES (?, ?, ?, ?)",
            (key, request, answer.status, json.dumps(answer.body)),
        )

    def _charges(self, where: str, *values: str) -> list[BookedCharge]:
        columns = (
            "id, amount, currency, invoice_id, payment_method_id, idempotency_key,"
            " decline_code, created_at"
        )
        rows = self._connection.execute(
            f"SELECT {columns} FROM charges {where} ORDER BY sequence",  # noqa: S608 - no input in it
            values,
        ).fetchall()
        return [BookedCharge(**dict(row)) for row in rows]

    def _one(self, statement: str, *values: str) -> dict[str, Any] | None:
        row = self._connection.execute(statement, values).fetchone()
        return dict(row) if row else None


def new_id(prefix: str) -> str:
    """A random id in the gateway's own style."""
    return f"{prefix}_{secrets.token_hex(12)}"
