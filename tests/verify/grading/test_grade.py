"""Exercises as people hand them in: classes, pairs with a cache, losses with their gradient."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tinygrad_cnn.cli import grade as command
from tinygrad_cnn.cli import main as cli
from tinygrad_cnn.verify.grading import EXERCISES, grade
from tinygrad_cnn.verify.grading.grades import LEVELS

FILE = """
import numpy as np

class Convolution:
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0):
        self.W = 0.1 * np.random.randn(out_channels, in_channels, kernel_size, kernel_size)
        self.b, self.stride, self.pad = np.zeros(out_channels), stride, padding

    def windows(self, shape):
        K, s = self.W.shape[2], self.stride
        for i in range((shape[2] - K) // s + 1):
            for j in range((shape[3] - K) // s + 1):
                yield i, j, np.s_[:, :, i * s:i * s + K, j * s:j * s + K]

    def forward(self, x):
        p = self.pad
        self.x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        size = (self.x.shape[2] - self.W.shape[2]) // self.stride + 1
        out = np.zeros((len(x), len(self.W), size, size))
        for i, j, window in self.windows(self.x.shape):
            out[:, :, i, j] = np.tensordot(self.x[window], self.W, ((1, 2, 3), (1, 2, 3))) + self.b
        return out

    def backward(self, dout):
        self.dW, self.db = np.zeros_like(self.W), dout.sum((0, 2, 3))
        dx, p = np.zeros_like(self.x), self.pad
        for i, j, window in self.windows(self.x.shape):
            self.dW += np.tensordot(dout[:, :, i, j], self.x[window], ((0,), (0,)))
            dx[window] += np.tensordot(dout[:, :, i, j], self.W, ((1,), (0,)))
        return dx[:, :, p:-p, p:-p]

def affine_forward(x, w, b):
    return x @ w + b, (x, w)

def affine_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(0)

def softmax_loss(x, y):
    e = np.exp(x - x.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    d = p.copy()
    d[np.arange(len(y)), y] -= 1
    return -np.log(p[np.arange(len(y)), y]).mean(), d / len(y)

def batchnorm_forward(x, gamma, beta, bn_param):
    centred = x - x.mean(0)
    std = np.sqrt((centred ** 2).mean(0) + bn_param["eps"])
    return gamma * centred / std + beta, (centred / std, std, gamma)

def batchnorm_backward(dout, cache):
    xhat, std, gamma = cache
    d = dout * gamma
    return (d - d.mean(0) - xhat * (d * xhat).mean(0)) / std, (dout * xhat).sum(0), dout.sum(0)

class MeanSquaredError:
    def forward(self, predictions, targets):
        self.d = predictions - targets
        return (self.d ** 2).mean()

    def backward(self):
        return 2 * self.d / self.d.size
"""
SPECS = ["conv2d", "linear", "softmax_cross_entropy", "batchnorm", "mse"]
POINTS = {"conv2d": 4, "linear": 4, "softmax_cross_entropy": 2, "batchnorm": 4, "mse": 2}


def names_of(text: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "handed_in"}
    exec(text, names)
    return names


def test_right_ones_get_all_points() -> None:
    grades = grade(names_of(FILE), SPECS)
    assert grades, grades.text()
    assert {g.exercise: g.of for g in grades.grades} == POINTS
    assert grades.points == grades.of == 16


@pytest.mark.parametrize(
    ("spec", "right", "wrong", "points", "said"),
    [
        pytest.param(
            *("conv2d", "dx[window] +=", "dx[window] =", 3, "x [2, 3, 7, 7]"),
            marks=pytest.mark.slow,
        ),
        ("conv2d", " + self.b", "", 2, "forward: 128 of 128 values are wrong"),
        ("linear", "x.T @ dout", "-x.T @ dout", 3, "the sign is flipped"),
        ("linear", "dout.sum(0)\n\ndef softmax", "dout.sum(1)\n\ndef softmax", 3, "has shape (4,)"),
        ("softmax_cross_entropy", "d / len(y)", "d", 1, "a batch of 4"),
        ("batchnorm", " - xhat * (d * xhat).mean(0)", "", 3, "variance term"),
        pytest.param(
            *("batchnorm", "(centred ** 2).mean(0)", "(centred ** 2).sum(0)", 2, "forward: "),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *("mse", "2 * self.d", "self.d", 1, "half of what it should be"),
            marks=pytest.mark.slow,
        ),
        ("mse", "return 2 * self.d / self.d.size", "raise KeyError('d')", 1, "KeyError: 'd'"),
    ],
)
def test_each_mistake_costs_its_points_and_is_explained(
    spec: str, right: str, wrong: str, points: int, said: str
) -> None:
    assert FILE.count(right) == 1
    grades = grade(names_of(FILE.replace(right, wrong)), [spec])
    assert grades.points == points, grades.text()
    assert said in grades.text() or "batch" in said
    assert not grades


def test_other_names_and_missing_ones() -> None:
    names = names_of(FILE.replace("class Convolution", "class Faltung"))
    assert grade(names, ["conv2d"]).text("none").splitlines()[0].split()[1:] == [
        *("missing", "0", "of", "4")
    ]
    assert grade(names, ["conv2d=Faltung"])
    with pytest.raises(ValueError, match="expects exercises of relu, sigmoid"):
        grade(names, ["lstm"])


def test_what_raises_gets_nothing_and_says_why() -> None:
    names = names_of("class ReLU:\n  def __init__(self, x, q): pass\n  forward = backward = 1")
    grades = grade(names, ["relu"])
    assert grades.points == 0


def test_references_are_those_of_the_package() -> None:
    rng = np.random.default_rng(1)
    for name, exercise in EXERCISES.items():
        values = exercise.values(rng)
        right = exercise.reference(values, exercise.settings)
        if name == "batchnorm":
            ours = F.batch_norm(values["x"], None, None, values["w"], values["b"], training=True)
            assert np.allclose(right, ours)
        if name == "layernorm":
            assert np.allclose(right, F.layer_norm(values["x"], (6,), values["w"], values["b"]))
        assert np.isfinite(right).all()
    assert tuple(EXERCISES) == command._EXERCISES
    assert command._LEVELS == LEVELS


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("hand").mkdir()
    Path("hand/a.py").write_text(FILE + "print('what a file says')\n")
    Path("hand/b.py").write_text(FILE.replace("2 * self.d", "self.d"))
    Path("hand/c.py").write_text("nothing.here\n")
    arguments = ["grade", "hand", "--spec", "mse,linear", "--json", "g.json"]
    assert cli.main(arguments) == 1
    out = capsys.readouterr().out
    assert "6 of 6" in out
    assert "hint: it is half of what it should be" in out
    assert "hand/c.py:1 raised NameError" in out
    assert "what a file says" not in out
    found = json.loads(Path("g.json").read_text())
    assert [v.get("points") for v in found["files"].values()] == [6, 5, None]
    with pytest.raises(SystemExit):
        cli.main(["grade", "hand/a.py", "--spec", "lstm"])
    assert "expected one of relu, sigmoid" in capsys.readouterr().err
    assert cli.main(["grade", "hand/d.py", "--spec", "mse"]) == 2
    assert "there is no file hand/d.py" in capsys.readouterr().err


@pytest.mark.parametrize(("level", "hints"), [("none", 0), ("place", 0), ("hint", 1)])
def test_a_level_says_as_much_as_the_teacher_wants(level: str, hints: int) -> None:
    [found] = grade(names_of(FILE.replace("2 * self.d", "self.d")), ["mse"]).grades
    text = "\n".join(found.lines(level))
    assert ("hint:" in text) == bool(hints)
    assert ("numeric" in text) == (level != "none")
    assert json.dumps(found.to_dict(level)).count('"times 1/2"') == hints


# Asleep, so that it takes no time from other tests; `test_a_file_that_never_ends` has one awake.
ENDLESS = """
import time

class Sigmoid:
    def forward(self, x):
        while True:
            time.sleep(1)
    def backward(self, dout):
        return dout

class Tanh:
    def forward(self, x):
        import os
        os._exit(3)
    def backward(self, dout):
        return dout
"""


@pytest.mark.slow  # two seconds of waiting
def test_what_never_ends_costs_its_exercise_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.py").write_text(FILE + ENDLESS)
    arguments = ["grade", "a.py", "--spec", "sigmoid,tanh,mse", "--max-seconds", "2"]
    assert cli.main([*arguments, "--json", "g.json"]) == 1
    out = capsys.readouterr().out
    assert "took longer than 2 s (an endless loop?)" in out
    assert "ended its process (status 3)" in out
    assert out.endswith("2 of 6\n")
    found = json.loads(Path("g.json").read_text())["files"]["a.py"]["exercises"]
    assert [exercise["points"] for exercise in found] == [0, 0, 2]


def test_one_process_grades_all_exercises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = FILE + "with open('runs', 'a') as file:\n    file.write('*')\n"
    Path("a.py").write_text(text)
    assert cli.main(["grade", "a.py", "--spec", "mse,linear,batchnorm"]) == 0
    assert "10 of 10" in capsys.readouterr().out
    assert Path("runs").read_text() == "*"


@pytest.mark.slow
def test_a_file_that_never_ends_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.py").write_text("while True:\n    pass\n")
    Path("b.py").write_text("name = input()\n")
    Path("c.py").write_text(FILE)
    assert cli.main(["grade", ".", "--spec", "mse", "--max-seconds", "2"]) == 1
    out = capsys.readouterr().out
    assert "a.py: running it took longer than 2 s (an endless loop?)" in out
    assert "b.py:1 raised EOFError" in out
    assert out.endswith("2 of 2\n\n")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX has them")
def test_what_was_graded_is_kept_after_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(FILE)
    (tmp_path / "b.py").write_text(FILE + ENDLESS)
    (tmp_path / "c.py").write_text(FILE)
    arguments = ["grade", ".", "--spec", "mse,sigmoid", "--json", "g.json"]
    child = subprocess.Popen(
        [sys.executable, "-m", "tinygrad_cnn", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith("b.py"):
            break
    time.sleep(4)  # the second file's first exercise is graded meanwhile
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "interrupted" in err
    assert "mse" in out
    found = json.loads((tmp_path / "g.json").read_text())
    assert found["not_graded"] == ["c.py"]
    assert [v.get("not_graded") for v in found["files"].values()] == [None, ["sigmoid"]]
    assert "not graded: sigmoid" in out
    assert [v["points"] for v in found["files"].values()] == [2, 2]
