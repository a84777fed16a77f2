"""Names in a user's Python file: the file is run, and what is asked for taken from it."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tinygrad_cnn.cli.arguments import UsageError, did_you_mean

__all__ = ["find", "load_file", "public_names"]


def load_file(path: Path) -> dict[str, Any]:
    """Run a Python file and return its names; its folder is where it imports from.

    Raises
    ------
    UsageError
        If there is no such file.
    RunError
        If it raises; the message says what and on which line.
    """
    from tinygrad_cnn.training import RunError

    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with _beside(path, module):
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            line = _line_in(path, error)
            where = f"{path}:{line}" if line else str(path)
            text = f"{where} raised {type(error).__name__}: {error}"
            if isinstance(error, ModuleNotFoundError):
                text += (
                    "; it is not installed where tinygrad-cnn is, nor does it lie beside the file"
                )
            raise RunError(text) from error
    return vars(module)


@contextmanager
def _beside(path: Path, module: Any) -> Iterator[None]:
    """Let a file import its neighbours, and be found by its name while it runs."""
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    before = sys.modules.get(path.stem)
    sys.modules[path.stem] = module  # dataclasses and the like look themselves up
    try:
        yield
    finally:
        sys.path.remove(folder)
        if before is not None:
            sys.modules[path.stem] = before


def _line_in(path: Path, error: BaseException) -> int | None:
    if isinstance(error, SyntaxError):
        return error.lineno
    line, trace = None, error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).resolve() == path.resolve():
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def public_names(names: dict[str, Any], module: str) -> list[str]:
    """Return what a file itself defines: its functions and classes."""
    return [
        name
        for name, value in names.items()
        if not name.startswith("_")
        and callable(value)
        and getattr(value, "__module__", module) == module
    ]


def find(names: dict[str, Any], text: str, path: Path) -> Any:
    """Return what a text names: ``conv``, ``layers.conv``, ``Conv(3, 8)``, or ``forward,backward``.

    Arguments are literals. ``affine`` also finds ``affine_forward`` with ``affine_backward``.

    >>> find({"f": abs, "make": complex}, "make(1, imag=2)", Path("f.py"))
    (1+2j)
    """
    if "," in text and "(" not in text:
        return tuple(_named(part.strip(), names, path) for part in text.split(","))
    for begin in (text, text.removesuffix("_forward")):
        pair = names.get(f"{begin}_forward"), names.get(f"{begin}_backward")
        if all(map(callable, pair)) and (begin != text or text not in names):
            return pair
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise UsageError(f"expected a name behind {path}:, got {text!r} ({error.msg})") from None
    return _value(tree, names, path)


def _value(tree: ast.expr, names: dict[str, Any], path: Path) -> Any:
    if isinstance(tree, ast.Name):
        return _named(tree.id, names, path)
    if isinstance(tree, ast.Attribute):
        held = _value(tree.value, names, path)
        if not hasattr(held, tree.attr):
            raise UsageError(f"{ast.unparse(tree.value)} of {path} has no {tree.attr}")
        return getattr(held, tree.attr)
    if isinstance(tree, ast.Call):
        function = _value(tree.func, names, path)
        try:
            positional = [ast.literal_eval(a) for a in tree.args]
            named = {str(k.arg): ast.literal_eval(k.value) for k in tree.keywords}
        except ValueError:
            text = ast.unparse(tree)
            raise UsageError(f"arguments in {text} must be numbers, texts, tuples …") from None
        try:
            return function(*positional, **named)
        except Exception as error:
            raise UsageError(
                f"{ast.unparse(tree)} raised {type(error).__name__}: {error}"
            ) from error
    raise UsageError(f"expected a name or a call behind {path}:, got {ast.unparse(tree)!r}")


def _named(name: str, names: dict[str, Any], path: Path) -> Any:
    if name in names:
        return names[name]
    own = public_names(names, path.stem)
    listed = f"; it defines {', '.join(own)}" if own else ""
    raise UsageError(f"{path} has no {name}{did_you_mean(name, own) or listed}")
