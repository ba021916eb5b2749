"""The size and form of the source: what ruff and import-linter cannot say."""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from typing import TypeVar

from tests.structure.source import ROOT, Function, Module, modules, read, stems

T = TypeVar("T")

FUNCTION_LINES_MAX = 50
MODULE_LINES_MAX = 400
# Beyond the bound, each with its reason; what is new is split instead.
LONG_FUNCTIONS = {
    "local/story.py set_up_catalogue": "a story, in the order in which it is told",
}
LONG_MODULES = {
    "models/queries/usage.py": "the whole usage store: another store replaces one module",
}
DOCUMENTED_LAYERS = ("billing", "workflows", "activities")
# Where the wall clock may be asked: one function for the product, and the gateway's own clock.
CLOCK_READERS = {"models/base.py", "local/gateway.py"}
CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("date", "today"), ("time", "time")}
CHANCE = {("uuid", "uuid4"), ("uuid", "uuid1"), ("random", "random"), ("random", "randint")}
# The boundary where anything may arrive and must not go further; it says so on its line.
CATCH_ALL = {"api/intake.py"}
# Where even a row that only points to the locked one has to wait.
CLOSED_TO_REFERENCES = {"models/queries/resets.py"}
FORBIDDEN_FILE_NAMES = {"common", "utils", "util", "helpers", "helper", "services", "managers"}
# Activities that are no aggregate's writer.
SHARED_ACTIVITIES = {
    "holds": "parts of a transaction that reserving and using share",
    "usage_refunds": "a part of a transaction that a refund and an accepted dispute share",
    "subscription_approvals": "the part of the writer of subscriptions that lets them be paid",
    "subscription_starts": "the part of the writer of subscriptions that begins them",
    "subscription_periods": "the part of the writer of subscriptions that opens their invoices",
    "subscription_reminders": "the part of the writer of subscriptions that reminds of renewals",
    "subscription_pauses": "the part of the writer of subscriptions that pauses them",
    "subscription_changes": "the part of the writer of subscriptions that changes them",
    "subscription_versions": "the part of the writer of subscriptions that moves their version",
    "subscription_intervals": "the part of the writer of subscriptions that changes their terms",
    "subscription_plans": "the part of the writer of subscriptions that changes their plan",
    "subscription_rolls": "the part of the writer of subscriptions that rolls many at once",
    "subscription_endings": "the part of the writer of subscriptions that ends them",
    "payment_collections": "the part of the writer of payments that reads what is collected",
    "payment_attempts": "the part of the writer of payments that tries a card",
    "payment_settlements": "the part of the writer of payments that settles what was paid",
    "payment_pages": "the part of the writer of payments that opens pages",
    "write_offs": "the part of the writer of invoices that gives them up",
    "collecting": "the part of a transaction that owes an issued invoice its collection",
    "issuing": "parts of a transaction that creation and closing share",
    "gathering": "lets calls that come at the same time share a transaction",
    "refusals": "the interceptor of all activities",
    "signatures": "the interceptor that signs for the audit log",
    "reconciliation": "proofs over all aggregates",
    "retention": "deletes old events of all merchants",
    "overdue": "the sweep over all aggregates",
}
CAMEL_CASE = re.compile(r"^[a-z]+[A-Z]")


def found(
    look: Callable[[Module], list[T]], *, in_packages: tuple[str, ...] | None = None
) -> dict[str, list[T]]:
    """What a look at each module brings up, by the module's name."""
    return {
        module.name: offences
        for module in modules()
        if in_packages is None or module.package in in_packages
        if (offences := look(module))
    }


def test_functions_are_short() -> None:
    def long(module: Module) -> list[str]:
        return [each for each in _long_functions(module) if each not in LONG_FUNCTIONS]

    assert found(long) == {}


def test_modules_are_short() -> None:
    def too_long(module: Module) -> list[int]:
        is_long = module.line_count > MODULE_LINES_MAX and module.name not in LONG_MODULES
        return [module.line_count] if is_long else []

    assert found(too_long) == {}


def test_what_is_allowed_to_be_long_still_is() -> None:
    functions = {each for module in modules() for each in _long_functions(module)}
    longs = {module.name for module in modules() if module.line_count > MODULE_LINES_MAX}
    assert set(LONG_FUNCTIONS) - functions == set()
    assert set(LONG_MODULES) - longs == set()


def test_a_module_begins_with_a_sentence() -> None:
    def unexplained(module: Module) -> list[str]:
        docstring = ast.get_docstring(module.tree) or ""
        return [] if docstring.split("\n\n")[0].endswith(".") else [docstring]

    assert found(unexplained) == {}


def test_what_is_public_is_documented() -> None:
    def undocumented(module: Module) -> list[str]:
        return [name for name, node in _public(module.tree) if not ast.get_docstring(node)]

    assert found(undocumented, in_packages=DOCUMENTED_LAYERS) == {}


def test_nobody_else_asks_the_clock() -> None:
    readers = found(lambda module: _uses(module, CLOCKS))
    assert {name: uses for name, uses in readers.items() if name not in CLOCK_READERS} == {}


def test_nobody_throws_dice() -> None:
    assert found(lambda module: _uses(module, CHANCE)) == {}


def test_nothing_is_swallowed_that_was_not_expected() -> None:
    def swallowed(module: Module) -> list[int]:
        return [
            handler.lineno
            for handler in ast.walk(module.tree)
            if isinstance(handler, ast.ExceptHandler)
            and (handler.type is None or {"Exception", "BaseException"} & _names(handler.type))
            and not _raises_again(handler)
        ]

    assert set(found(swallowed)) == CATCH_ALL


def test_a_lock_lets_others_point_to_its_row() -> None:
    """`FOR UPDATE` holds up every insertion that refers to the row, whence deadlocks."""

    def closed(module: Module) -> list[int]:
        return [
            node.lineno
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "with_for_update"
            and not {"key_share", "read", "skip_locked"} & {each.arg for each in node.keywords}
        ]

    assert set(found(closed)) == CLOSED_TO_REFERENCES


def test_camel_case_stays_on_the_wire() -> None:
    def camel_case(module: Module) -> list[str]:
        return [name for name in _bound_names(module.tree) if CAMEL_CASE.match(name)]

    layers = ("billing", "models", "activities", "workflows", "worker.py", "settings.py")
    assert found(camel_case, in_packages=layers) == {}


def test_files_are_called_by_what_they_are() -> None:
    def evasive(module: Module) -> list[str]:
        parts = module.name.removesuffix(".py").split("/")
        return sorted(FORBIDDEN_FILE_NAMES.intersection(parts))

    assert found(evasive) == {}


def test_the_core_imports_the_standard_library_only() -> None:
    allowed = sys.stdlib_module_names | {"billing"}

    def foreign(module: Module) -> list[str]:
        return [name for name in _imported(module.tree) if name not in allowed]

    assert found(foreign, in_packages=("billing",)) == {}


def test_workflows_see_no_table_and_no_server() -> None:
    forbidden = {"models", "sqlmodel", "sqlalchemy", "psycopg", "httpx2", "settings", "fastapi"}

    def seen(module: Module) -> list[str]:
        return [name for name in _imported(module.tree) if name in forbidden]

    assert found(seen, in_packages=("workflows",)) == {}


def test_an_aggregate_has_the_same_name_on_every_layer() -> None:
    aggregates = stems("models") - {"base", "database", "page", "tables"}
    writers = stems("activities") - set(SHARED_ACTIVITIES)
    assert writers <= aggregates


def test_every_resource_is_served() -> None:
    app = (ROOT / "api/app.py").read_text()
    served = set(re.findall(r"^ {4}\((\w+)\.router, \"\w+\"\),$", app, flags=re.MULTILINE))
    assert stems("api/resources") - served == set()


def test_every_workflow_is_run_by_the_worker_under_a_name_of_its_own() -> None:
    worker = read(ROOT / "worker.py").text
    for module in modules():
        if module.package != "workflows":
            continue
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and _definition(node) is not None:
                assert _definition(node) == node.name.removesuffix("Workflow")
                assert f"    {node.name},\n" in worker


def test_every_activity_is_run_by_the_worker() -> None:
    worker = read(ROOT / "worker.py").text

    def idle(module: Module) -> list[str]:
        return [
            function.name
            for function in module.functions()
            if any(ast.unparse(each) == "activity.defn" for each in function.decorator_list)
            and f".{function.name}," not in worker
            and f".{function.name}]" not in worker
        ]

    assert found(idle, in_packages=("activities",)) == {}


def test_no_test_uses_a_mock_library() -> None:
    mocking = {"mock", "pytest_mock", "respx", "unittest"}
    assert {
        path.name
        for path in (ROOT / "tests").rglob("*.py")
        if mocking & set(_imported(read(path).tree))
    } == set()


def _long_functions(module: Module) -> Iterator[str]:
    for function in module.functions():
        if (function.end_lineno or 0) - function.lineno >= FUNCTION_LINES_MAX:
            yield f"{module.name} {function.name}"


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _public(tree: ast.Module) -> Iterator[tuple[str, Function | ast.ClassDef]]:
    """Classes and functions without a leading underscore, and such classes' own methods."""
    for node in tree.body:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        yield node.name, node
        if isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, Function) and _needs_words(member):
                    yield f"{node.name}.{member.name}", member


def _needs_words(member: Function) -> bool:
    is_property = any("property" in _names(each) for each in member.decorator_list)
    return not member.name.startswith("_") and not is_property


def _uses(module: Module, calls: set[tuple[str, str]]) -> list[str]:
    return [
        f"{node.value.id}.{node.attr}, line {node.lineno}"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in calls
    ]


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def _bound_names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def _definition(node: ast.ClassDef) -> str | None:
    """The Temporal name of a workflow class; None for any other class."""
    for each in node.decorator_list:
        if isinstance(each, ast.Call) and ast.unparse(each.func) == "workflow.defn":
            named = {keyword.arg: keyword.value for keyword in each.keywords}
            name = named.get("name")
            return str(name.value) if isinstance(name, ast.Constant) else ""
    return None
