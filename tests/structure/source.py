"""The product's own source as syntax trees; it runs nothing of it."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("billing", "models", "activities", "workflows", "api", "local")
ENTRY_POINTS = ("worker.py", "settings.py")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One file: its place in the project, its text and its tree."""

    name: str
    text: str = field(repr=False)
    tree: ast.Module = field(repr=False)

    @property
    def package(self) -> str:
        """The layer that it belongs to; an entry point is its own."""
        return self.name.split("/")[0]

    @property
    def line_count(self) -> int:
        """How many lines the file has."""
        return len(self.text.splitlines())

    def functions(self) -> Iterator[Function]:
        """All functions and methods, nested ones too."""
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                yield node


@cache
def modules() -> tuple[Module, ...]:
    """Every module of the product, without the migrations."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return tuple(read(path) for path in (*paths, *(ROOT / name for name in ENTRY_POINTS)))


def read(path: Path) -> Module:
    """One file of the project."""
    text = path.read_text()
    return Module(path.relative_to(ROOT).as_posix(), text, ast.parse(text))


def stems(folder: str) -> set[str]:
    """The names of a folder's modules."""
    return {path.stem for path in (ROOT / folder).glob("*.py")} - {"__init__"}


@cache
def tracked() -> tuple[Path, ...]:
    """The text files under version control; without a repository, all of the house's folders."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        folders = (ROOT.glob("*"), *((ROOT / name).rglob("*") for name in (*PACKAGES, "docs")))
        paths = [path for each in folders for path in each]
    else:
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return tuple(path for path in paths if path.is_file() and _is_text(path))


def _is_text(path: Path) -> bool:
    try:
        path.read_text()
    except UnicodeDecodeError:
        return False
    return True
