"""Start a program on several ranks, where MPI can be had."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

_BESIDE = Path(sys.executable).parent / "mpiexec"
MPIEXEC = str(_BESIDE) if _BESIDE.exists() else shutil.which("mpiexec")

needs_mpi = pytest.mark.skipif(
    MPIEXEC is None or importlib.util.find_spec("mpi4py") is None,
    reason="needs mpi4py and mpiexec: pip install 'tinygrad-cnn[mpi]'",
)

_BEGINNING = """
import numpy as np
import tinygrad_cnn as tg
from tinygrad_cnn import distributed as dist, nn
import tinygrad_cnn.functional as F
rank, size = dist.rank(), dist.world_size()
"""


def launched(ranks: int, *command: str) -> list[str]:
    assert MPIEXEC is not None
    return [MPIEXEC, "-n", str(ranks), sys.executable, *command]


def environment() -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    return {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}


def run(program: str, folder: Path, ranks: int = 2) -> subprocess.CompletedProcess[str]:
    """Run a program on each rank, in a folder of its own."""
    path = folder / "program.py"
    path.write_text(_BEGINNING + textwrap.dedent(program), encoding="utf-8")
    return subprocess.run(
        launched(ranks, str(path)),
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def passed(program: str, folder: Path, ranks: int = 2) -> str:
    """Run a program that must end well; return what it printed."""
    done = run(program, folder, ranks)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
