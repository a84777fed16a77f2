"""The package's source files: where they are, their syntax, and what they import."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

import tinygrad_cnn

ROOT = Path(tinygrad_cnn.__file__).parent
REPOSITORY = ROOT.parent
NAME = ROOT.name

FILES = sorted(ROOT.rglob("*.py"))


def top(path: Path) -> str:
    """The part of the package that a file belongs to; "" for the package's own __init__."""
    part = path.relative_to(ROOT).parts[0]
    return "" if part == "__init__.py" else part.removesuffix(".py")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def walked(path: Path) -> list[ast.AST]:
    """Every node of a file's syntax."""
    return list(ast.walk(tree_of(path)))


def none(guilty: Iterable[str]) -> None:
    """All that is wrong at once, a line each."""
    if lines := list(guilty):
        pytest.fail("\n".join(lines), pytrace=False)


def imported(node: ast.AST) -> list[str]:
    """Absolute names of the modules that an import statement may bind or load."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = "." * node.level + (node.module or "")
        gathers = base in (NAME, f"{NAME}.kernels")
        return [f"{base}.{alias.name}" for alias in node.names] if gathers else [base]
    return []


def is_type_checking(node: ast.AST) -> bool:
    if not isinstance(node, ast.If):
        return False
    test = node.test  # TYPE_CHECKING or typing.TYPE_CHECKING
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


@cache
def nodes_for_types(path: Path) -> set[int]:
    """Ids of the nodes under `if TYPE_CHECKING`."""
    return {
        id(inner) for node in walked(path) if is_type_checking(node) for inner in ast.walk(node)
    }


def own_imports(path: Path) -> list[tuple[str, bool]]:
    """Every part of the package that a file imports, and whether for annotations only."""
    for_types = nodes_for_types(path)
    found = []
    for node in walked(path):
        own = [name for name in imported(node) if name.split(".")[0] == NAME != name]
        parts = [name.split(".")[1] for name in own]
        found += [(part, id(node) in for_types) for part in parts if part != "__version__"]
    return found


def let_go() -> None:
    """Forget what was read: it takes much memory."""
    for cached in (tree_of, walked, nodes_for_types):
        cached.cache_clear()
