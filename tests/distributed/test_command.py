"""`mpiexec -n 2 tinygrad-cnn train`: one run folder, one voice, and it goes on after anything."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.distributed.launch import environment, launched, needs_mpi
from tests.training.small import write_folder

pytestmark = [pytest.mark.slow, needs_mpi]

# Batches of 32 of 90 images: the last has 26.
OPTIONS = ["batchnorm", "--batch-size", "32", "--threads", "1", "--no-check"]

COMMAND = ["at_step.py", "-1", "0", "train"]

# The command without its report, which takes seconds; a rank may do something to itself in a step.
AT_STEP = """
import os, sys
from tinygrad_cnn.cli import main as cli
from tinygrad_cnn.cli import train
from tinygrad_cnn.training import trainer
train.report_run = lambda *_, **__: 0
from tinygrad_cnn.distributed import rank
inside = trainer.Trainer._train_step
def train_step(self, images, labels):
    if self.total_steps == 4 and rank() == int(sys.argv[1]):
        os.kill(os.getpid(), int(sys.argv[2]))
    inside(self, images, labels)
trainer.Trainer._train_step = train_step
sys.exit(cli.main(sys.argv[3:]))
"""


def start(command: list[str], folder: Path, ranks: int = 2) -> subprocess.CompletedProcess[str]:
    whole = launched(ranks, *command) if ranks > 1 else [sys.executable, *command]
    return subprocess.run(
        whole, cwd=folder, env=environment(), capture_output=True, text=True, timeout=120
    )


def weights_in(run: Path) -> dict[str, np.ndarray]:
    with np.load(run / "model.npz", allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def rows_in(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("command")
    (folder / "data").mkdir()
    write_folder(folder / "data")
    (folder / "at_step.py").write_text(AT_STEP)
    return folder


def test_a_run_of_two_ranks_is_one_run(place: Path) -> None:
    options = [*COMMAND, *OPTIONS, "--data", "data", "--epochs", "2", "--out"]
    done = start([*options, "whole"], place)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("saved in whole") == 1
    assert done.stderr.count("2 processes share each batch") == 1
    assert [row["step"] for row in rows_in(place / "whole")] == ["3", "6"]

    # Ctrl-C on one rank alone: both stop after the step, and rank 0 saves.
    stopped = start(["at_step.py", "1", str(int(signal.SIGINT)), *options[3:], "stopped"], place)
    assert stopped.returncode == 128 + signal.SIGINT, stopped.stderr
    assert "stopped after 1 epochs and 2 of 3 steps" in stopped.stderr
    assert "to go on: mpiexec -n 2 tinygrad-cnn train --resume stopped" in stopped.stderr
    # It goes on with as many ranks to the same bits, and with another number to the end.
    assert start([*COMMAND, "--resume", "stopped"], place).returncode == 0
    for name, array in weights_in(place / "whole").items():
        assert array.tobytes() == weights_in(place / "stopped")[name].tobytes(), name


def test_two_ranks_learn_what_one_process_learns(place: Path) -> None:
    """To rounding in float32, where nothing is drawn; one normalises over the joint batch."""
    options = ["momentum", *OPTIONS[1:], "--data", "data", "--epochs", "1", "--out"]
    for ranks, name in ((1, "one"), (2, "two")):
        done = start([*COMMAND, *options, name], place, ranks)
        assert done.returncode == 0, done.stderr
    for name, array in weights_in(place / "one").items():
        np.testing.assert_allclose(weights_in(place / "two")[name], array, 1e-3, 1e-6, err_msg=name)
    scores = [rows_in(place / name)[0]["train_loss"] for name in ("one", "two")]
    assert float(scores[0]) == pytest.approx(float(scores[1]), rel=1e-5)


def test_a_killed_rank_ends_all_and_one_process_goes_on(place: Path) -> None:
    options = ["train", *OPTIONS, "--data", "data", "--epochs", "2", "--out", "killed"]
    began = time.monotonic()
    killed = start(["at_step.py", "1", str(int(signal.SIGKILL)), *options], place)
    assert killed.returncode
    assert time.monotonic() - began < 60
    assert "goes on with: mpiexec -n 2 tinygrad-cnn train --resume killed" in killed.stderr
    assert len(rows_in(place / "killed")) == 1  # what was saved is there
    done = start([*COMMAND, "--resume", "killed"], place, ranks=1)
    assert done.returncode == 0, done.stderr
    assert len(rows_in(place / "killed")) == 2


def test_an_error_is_said_once_and_ends_all(place: Path) -> None:
    done = start([*COMMAND, "--resume", "nowhere"], place)
    assert done.returncode == 1
    assert done.stderr.count("there is no folder nowhere") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_on_rank_0_ends_all(place: Path) -> None:
    script = place / "full.py"
    script.write_text(
        AT_STEP.replace(
            "os.kill(os.getpid(), int(sys.argv[2]))", "open('/dev/full', 'w').write('x' * 10**6)"
        )
    )
    done = start(
        [str(script), "0", "0", "train", *OPTIONS, "--data", "data", "--out", "full"], place
    )
    assert done.returncode == 1
    assert done.stderr.count("No space left on device") == 1
