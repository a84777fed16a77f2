"""Networks written as ONNX files: equal in onnxruntime, any batch, names kept, refusals by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tests.onnx_files.build import model, node, value
from tinygrad_cnn import models, nn, no_grad, optim, tensor
from tinygrad_cnn.linalg import cholesky
from tinygrad_cnn.onnx import OnnxError, info, load, save

RNG = np.random.default_rng(0)


def floats(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


class Of(nn.Module):
    """A module around a function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def forward(self, *inputs: Any) -> Any:
        return self.function(*inputs)


class Mixed(nn.Module):
    """Layers and functions of many kinds."""

    def __init__(self) -> None:
        self.up = nn.ConvTranspose2d(3, 6, 3, 2, 1, 1)
        self.groups = nn.GroupNorm(2, 6)
        self.own = nn.InstanceNorm2d(6, affine=True)
        self.slope = nn.PReLU(6)
        self.norm = nn.LayerNorm(8)
        self.linear = nn.Linear(8, 4)

    def forward(self, x: Any) -> Any:
        y = self.slope(self.own(self.groups(self.up(x))))
        y = F.gelu(y) + F.silu(y) * F.mish(y) - F.gelu(y, approximate="tanh")
        y = F.interpolate(F.adaptive_avg_pool2d(y, (5, 8)), scale_factor=2.0, mode="bilinear")
        y = self.linear(self.norm(F.avg_pool2d(y, 3, 2, 1)))
        rows = F.softmax(y.flatten(1).reshape(len(x), -1, 2), -1)
        z = rows.mean(1) + rows.var(1) + rows.std(1, correction=0)
        last = F.cat([z, z[..., ::-1]], 1), F.roll(z, 1, 1), F.relu6(z).amax(1, keepdim=True)
        return z[:, :1] * 2.0, F.stack([z, z], 1)[:, 0, None], *last


def run(path: Path, *inputs: Any) -> list[Any]:
    runtime = pytest.importorskip("onnxruntime", reason="the oracle of what was written")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    return list(session.run(None, dict(zip(names, inputs, strict=True))))


def check(network: nn.Module, path: Path, shape: tuple[int, ...], opset: int = 17) -> None:
    """Save, look at the file by ONNX's own checker, and compare batches of other sizes."""
    onnx = pytest.importorskip("onnx", reason="its checker looks at the file")
    save(network, floats(*shape), path, opset=opset)
    onnx.checker.check_model(str(path), full_check=True)
    network.eval()
    for batch in (1, 3):
        x = floats(batch, *shape[1:])
        with no_grad():
            expected = network(tensor(x))
        several = expected if isinstance(expected, tuple) else (expected,)
        for got, want in zip(run(path, x), several, strict=True):
            array = want.numpy()
            np.testing.assert_allclose(got, array, 1e-5, 1e-5 * abs(array).max(), strict=True)


@pytest.mark.slow
@pytest.mark.parametrize("opset", [17, 18, 21])
def test_mixed_layers(tmp_path: Path, opset: int) -> None:
    check(Mixed(), tmp_path / "m.onnx", (2, 3, 6, 8), opset)


LIKE_OTHERS = ("alexnet", "vgg11", "vgg16", "resnet18", "resnet34", "resnet50")  # and large


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in models.ARCHITECTURES if n not in LIKE_OTHERS])
def test_every_network(tmp_path: Path, name: str) -> None:
    network = models.ARCHITECTURES[name]
    side = network.image_size
    check(network.make(3, 10), tmp_path / "m.onnx", (2, 3, side, side))


@pytest.mark.slow
@pytest.mark.parametrize("name", list(models.NETWORKS))
def test_networks_of_digits(tmp_path: Path, name: str) -> None:
    side = models.NETWORKS[name].image_size
    check(models.NETWORKS[name].build(), tmp_path / "m.onnx", (2, 1, side, side))


def test_names_batch_and_the_network_are_kept(tmp_path: Path) -> None:
    network = models.BatchNorm().train()
    for parameter in network.conv1.parameters():
        parameter.requires_grad = False
    before = network.state_dict()
    path = tmp_path / "m.onnx"
    save(network, floats(2, 1, 28, 28), path, input_names=["image"], output_names=["logits"])
    assert network.training
    assert not network.conv1.weight.requires_grad
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    found = info(path)
    assert found.inputs == {"image": "float[batch, 1, 28, 28]"}
    assert found.outputs == {"logits": "float[batch, 10]"}
    loaded = load(path)
    assert {n for n, _ in loaded.named_parameters()} == {n for n, _ in network.named_parameters()}
    assert {n for n, _ in loaded.named_buffers()} == {
        n for n, _ in network.named_buffers() if "num_batches" not in n
    }
    x = floats(5, 1, 28, 28)
    np.testing.assert_allclose(loaded(x).numpy(), network.eval()(x).detach().numpy(), 1e-4, 1e-5)


def test_a_loaded_network_is_written_back(tmp_path: Path) -> None:
    first, second = tmp_path / "a.onnx", tmp_path / "b.onnx"
    save(models.BatchNorm(), floats(2, 1, 28, 28), first)
    network = load(first)
    save(network, None, second)
    assert second.read_bytes() == first.read_bytes()
    network.train()
    sgd = optim.SGD(network.parameters(), 0.1)
    x = floats(4, 1, 28, 28)
    losses = []
    for _ in range(3):
        sgd.zero_grad()
        loss = F.cross_entropy(network(x), np.arange(4))
        loss.backward()
        sgd.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    save(network.eval(), None, second)
    again = load(second)
    np.testing.assert_array_equal(again(x).numpy(), network(x).numpy())
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, again.state_dict()[name])


def test_weights_in_nodes_and_of_other_types_are_written_back(tmp_path: Path) -> None:
    from tinygrad_cnn.onnx.tensors import write_tensor

    half = write_tensor("w", np.array([[0.5, -2.0]], np.float32), 16)
    data = model(
        [node("Constant", "", "w", value=half), node("MatMul", "x w", "y")], [value("x", 2, 1)], "y"
    )
    network = load(data)
    with no_grad():
        dict(network.named_parameters())["w"].mul_(3.0)
    save(network, None, tmp_path / "m.onnx")
    again = load(tmp_path / "m.onnx")
    assert dict(again.named_parameters())["w"].tolist() == [[1.5, -6.0]]
    found = info(tmp_path / "m.onnx")
    assert found.operators == {"Constant": 1, "MatMul": 1}
    assert found.weights == ("w",)
    assert found.parameters == 2


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: F.where(x.numpy() > 0, x, 0.0), "outside of the graph and depends on the input"),
        (lambda x: x / len(x), "outside of the graph and depends on the input"),
        (lambda x: cholesky(x @ x.transpose(-1, -2) + np.eye(2)), "cholesky in the network"),
        (lambda x: tensor(np.ones((2, 2))), "is not made of the input by recorded operations"),
        (lambda x: "text", "output 0 is str, no tensor"),
        (lambda x: x[:, : len(x) - 1], "a slice is"),
        (lambda x: F.dropout(x, 0.5), "dropout in the network"),
        (lambda x: F.relu(x) if (x.numpy() > 0).all() else F.exp(x), "does other things"),
    ],
)
def test_refusals(tmp_path: Path, function: Any, message: str) -> None:
    with pytest.raises(OnnxError, match=message):
        save(Of(function), np.abs(floats(2, 2, 2)), tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_arguments_that_are_refused(tmp_path: Path) -> None:
    relu = nn.ReLU()
    for example, settings, message in (
        (np.array([1]), {}, "floating-point numbers with a batch"),
        (floats(), {}, "floating-point numbers with a batch"),
        (floats(2), {"opset": 16}, "opset from 17 to 28"),
        (floats(2), {"input_names": ["a", "b"]}, "expects 1 names of inputs"),
        (floats(2), {"output_names": [""]}, "expects 1 names of outputs"),
    ):
        with pytest.raises(OnnxError, match=message):
            save(relu, example, tmp_path / "m.onnx", **settings)


PLAIN: list[Callable[[Any], Any]] = [
    lambda x: x,
    lambda x: F.pad(x, (1, 2), value=3.0) - 1,
    lambda x: x[:, 1, None] + x[:, [1, 1]] + x[:, :, -1:],
    lambda x: x.expand(2, *x.shape) * 2,
    lambda x: F.elu(x) + F.selu(x) + F.celu(x, 0.5) + F.hardswish(x) + F.hardsigmoid(x),
    lambda x: F.softplus(x, 2.0) + F.softshrink(x) + F.hardshrink(x) + F.threshold(x, 0.1, -1),
    lambda x: F.log1p(x.abs()) + F.expm1(x) + F.exp2(x) + F.log2(x.abs() + 1) + F.rsqrt(x * x + 1),
    lambda x: x.clamp(-1) + x.clip(np.zeros(2, np.float32), 1.0) + F.maximum(x, 0.5) + x.pow(2),
    lambda x: F.vector_norm(x, 2, -1) + x.cumsum(-1).sum(-1) + x.prod(-1) + F.logsumexp(x, -1),
    lambda x: F.tril(x) + x.transpose(1, 2) + F.roll(x, 1, -1),
    lambda x: F.adaptive_max_pool1d(x, 1) + F.max_pool1d(x, 2) + F.avg_pool1d(x, 2, 1, 1)[..., :1],
    lambda x: F.lerp(x, x * 2, 0.3) + F.logaddexp(x, -x) + F.erfc(x) + F.hypot(x, x + 1),
    lambda x: F.cbrt(x) + F.trunc(3 * x) + F.remainder(x, 0.3) + F.fmod(x, 0.7),
    lambda x: F.vector_norm(x, 3, 1) + F.topk(x, 1, 1)[0][:, 0] + F.sort(x, 1)[0][:, 0],
    lambda x: F.unfold(x[:, None], 2, padding=1) + F.gather(x, 1, np.ones(x.shape, int)).sum(),
    lambda x: F.local_response_norm(F.cat([x, np.zeros(x.shape, np.float32)], 1), 3),
    lambda x: (x.max(1)[0], x.double().round(), F.interpolate(x, 5), F.matmul(x, x)),
]


@pytest.mark.parametrize("function", PLAIN)
def test_functions_survive(tmp_path: Path, function: Any) -> None:
    """`save` itself compares what it wrote with the function, with batches of two sizes."""
    save(Of(function), floats(3, 2, 2), tmp_path / "m.onnx")
    expected = function(tensor(x := floats(5, 2, 2)))
    found = load(tmp_path / "m.onnx")(x)
    pairs = zip(*(v if isinstance(v, tuple) else (v,) for v in (found, expected)), strict=True)
    for got, want in pairs:
        np.testing.assert_allclose(got.numpy(), want.numpy(), 1e-5, 1e-6, strict=True)


@pytest.mark.slow
@pytest.mark.parametrize("function", PLAIN)
def test_functions_are_equal_elsewhere(tmp_path: Path, function: Any) -> None:
    check(Of(function), tmp_path / "m.onnx", (3, 2, 2))
