"""`tinygrad-cnn run`: a PyTorch script, unchanged."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tinygrad_cnn.cli.main import main
from tinygrad_cnn.torch.finder import stand_in, step_back

SCRIPT = """\
import sys
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim
from torch.utils.data import DataLoader, TensorDataset
from helper import scale

assert torch.nn is nn and torch.nn.functional is F
torch.manual_seed(0)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(72, 3))
net = net.to(device)
x, y = torch.randn(8, 1, 8, 8) * scale, torch.randint(0, 3, (8,))
optimizer = optim.SGD(net.parameters(), lr=0.1)
for images, labels in DataLoader(TensorDataset(x, y), batch_size=4, shuffle=True):
    optimizer.zero_grad()
    loss = F.cross_entropy(net(images.to(device)), labels.to(device))
    loss.backward()
    optimizer.step()
torch.save(net.state_dict(), sys.argv[2])
net.load_state_dict(torch.load(sys.argv[2], map_location="cpu"))
print(sys.argv[1:2], x.size(0), __name__)
"""


def write(folder: Path, text: str) -> str:
    (folder / "helper.py").write_text("scale = 2.0\n")
    path = folder / "script.py"
    path.write_text(text)
    return str(path)


@pytest.fixture(autouse=True)
def _nothing_left() -> Any:
    before = set(sys.modules)
    yield
    assert not {"torch", "torchvision"} & (set(sys.modules) - before)
    sys.modules.pop("helper", None)


def test_a_script_runs(tmp_path: Path, capsys: Any) -> None:
    weights, picture = tmp_path / "net.pt", tmp_path / "graph.dot"
    script = write(tmp_path, SCRIPT)
    argv, path = sys.argv, list(sys.path)
    status = main(["run", "--check", "--picture", str(picture), script, "--flag", str(weights)])
    out, err = capsys.readouterr()
    assert out == "['--flag'] 8 __main__\n"
    assert err.startswith("tinygrad-cnn run: torch and torchvision are tinygrad_cnn's")
    assert "check_graph: " in err
    assert "watch_training: nothing found in 2 steps" in err
    assert status == 0
    assert weights.exists()
    assert "digraph" in picture.read_text()
    assert sys.argv is argv
    assert sys.path == path


def test_what_is_wrong_in_a_training_step_is_said(tmp_path: Path, capsys: Any) -> None:
    wrong = SCRIPT.replace("net.parameters()", "net[3:].parameters()")
    script = write(tmp_path, wrong.replace("    optimizer.zero_grad()\n", ""))
    status = main(["run", "--check", script, "--flag", str(tmp_path / "net.pt")])
    err = capsys.readouterr().err
    assert status == 1
    assert "missing: the optimiser does not have 0.weight, 0.bias" in err
    assert "not cleared: the gradients of 3.weight, 3.bias still held" in err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("from torch.nn import LSTM", "torch.nn.LSTM is not here: recurrent layers"),
        ("import torch.utils.tensorboard", "torch.utils.tensorboard is not here: metrics"),
        ("import torch\ntorch.fft", "torch.fft is not here: Fourier transforms"),
        ("import torch\n\n\n1 / 0", 'script.py", line 4'),
        ("import torch\ntorch.zeros(1).cuda()", "device: expects 'cpu', got 'cuda'"),
    ],
)
def test_what_goes_wrong_is_said(tmp_path: Path, capsys: Any, text: str, said: str) -> None:
    assert main(["run", write(tmp_path, text)]) == 1
    err = capsys.readouterr().err
    assert said in err
    assert "runpy" not in err


def test_wrong_rules_are_found(tmp_path: Path, capsys: Any) -> None:
    text = """
import torch
class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2
    @staticmethod
    def backward(ctx, g):
        return g
x = torch.randn(3, requires_grad=True)
Twice.apply(x).sum().backward()
"""
    assert main(["run", "--check", write(tmp_path, text)]) == 1
    assert "Twice" in capsys.readouterr().err
    assert main(["run", "--check", write(tmp_path, "import torch")]) == 1
    assert "called backward() nowhere" in capsys.readouterr().err


def test_exits_and_missing_files(tmp_path: Path, capsys: Any) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["run", write(tmp_path, "raise SystemExit(3)")])
    assert exit_.value.code == 3
    assert main(["run", str(tmp_path / "none.py")]) == 2
    assert "there is no file" in capsys.readouterr().err


def test_the_names_come_and_go() -> None:
    stand_in()
    try:
        import torch.nn.functional as F

        import tinygrad_cnn.torch.nn.functional as ours

        assert F is ours
        assert F.__spec__.name == "tinygrad_cnn.torch.nn.functional"
        with pytest.raises(ModuleNotFoundError):
            import torch.nothing  # noqa: F401
    finally:
        step_back()
    assert "torch" not in sys.modules
