"""What a reader finds in each file: short, documented, finished."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources import FILES, NAME, REPOSITORY, ROOT, name_of, none


def test_files_are_short() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    none(f"{name_of(path)} has {n} lines: 420 at most" for path, n in lengths.items() if n > 420)


def modules() -> list[str]:
    names = [m.name for m in pkgutil.walk_packages([str(ROOT)], f"{NAME}.")]
    return [NAME, *(name for name in names if not name.endswith("__main__"))]


def test_public_names_exist_and_have_docstrings() -> None:
    def wrong(name: str) -> Iterator[str]:
        module = importlib.import_module(name)
        listed = list(getattr(module, "__all__", ()))
        if not (module.__doc__ or "").strip():
            yield f"{name} has no docstring"
        for public in listed:
            if not hasattr(module, public):
                yield f"{name}.__all__ names {public}, which does not exist"
            if listed.count(public) > 1:
                yield f"{name}.__all__ names {public} twice"
        for public, value in vars(module).items():
            if public.startswith("_") or getattr(value, "__module__", None) != name:
                continue
            documented = (getattr(value, "__doc__", None) or "").strip()
            if (inspect.isfunction(value) or inspect.isclass(value)) and not documented:
                yield f"{name}.{public} has no docstring"

    none(said for name in modules() for said in wrong(name))


def tracked() -> list[Path]:
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("not a git checkout")
    return [REPOSITORY / name for name in done.stdout.decode().split("\0") if name]


# The classes of one letter keep this file from matching itself.
MACHINE = re.compile(r"(?<![\w.])/(?:wor[k]|opt/env[s]|roo[t])/|\.\./share[d]")
UNFINISHED = re.compile(r"\b(?:TOD[O]|FIXM[E]|XX[X])\b")


def test_no_tracked_file_names_a_path_of_a_machine_or_something_unfinished() -> None:
    found = []
    for path in tracked():
        if not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # images and archives
        for number, line in enumerate(text.splitlines(), 1):
            if MACHINE.search(line) or UNFINISHED.search(line):
                found.append(f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()[:80]}")
    assert not found, "\n".join(found)


def test_the_regexes_see_what_they_should() -> None:
    for folder in ("work", "opt/envs", "root"):
        assert MACHINE.search(f"open('/{folder}/x')")
    assert MACHINE.search(f"see ..{'/shared'}/design.md")
    for text in ("framework/main", "the root/ of", "network/x", "https://example.org/work/x"):
        assert not MACHINE.search(text), text
