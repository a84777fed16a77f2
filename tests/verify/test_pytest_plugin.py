"""The plugin for pytest, in runs of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_cnn

FILE = """
import numpy as np
from tinygrad_cnn.verify import assert_gradients as plain

class Double:
    def forward(self, x):
        return 2 * x
    def backward(self, dout):
        return -2 * dout

def test_right(assert_gradients):
    assert assert_gradients(np.tanh, np.ones(3), framework="tinygrad").seed == 5
    assert plain(np.tanh, np.ones(3)).seed == 5
    assert plain(np.tanh, np.ones(3), seed=2).seed == 2

def test_wrong(assert_gradients):
    assert_gradients(Double(), np.ones(3))

def test_other_failure():
    assert 1 == 2
"""


def run(folder: Path, *options: str) -> tuple[int, str]:
    (folder / "test_it.py").write_text(FILE)
    path = os.pathsep.join([str(Path(tinygrad_cnn.__file__).parents[1]), str(folder)])
    plugin = ["-p", "tinygrad_cnn.verify.pytest_plugin", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, *options],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_failure_is_the_report_and_the_seed_is_for_all(tmp_path: Path) -> None:
    status, out = run(tmp_path, "--gradient-seed", "5")
    assert status == 1
    assert "gradient checks: --gradient-seed 5" in out
    assert "2 failed, 1 passed" in out
    wrong = out[out.index("_ test_wrong _") : out.index("_ test_other_failure _")]
    assert "FAIL         Double · x [3]" in wrong
    assert "hint: the sign is flipped" in wrong
    assert "test_it.py:17: GradientError (--gradient-seed 5)" in wrong
    assert "raise_if_wrong" not in wrong
    assert "assert 1 == 2" in out


@pytest.mark.slow
def test_other_seeds(tmp_path: Path) -> None:
    _, out = run(tmp_path, "--gradient-seed", "random")
    assert "gradient checks: --gradient-seed " in out
    _, out = run(tmp_path)
    assert "--gradient-seed 0" in out
    assert "gradient checks" not in out
    status, out = run(tmp_path, "--gradient-seed", "x")
    assert status == 4
    assert "--gradient-seed: expected a number or random, got 'x'" in out
