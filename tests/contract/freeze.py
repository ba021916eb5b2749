"""Writes the frozen list of operations, read from the official client; it judges no answer.

    python -m tests.contract.freeze

The client has no machine-readable contract, so its methods are read: which status they accept,
into which model they parse it, and which members that model requires. Ten operations exist only
in an older client, which is asked in an environment of its own.
"""

import ast
import importlib
import inspect
import json
import subprocess
import sys
import textwrap
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# This file also runs in the older client's environment, so it imports nothing of the house.
FROZEN = Path(__file__).parent / "operations.json"
# What the documentation still lists and the newest client has dropped.
OLDER = (
    "listDisputes",
    "createDispute",
    "createEntitlement",
    "getActiveEntitlements",
    "getFeePrice",
    "listUsageEvents",
    "createUsageEvent",
    "batchCreateUsageEvents",
    "getUsageEvent",
    "refundUsageEvent",
)
# Members of the client's classes that are not operations.
PLUMBING = {"do_request"}


def operations() -> dict[str, dict[str, Any]]:
    """Every operation of the installed client, by its operation id."""
    found: dict[str, dict[str, Any]] = {}
    for path, group in _groups():
        for name, method in inspect.getmembers(group, inspect.isfunction):
            if name.startswith("_") or name.endswith("_async") or name in PLUMBING:
                continue
            operation = _operation(f"{path}.{name}", method)
            if operation is not None:
                found[operation.pop("operationId")] = operation
    return found


def _groups() -> Iterator[tuple[str, type]]:
    """The client's classes of operations, by the attributes that lead to them."""
    client = importlib.import_module("paygentic_sdk").Paygentic
    for name, (module, kind) in client._sub_sdk_map.items():
        group = getattr(importlib.import_module(module), kind)
        yield name, group
        for inner, inner_type in typing.get_type_hints(group).items():
            yield f"{name}.{inner}", inner_type


def _operation(client: str, method: types.FunctionType) -> dict[str, Any] | None:
    tree = ast.parse(textwrap.dedent(inspect.getsource(method)))
    words = {
        keyword.arg: keyword.value.value
        for keyword in ast.walk(tree)
        if isinstance(keyword, ast.keyword) and isinstance(keyword.value, ast.Constant)
    }
    if "operation_id" not in words:
        return None
    answers = dict(_answers(tree, method.__globals__))
    return {
        "operationId": words["operation_id"],
        "client": client,
        "method": words["method"],
        "path": words["path"],
        "answers": {status: answers[status] for status in sorted(answers)},
    }


def _answers(tree: ast.Module, names: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """The accepted statuses, each with the members that the answer's model requires."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.If) or not isinstance(node.body[-1], ast.Return):
            continue
        match node.test:
            case ast.Call(args=[_, statuses, *_]):
                listed = ast.literal_eval(statuses)
                kind = _model(node.body[-1].value, names)
                required = sorted(set(_required(kind)))
                yield from ((status, required) for status in _many(listed))


def _many(listed: str | list[str]) -> list[str]:
    return [listed] if isinstance(listed, str) else listed


def _model(value: ast.expr | None, names: dict[str, Any]) -> Any:
    match value:
        case ast.Call(func=ast.Name(id="unmarshal_json_response"), args=[kind, *_]):
            return eval(ast.unparse(kind), dict(names))
    return None


def _required(kind: Any, path: str = "", above: tuple[type, ...] = ()) -> Iterator[str]:
    """Paths such as `data[].id`; a `?` marks a member that may be absent or null."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        yield from _required(arguments[0], path, above)
    elif hasattr(origin or kind, "__value__"):
        # The client's own aliases; a generic one (nullable) holds its type as the argument.
        yield from _required(arguments[0] if arguments else kind.__value__, path, above)
    elif origin in (typing.Union, types.UnionType):
        yield from _common(arguments, path, above)
    elif origin is list:
        yield from _required(arguments[0], f"{path}[]", above)
    elif origin is dict:
        yield from _required(arguments[1], f"{path}{{}}", above)
    elif isinstance(kind, type) and hasattr(kind, "model_fields") and kind not in above:
        yield from _members(kind, path, (*above, kind))


def _members(model: Any, path: str, above: tuple[type, ...]) -> Iterator[str]:
    for name, member in model.model_fields.items():
        wire = f"{path}.{member.alias or name}" if path else (member.alias or name)
        always = _always(member)
        if always:
            yield wire
        loose = "" if always and not _nullable(member.annotation) else "?"
        yield from _required(member.annotation, wire + loose, above)


def _always(member: Any) -> bool:
    """Required, or a constant that the client fills in but does not declare optional."""
    if member.is_required():
        return True
    return "Literal[" in str(member.annotation) and not _nullable(member.annotation)


def _nullable(annotation: Any) -> bool:
    if type(None) in typing.get_args(annotation):
        return True
    return "Nullable" in str(annotation)


def _common(variants: tuple[Any, ...], path: str, above: tuple[type, ...]) -> Iterator[str]:
    """What all variants require; what only some do is checked by the client's own parsing."""
    each = [set(_required(variant, path, above)) for variant in variants if _is_known(variant)]
    yield from set.intersection(*each) if each else ()


def _is_known(variant: Any) -> bool:
    """Not null, not "unset", and not the client's place for what it does not know."""
    name = getattr(variant, "__name__", "")
    fields = getattr(variant, "model_fields", {})
    return variant is not type(None) and "is_unknown" not in fields and name != "Unset"


def _older() -> dict[str, dict[str, Any]]:
    from tests.contract.older_client import python_of_older_client

    command = [str(python_of_older_client()), __file__, "--print"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, dict[str, Any]] = json.loads(printed)
    return {name: found[name] for name in OLDER}


def main() -> None:
    """Writes the file; with `--print`, prints the installed client's operations instead."""
    if "--print" in sys.argv:
        sys.stdout.write(json.dumps(operations()))
        return
    newest = {name: {**found, "generation": "0.6.3"} for name, found in operations().items()}
    older = {name: {**found, "generation": "0.1.34"} for name, found in _older().items()}
    frozen = dict(sorted({**older, **newest}.items()))
    FROZEN.write_text(json.dumps(frozen, indent=1) + "\n")


if __name__ == "__main__":
    main()
