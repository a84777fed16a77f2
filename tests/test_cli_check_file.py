"""``tinygrad-cnn check FILE.py:NAME``: names, inputs, exit status, JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn.cli import main as cli
from tinygrad_cnn.cli.user_file import public_names

Command = Callable[..., tuple[Any, str, str]]

FILE = """
import numpy as np
from neighbour import two
import tinygrad_cnn.functional as F
from tinygrad_cnn import Op, nn, tensor

class Linear:
    def __init__(self, n, m, wrong=False):
        self.W, self.b, self.wrong = np.ones((n, m)), np.zeros(m), wrong
    def forward(self, x):
        self.x = x
        return x @ self.W + self.b
    def backward(self, dout):
        self.dW, self.db = two / 2 * self.x.T @ dout, dout.sum(0)
        return (-1 if self.wrong else 1) * dout @ self.W.T

class Relu:
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask
    def backward(self, dout):
        return dout * self.mask

class Cube(Op):
    saves = ("x",)
    def forward(self, x):
        return x ** 3
    def backward(self, g, out, x):
        return (3 * g * x ** 2,)

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

def squared(x):
    return x * x

model = nn.Linear(5, 2)
loss = F.tanh(tensor([0.5], requires_grad=True)).sum()
number = 3

class Half:
    def forward(self, x):
        return x

def no(x):
    raise KeyError("never")
"""


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(FILE)
    Path("neighbour.py").write_text("two = 2\n")
    Path("imports.py").write_text("import nowhere_to_be_found\n")
    Path("broken.py").write_text("x = 1\n\nx.nothing\n")

    def run(*arguments: str) -> tuple[Any, str, str]:
        try:
            status: Any = cli.main(["check", *arguments])
        except SystemExit as error:
            status = error.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.mark.parametrize(
    ("name", "head", "last"),
    [
        ("Linear(3, 2)", "numpy, inputs 4x3 (found by trying", "PASS: 3 gradients, 3 PASS"),
        ("Relu", "numpy, inputs 4x3", "PASS: 1 gradients, 1 PASS"),
        ("Cube", "tinygrad, inputs 4x3", "PASS: 1 gradients, 1 PASS"),
        ("affine", "numpy, inputs 4x3, 3x5, 5", "PASS: 3 gradients, 3 PASS"),
        ("affine_forward,affine_backward", "numpy, inputs 4x3", "PASS: 3 gradients, 3 PASS"),
        ("softmax_loss", "numpy, inputs 4x3, 4:3", "PASS: 2 gradients, 1 PASS, 1 SKIPPED"),
        ("squared", "tinygrad, inputs 4x3", "PASS: 1 gradients, 1 PASS"),
        ("model", "tinygrad, inputs 4x5", "PASS: 12 gradients, 12 PASS"),
        ("loss", "tinygrad, inputs none", "PASS: 3 gradients, 3 PASS"),
    ],
)
def test_what_a_file_defines_is_checked(command: Command, name: str, head: str, last: str) -> None:
    status, out, err = command(f"mine.py:{name}")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith(f"mine.py:{name}: {head}")
    assert lines[-1].startswith(last.partition(":")[0])
    assert lines[-1] == last or name == "model"


def test_a_wrong_gradient_fails_with_its_hint_and_its_json(command: Command) -> None:
    target = "mine.py:Linear(3, 2, wrong=True)"
    status, out, _ = command(target, "--input", "6x3", "--seed", "3", "--json", "report.json")
    assert status == 1
    assert "hint: the sign is flipped" in out
    found = json.loads(Path("report.json").read_text())
    assert (found["target"], found["inputs"], found["ok"]) == (target, ["6x3"], False)
    assert (found["guessed"], found["seed"], found["framework"]) == (False, 3, "numpy")
    assert found["report"]["results"][0]["hints"][0]["code"] == "sign"


def test_inputs_may_come_from_files(command: Command) -> None:
    np.save("x.npy", np.ones((2, 3)))
    assert command("mine.py:Linear(3,2)", "--input", "x.npy")[0] == 0
    status, _, err = command("mine.py:Linear(3,2)", "--input", "y.npy")
    assert status == 2
    assert "--input: y.npy" in err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nowhere.py:f"], 2, "there is no file nowhere.py"),
        (["mine.py"], 2, "expected mine.py:NAME; it defines Linear, Relu, Cube, affine_forward"),
        (["mine.py:Rellu"], 2, "mine.py has no Rellu; did you mean 'Relu'?"),
        (["mine.py:Linear"], 2, "Linear needs arguments, as Linear(3, 8)"),
        (["mine.py:Linear(3)"], 2, "Linear(3) raised TypeError"),
        (["mine.py:Linear(two, 2)"], 2, "arguments in Linear(two, 2) must be numbers"),
        (["mine.py:1 +"], 2, "expected a name behind mine.py:"),
        (["mine.py:Linear(3"], 2, "got 'Linear(3' ('(' was never closed)"),
        (["mine.py:two"], 2, "two is of type int: expected a function, a class, a module"),
        (["mine.py:Half"], 2, "Half has a forward pass and no backward: nothing to check"),
        (["mine.py:no"], 2, "(no usual shapes fit: with 4x3 it raised KeyError: 'never'"),
        (["mine.py:model.nothing"], 2, "model of mine.py has no nothing"),
        (["mine.py:squared", "--input", "axb"], 2, "argument --input: expected a shape such as"),
        (["mine.py:squared", "--input", "4:10"], 2, "at least one differentiable input"),
        (["mine.py:squared", "--framework", "keras"], 2, "expected one of tinygrad, torch"),
        (["imports.py:x"], 1, "imports.py:1 raised ModuleNotFoundError: No module named 'nowhere"),
        (["broken.py:x"], 1, "broken.py:3 raised AttributeError"),
    ],
)
def test_mistakes_are_said_in_one_line(
    command: Command, arguments: list[str], status: int, message: str
) -> None:
    found, out, err = command(*arguments)
    assert (found, out) == (status, "")
    assert message in err
    assert err.count("\n") == 1


def test_public_names_are_those_of_the_file_itself() -> None:
    own = type("Own", (), {"__module__": "mine"})
    assert public_names({"Own": own, "_Own": own, "np": np.exp, "n": 3}, "mine") == ["Own"]
