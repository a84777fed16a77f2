"""``tinygrad-cnn onnx``: info, run, check, graph, finetune."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tests.onnx_files.build import model, node, value
from tests.onnx_files.test_load import small_cnn
from tinygrad_cnn import nn
from tinygrad_cnn.cli.main import main
from tinygrad_cnn.data import Splits, digits
from tinygrad_cnn.onnx import OnnxError, load, save
from tinygrad_cnn.onnx.coding import decode
from tinygrad_cnn.onnx.heads import ends_in_softmax, replace_head
from tinygrad_cnn.onnx.messages import Model
from tinygrad_cnn.onnx.pictures import Form, form_of, resized


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "small.onnx"
    file.write_bytes(small_cnn())
    return file


def test_info_and_run(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["onnx", "info", str(path)]) == 0
    assert "input   x: float[N, 1, 4, 4]" in capsys.readouterr().out
    image = path.with_name("image.npy")
    np.save(image, np.ones((2, 1, 4, 4), np.float32))
    out = path.with_name("out.npz")
    assert main(["onnx", "run", str(path), "--input", str(image), "--out", str(out)]) == 0
    assert "y: float32 2×3, from" in capsys.readouterr().out
    with np.load(out) as arrays:
        expected = load(path)(np.ones((2, 1, 4, 4), np.float32)).detach().numpy()
        np.testing.assert_allclose(arrays["y"], expected, 1e-4, 1e-6)
    assert main(["onnx", "run", str(path), "--data", "digits", "--batch", "3"]) == 0
    assert "y: float32 3×3" in capsys.readouterr().out


def test_check_and_graph(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = path.with_name("report.json")
    assert main(["onnx", "check", str(path), "--train", "--json", str(report)]) == 0
    out = capsys.readouterr().out
    assert "net.conv.weight" in out
    assert "drawn at random" in out
    assert json.loads(report.read_text())["ok"]
    picture = path.with_name("graph.dot")
    assert main(["onnx", "graph", str(path), "--check", "--out", str(picture)]) == 0
    assert "/net/conv/Conv" in picture.read_text()
    assert main(["onnx", "graph", str(path), "--depth", "1"]) == 0
    assert "net" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["info", "{}/none.onnx"], 1, "none.onnx"),
        (["run", "{}/small.onnx", "--input", "z=a.npy"], 2, "the inputs are x"),
        (["run", "{}/small.onnx", "--input", "a.npy", "--data", "digits"], 2, "does not go with"),
        (["finetune", "--data", "digits"], 2, "expected a MODEL and --data"),
        (["finetune", "{}/small.onnx", "--data", "digits", "--freeze", "q*"], 1, "no parameter"),
        (["finetune", "{}/small.onnx", "--data", "digits", "--freeze", "*"], 1, "nothing is left"),
        (["finetune", "{}/small.onnx", "--data", "digits", "--quiet"], 1, "--replace-head 10"),
        (["finetune", "--resume", "{}"], 1, "is not the folder of a run"),
    ],
)
def test_what_is_wrong_is_said(
    path: Path,
    words: list[str],
    status: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(path.parent)
    assert main(["onnx", *(word.format(path.parent) for word in words)]) == status
    said = capsys.readouterr().err
    assert message in said
    assert len(said.strip().splitlines()) == 1


@pytest.mark.slow
def test_finetune_resume_and_what_it_leaves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, run = tmp_path / "first.onnx", tmp_path / "run"
    conv, head = nn.Conv2d(3, 4, 3, stride=4), nn.Linear(4 * 4 * 4, 7)
    network = nn.Sequential({"conv": conv, "relu": nn.ReLU(), "flat": nn.Flatten(), "fc": head})
    save(nn.Sequential(network, nn.Softmax(1)), np.ones((2, 3, 16, 16), np.float32), first)
    words = ["onnx", "finetune", str(first), "--data", "digits", "--replace-head", "10"]
    words += ["--freeze", "0.conv.*", "--epochs", "1", "--lr", "0.002", "--no-check", "--quiet"]
    assert main([*words, "--out", str(run)]) == 0
    assert "accuracy" in capsys.readouterr().out
    before, after = load(first), load(run / "model.onnx")
    assert after(np.ones((2, 3, 16, 16), np.float32)).shape == (2, 10)
    frozen = [n for n, _ in before.named_parameters() if n.startswith("0.conv.")]
    assert frozen
    for name, parameter in before.named_parameters():
        new = dict(after.named_parameters())[name]
        same = new.shape == parameter.shape and bool((new.numpy() == parameter.numpy()).all())
        assert same is (name in frozen), name
    assert (run / "original.onnx").is_file()
    assert main(["onnx", "finetune", "--resume", str(run)]) == 0
    assert "is finished" in capsys.readouterr().out
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "tinygrad-cnn onnx finetune first.onnx --replace-head 10" in page


def test_a_new_head() -> None:
    data = decode(Model, small_cnn())
    new = replace_head(data, 5, np.random.default_rng(0))
    from tinygrad_cnn.onnx.module import OnnxModule

    network = OnnxModule(new)
    assert network(np.ones((2, 1, 4, 4), np.float32)).shape == (2, 5)
    assert not dict(network.named_parameters())["fc.bias"].detach().numpy().any()
    assert not ends_in_softmax(data)
    for nodes, message in (
        ([node("Relu", "x", "y")], "ends in Relu"),
        ([node("MatMul", "x w", "a"), node("Mul", "a a", "y")], "ends in Mul"),
        ([node("MatMul", "x w", "a"), node("Reshape", "a k", "y")], "a Reshape stands behind"),
        ([node("MatMul", "x w", "a"), node("MatMul", "a w", "y")], "serve elsewhere"),
    ):
        tensors = {"w": np.ones((2, 2), np.float32), "k": np.array([2, 2])}
        other = decode(Model, model(nodes, [value("x", 2, 2)], "y", tensors))
        with pytest.raises(OnnxError, match=message):
            replace_head(other, 3, np.random.default_rng(0))


def test_images_as_a_network_takes_them() -> None:
    last = decode(Model, model([node("Relu", "x", "y")], [value("x", "N", 24, 24, 3)], "y"))
    form = form_of(last)
    assert form == Form(3, 24, 24, last=True)
    few = digits().train
    few = type(few)(few.images[:9], few.labels[:9], few.classes)
    train, _ = resized(Splits(few, few), form)
    pixels = few.images[:, None].astype(np.float32)
    scaled = np.rint(F.interpolate(pixels, (24, 24), mode="bilinear", antialias=True))
    np.testing.assert_array_equal(train.images[:, :1], scaled)
    assert train.images.shape[1:] == (3, 24, 24)
    assert form.arranged(train.images[:2]).shape == (2, 24, 24, 3)
    grey = resized(Splits(train, train), Form(1, 28, 28, last=False)).train
    assert grey.images.shape[1:] == (1, 28, 28)
    opened = decode(Model, model([node("Relu", "x", "y")], [value("x", "N", 3, "H", "W")], "y"))
    with pytest.raises(OnnxError, match="any size: say which with --size"):
        form_of(opened)
    assert form_of(opened, 32) == Form(3, 32, 32, last=False)
    minus = decode(Model, model([node("Relu", "x", "y")], [value("x", -1, 3, -1, -1)], "y"))
    assert form_of(minus, 32) == Form(3, 32, 32, last=False)
    for shape, message in (((1, 5, 8, 8), "1 or 3 channels"), ((1, 8), "one input of images")):
        other = decode(Model, model([node("Relu", "x", "y")], [value("x", *shape)], "y"))
        with pytest.raises(OnnxError, match=message):
            form_of(other)
