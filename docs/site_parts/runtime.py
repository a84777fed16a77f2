"""Python in the reader's browser: a Pyodide distribution, packed into the site.

Everything lies in scripts beside the pages, compressed and in base64: pages opened as files may
load scripts but nothing else, so the same site runs from a folder, a sub-path and a server.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

NEED_THREADS = ("data", "reproducible")  # loaders with workers; WebAssembly has none
CORE = ("pyodide.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json")


class NoRuntimeError(ValueError):
    """A folder that has no Pyodide, or one without NumPy."""


def pack(distribution: Path, root: Path, target: Path) -> None:
    """Write what pages run Python with into `target`: the runtime, NumPy, this package.

    `distribution` is an unpacked Pyodide distribution that holds NumPy's wheel. The wheels of
    this package and of its pure dependencies are made by pip.
    """
    files = runtime(distribution)
    with tempfile.TemporaryDirectory() as scratch:
        wheels = _wheels(root, Path(scratch))
        for path in [*files, *wheels, Path(__file__).with_name("worker.js")]:
            _write(path, target)
    listed = {"files": [p.name for p in files], "wheels": [p.name for p in wheels]}
    (target / "files.js").write_text(f"const RUNTIME = {json.dumps(listed)};\n", encoding="utf-8")


def runtime(distribution: Path) -> list[Path]:
    """Return the files of a distribution that are needed; raise NoRuntimeError without them."""
    compiled = [
        p for n in ("pyodide.asm.js", "pyodide.asm.mjs") if (p := distribution / n).is_file()
    ]
    missing = [name for name in CORE if not (distribution / name).is_file()]
    if missing or not compiled:
        missing += [] if compiled else ["pyodide.asm.js"]
        raise NoRuntimeError(
            f"--pyodide: {distribution} is no Pyodide distribution, it lacks {', '.join(missing)}"
        )
    lock = json.loads((distribution / "pyodide-lock.json").read_text(encoding="utf-8"))
    return [*(distribution / n for n in CORE), compiled[0], *_packages(distribution, lock)]


def _packages(distribution: Path, lock: dict[str, Any]) -> list[Path]:
    """Return NumPy's wheel and those it needs, each with the checksum that the lock file names."""
    needed, found = ["numpy"], []
    for name in needed:
        entry = lock["packages"].get(name, {})
        path = distribution / entry.get("file_name", f"{name}-…-wasm32.whl")
        if not path.is_file():
            raise NoRuntimeError(
                f"--pyodide: {distribution} has Pyodide and no {path.name}; take a "
                "whole distribution, or put the wheel that its pyodide-lock.json names beside it"
            )
        if hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
            raise NoRuntimeError(f"--pyodide: {path} is not the file that pyodide-lock.json names")
        found.append(path)
        needed += [other for other in entry["depends"] if other not in needed]
    return found


def _wheels(root: Path, scratch: Path) -> list[Path]:
    """Return the wheels of this package and of its dependencies but NumPy."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pure = [needed for needed in project["dependencies"] if not needed.startswith("numpy")]
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(scratch)]
    command += ["--disable-pip-version-check", str(root)]
    done = subprocess.run([*command, *pure], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoRuntimeError(f"--pyodide: pip made no wheels:\n{done.stderr[-2000:]}")
    return sorted(scratch.glob("*.whl"))


def _write(path: Path, target: Path) -> None:
    """Write a file as a script that hands it over."""
    target.mkdir(parents=True, exist_ok=True)
    packed = base64.b64encode(gzip.compress(path.read_bytes(), 6, mtime=0)).decode("ascii")
    (target / f"{path.name}.js").write_text(
        f'RUNTIME.take("{path.name}", "{packed}");\n', encoding="ascii"
    )
