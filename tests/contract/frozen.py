"""The frozen contract as a test reads it: operations, and what an answer of theirs must carry."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

FROZEN = Path(__file__).parent / "operations.json"
_MEMBER = re.compile(r"^(?P<name>[^?\[{]*)(?P<marks>(\?|\[\]|\{\})*)$")
_MARK = re.compile(r"\?|\[\]|\{\}")

_numbers = count(1)


def fresh(word: str) -> str:
    """A name that nothing else has."""
    return f"{word}{next(_numbers)}"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the contract."""

    id: str
    method: str
    path: str
    client: str
    generation: str
    answers: dict[str, list[str]]

    def matches(self, method: str, path: str) -> bool:
        """Whether a request was for this operation; a literal path must be asked first."""
        pattern = re.sub(r"\{[^}]+\}", "[^/]+", self.path)
        return method == self.method and re.fullmatch(pattern, path) is not None


@cache
def operations() -> dict[str, Operation]:
    """All operations by id."""
    return {
        name: Operation(
            id=name,
            method=each["method"],
            path=each["path"],
            client=each["client"],
            generation=each["generation"],
            answers=each["answers"],
        )
        for name, each in json.loads(FROZEN.read_text()).items()
    }


def operation_of(method: str, path: str) -> Operation:
    """The operation that a request was for: `/v0/plans/available` is no plan's id."""
    matching = [each for each in operations().values() if each.matches(method, path)]
    if not matching:
        raise LookupError(f"{method} {path} is no operation of the contract")
    return min(matching, key=lambda each: each.path.count("{"))


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer; `body` is None where there is no JSON."""

    method: str
    path: str
    status: int
    body: Any

    @property
    def operation(self) -> Operation:
        """What was asked for."""
        return operation_of(self.method, self.path)

    def faults(self) -> list[str]:
        """What the answer lacks: a status the contract knows, or a required member."""
        answers = self.operation.answers
        if self.status >= 400:
            return [] if isinstance(self.body, dict) and self.body.get("message") else ["message"]
        if str(self.status) not in answers:
            return [f"status {self.status}"]
        return [path for path in answers[str(self.status)] if not _carries(self.body, path)]


def _carries(body: Any, path: str) -> bool:
    parent, dot, name = path.rpartition(".")
    holders = list(_reached(body, parent.split("."))) if dot else [body]
    return all(isinstance(holder, dict) and name in holder for holder in holders)


def _reached(value: Any, steps: list[str]) -> Iterator[Any]:
    """Every object that the steps lead to; a member marked `?` may be missing or null."""
    if not steps:
        yield value
        return
    step = _MEMBER.match(steps[0])
    assert step is not None, steps[0]
    inner = value.get(step["name"]) if step["name"] else value
    for each in _spread(inner, _MARK.findall(step["marks"])):
        yield from _reached(each, steps[1:])


def _spread(value: Any, marks: list[str]) -> Iterator[Any]:
    if not marks:
        yield value
    elif marks[0] == "?":
        yield from () if value is None else _spread(value, marks[1:])
    else:
        for each in value if marks[0] == "[]" else value.values():
            yield from _spread(each, marks[1:])
