"""Ctrl-C, termination and kills, in processes of their own: what is left, and how it goes on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import python
from tests.training.small import weights_of
from tinygrad_cnn.cli.main import main

ROOT = Path(__file__).parents[2]
OPTIONS = ["batchnorm", "--epochs", "3", "--batch-size", "30", "--threads", "1", "--no-check"]

# Signals itself in the middle of the work on a step.
AT_STEP = """
import os, sys
from tinygrad_cnn.cli import main as cli
from tinygrad_cnn.cli import train
from tinygrad_cnn.training import trainer
train.report_run = lambda *_, **__: 0
number, step = int(sys.argv[1]), int(sys.argv[2])
inside = trainer.Trainer._train_step
def train_step(self, images, labels):
    wanted = self.total_steps + 1 == step
    update = self.optimizer.step
    def signalled():
        update()
        os.kill(os.getpid(), number)
    self.optimizer.step = signalled if wanted else update
    inside(self, images, labels)
    self.optimizer.step = update
trainer.Trainer._train_step = train_step
sys.exit(cli.main(sys.argv[3:]))
"""

# Kills itself when a file, all written, is about to take its place.
AT_RENAME = """
import os, pathlib, signal, sys
from tinygrad_cnn.cli import main as cli
from tinygrad_cnn.cli import train
train.report_run = lambda *_, **__: 0
name, count = sys.argv[1], int(sys.argv[2])
inside = pathlib.Path.replace
def replace(self, target):
    global count
    if pathlib.Path(target).name == name:
        count -= 1
        if count == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return inside(self, target)
pathlib.Path.replace = replace
sys.exit(cli.main(sys.argv[3:]))
"""


def run(script, *arguments):
    return python("-c", script, *arguments)


@pytest.fixture(scope="module")
def whole(data_folder, tmp_path_factory):
    """The weights of a run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    arguments = ["train", *OPTIONS, "--data", str(data_folder), "--out", str(folder), "--quiet"]
    assert main(arguments) == 0
    return weights_of(folder)


def resumed(folder, capsys):
    assert main(["train", "--resume", str(folder)]) == 0
    assert f"going on with {folder} after " in capsys.readouterr().out
    assert not list(folder.glob(".*"))
    return weights_of(folder)


@pytest.mark.parametrize(
    ("number", "step", "where"),
    [
        (signal.SIGINT, 5, "1 epochs and 2 of 3 steps"),
        pytest.param(*(signal.SIGTERM, 3, "1 epochs and 0 of 3 steps"), marks=pytest.mark.slow),
    ],
)
def test_a_signal_saves_and_says_how_to_go_on(
    number, step, where, whole, data_folder, tmp_path, capsys
):
    arguments = ["train", *OPTIONS, "--data", data_folder, "--out", tmp_path / "the run"]
    ended = run(AT_STEP, int(number), step, *arguments)
    assert ended.returncode == 128 + number, ended.stderr
    assert ended.stderr.splitlines()[-1] == (
        f"stopped after {where}; to go on: tinygrad-cnn train --resume '{tmp_path / 'the run'}'"
    )
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "the run" / "model.npz").exists()
    assert resumed(tmp_path / "the run", capsys) == whole


@pytest.mark.slow
def test_a_signal_in_the_last_step_is_too_late(whole, data_folder, tmp_path):
    arguments = ["train", *OPTIONS, "--data", data_folder, "--out", tmp_path / "run"]
    ended = run(AT_STEP, int(signal.SIGINT), 9, *arguments)
    assert ended.returncode == 0, ended.stderr
    assert weights_of(tmp_path / "run") == whole


first_middle_last = [
    pytest.param(1, marks=pytest.mark.slow),
    6,
    pytest.param(8, marks=pytest.mark.slow),
]


@pytest.mark.parametrize("step", first_middle_last)
def test_killed_in_a_step(step, whole, data_folder, tmp_path, capsys):
    arguments = ["train", *OPTIONS, "--data", data_folder, "--out", tmp_path]
    ended = run(AT_STEP, int(signal.SIGKILL), step, *arguments)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert resumed(tmp_path, capsys) == whole


@pytest.mark.slow
@pytest.mark.parametrize(("name", "count"), [("checkpoint.npz", 3), ("metrics.csv", 2)])
def test_killed_while_saving(name, count, whole, data_folder, tmp_path, capsys):
    arguments = ["train", *OPTIONS, "--data", data_folder, "--out", tmp_path]
    ended = run(AT_RENAME, name, count, *arguments)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert list(tmp_path.glob(".*.part"))
    assert resumed(tmp_path, capsys) == whole


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.npz", "curves.png"])
def test_killed_after_the_last_epoch(name, whole, data_folder, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    arguments = ["train", *OPTIONS, "--data", data_folder, "--out", tmp_path]
    ended = run(AT_RENAME, name, 1, *arguments)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert resumed(tmp_path, capsys) == whole


@pytest.mark.slow
def test_killed_before_the_first_checkpoint(whole, data_folder, tmp_path, capsys):
    arguments = ["train", *OPTIONS, "--data", data_folder, "--out", tmp_path]
    assert run(AT_RENAME, "checkpoint.npz", 1, *arguments).returncode == -signal.SIGKILL
    assert resumed(tmp_path, capsys) == whole


@pytest.mark.slow
def test_killed_before_there_was_a_run(whole, data_folder, tmp_path, capsys):
    arguments = ["train", *OPTIONS, "--data", str(data_folder), "--out", str(tmp_path)]
    assert run(AT_RENAME, "config.json", 1, *arguments).returncode == -signal.SIGKILL
    assert main(["train", "--resume", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        f"tinygrad-cnn train: {tmp_path} is not the folder of a run: it has no checkpoint.npz\n"
    )
    assert main([*arguments, "--quiet"]) == 0
    assert weights_of(tmp_path) == whole


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_a_sample_of_the_kills_at_every_write():
    """The whole: python tests/training/kill_everywhere.py."""
    done = subprocess.run(
        [sys.executable, ROOT / "tests/training/kill_everywhere.py", "--no-report", "--every=397"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "folders equal to the undisturbed one" in done.stdout
