"""PyTorch's words for modules: hooks, parts by path, containers, lazy layers, nn.utils."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import Tensor, nn, optim, tensor
from tinygrad_cnn.nn import utils
from tinygrad_cnn.nn.utils import parametrize, prune


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


X = tensor(np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32))


def test_hooks_of_the_forward_pass() -> None:
    model = net()
    plain = model(X).detach().numpy()
    seen: list[Any] = []
    before = model[2].register_forward_pre_hook(lambda m, args: (args[0] * 2,))
    after = model[2].register_forward_hook(lambda m, args, out: seen.append((m, args, out)))
    doubled = model(X).detach().numpy()
    assert not np.allclose(plain, doubled)
    assert seen[0][0] is model[2]
    np.testing.assert_array_equal(seen[0][2].detach().numpy(), doubled)
    before.remove()
    after.remove()
    np.testing.assert_array_equal(model(X).detach().numpy(), plain)
    assert len(seen) == 1
    order: list[str] = []
    model.register_forward_hook(lambda *_: order.append("second"))
    model.register_forward_hook(lambda *_: order.append("first"), prepend=True)
    model(X)
    assert order == ["first", "second"]

    class Words(nn.Module):
        def forward(self, x: Any, *, scale: float = 1.0) -> Any:
            if scale == 0:
                raise ValueError("no scale")
            return x * scale

    words = Words()
    words.register_forward_pre_hook(
        lambda m, a, k: (a, {"scale": 3.0 * k["scale"]}), with_kwargs=True
    )
    calls: list[Any] = []
    words.register_forward_hook(
        lambda m, a, k, out: calls.append(out), with_kwargs=True, always_call=True
    )
    assert words(tensor([1.0]), scale=2.0).tolist() == [6.0]
    with pytest.raises(ValueError, match=r"no scale"):
        words(tensor([1.0]), scale=0.0)
    assert calls[1] is None


def test_layers_with_hooks_are_computed_one_by_one() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2))
    shapes: list[Any] = []
    for layer in model:
        layer.register_forward_hook(lambda m, a, out: shapes.append((type(m).__name__, out.shape)))
    model(np.ones((1, 1, 6, 6), np.float32))
    model(tg.ones(1, 1, 6, 6))
    kinds = [("Conv2d", (1, 2, 4, 4)), ("ReLU", (1, 2, 4, 4)), ("MaxPool2d", (1, 2, 2, 2))]
    assert shapes == kinds * 2


def test_hooks_of_the_backward_pass() -> None:
    model = net()
    told: list[Any] = []
    handle = model[1].register_full_backward_hook(lambda m, gi, go: told.append((gi, go)))
    first: list[Any] = []
    model[0].register_full_backward_hook(lambda m, gi, go: first.append((gi, go)))
    model(X).sum().backward()
    (gi,), (go,) = told[0]
    weight = model[2].weight.detach().numpy()
    expected = np.broadcast_to(weight.sum(0), (5, 4))
    np.testing.assert_allclose(go.numpy(), expected, rtol=1e-6)
    hidden = model[0](X).detach().numpy()
    np.testing.assert_allclose(gi.numpy(), expected * (hidden > 0), rtol=1e-6)
    assert first[0][0] == (None,)  # the images want no gradient
    handle.remove()
    model[1].register_full_backward_hook(lambda m, gi, go: (gi[0] * 0,))
    model.zero_grad()
    model(X).sum().backward()
    assert not np.any(model[0].weight.grad.numpy())
    twice = nn.Identity()
    twice.register_full_backward_pre_hook(lambda m, go: (go[0] * 2,))
    x = tensor([1.0], requires_grad=True)
    twice(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2.0]


def test_hooks_of_the_state() -> None:
    model = net()
    model[0].register_state_dict_post_hook(lambda m, state, prefix, _: state.pop(prefix + "bias"))
    assert list(model.state_dict()) == ["0.weight", "2.weight", "2.bias"]
    other = net()
    other.register_load_state_dict_pre_hook(
        lambda m, state, *_: state.update({"0.bias": np.ones(4)})
    )
    loaded: list[Any] = []
    other.register_load_state_dict_post_hook(lambda m, keys: loaded.append(keys))
    other.load_state_dict(model.state_dict())
    assert other[0].bias.tolist() == [1.0] * 4
    assert loaded == [([], [])]


def test_parts_by_path_and_by_kind() -> None:
    model = nn.Sequential(net(), nn.BatchNorm1d(2))
    assert model.get_submodule("0.2") is model[0][2]
    assert model.get_submodule("") is model
    assert model.get_parameter("0.0.weight") is model[0][0].weight
    assert model.get_buffer("1.running_mean") is model[1].running_mean
    model.set_submodule("0.1", nn.Tanh())
    assert isinstance(model[0][1], nn.Tanh)
    for wrong in (lambda: model.get_submodule("5"), lambda: model.get_parameter("0.0.weights")):
        with pytest.raises(AttributeError, match=r"^get_\w+: Sequential has no"):
            wrong()
    assert list(model._modules) == ["0", "1"]
    assert list(model[1]._parameters) == ["weight", "bias"]
    assert list(model[1]._buffers) == ["running_mean", "running_var", "num_batches_tracked"]
    model._modules["1"] = nn.Identity()
    assert isinstance(model[1], nn.Identity)
    del model._modules["1"]
    assert len(model) == 1
    shared = nn.Linear(2, 2)
    both = nn.Sequential(shared, shared)
    assert len(list(both.named_parameters(remove_duplicate=False))) == 4
    assert len(list(both.named_modules(remove_duplicate=False))) == 3
    assert [name for name, _ in both.named_modules(prefix="a")] == ["a", "a.0"]


def test_wrappers_may_ask_elsewhere() -> None:
    class Wrapper(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

        def __getattr__(self, name: str) -> Any:
            try:
                return super().__getattr__(name)
            except AttributeError:
                return getattr(self.module, name)

    inner = nn.Linear(3, 2)
    assert Wrapper(inner).in_features == 3
    with pytest.raises(AttributeError, match=r"'Linear' object has no attribute 'nothing'"):
        Wrapper(inner).nothing  # noqa: B018


def test_places_and_types() -> None:
    model = net()
    assert model.to("cpu") is model.cpu() is model.share_memory() is model
    assert model.to("cpu", tg.float64)[0].weight.dtype == np.float64
    assert model.half()[0].weight.dtype == np.float16
    assert model.to(tensor([1.0]))[0].weight.dtype == np.float32
    for call in (lambda: model.cuda(), lambda: model.to("cuda:0")):
        with pytest.raises(ValueError, match=r"^device: expects 'cpu'"):
            call()
    model(X).sum().backward()
    model.zero_grad(set_to_none=False)
    assert not np.any(model[0].weight.grad.numpy())
    model.zero_grad()
    assert model[0].weight.grad is None


def test_buffers_that_are_assigned() -> None:
    class Counter(nn.Module):
        def __init__(self) -> None:
            self.seen = nn.Buffer(tensor([0.0]))
            self.hidden = nn.Buffer(tensor([1.0]), persistent=False)

    counter = Counter()
    assert [n for n, _ in counter.named_buffers()] == ["seen", "hidden"]
    assert list(counter.state_dict()) == ["seen"]


def test_containers_by_key() -> None:
    parts = nn.ModuleDict({"a": nn.Linear(2, 3)})
    parts["b"] = nn.ReLU()
    parts.update([("c", nn.Linear(3, 1))])
    assert [*parts] == ["a", "b", "c"] == list(parts.keys())
    assert "a" in parts
    assert parts.get("z") is None
    assert isinstance(parts.pop("b"), nn.ReLU)
    assert [n for n, _ in parts.named_parameters()] == ["a.weight", "a.bias", "c.weight", "c.bias"]
    del parts["a"]
    assert len(parts) == 1
    parts.clear()
    assert len(parts) == 0
    weights = nn.ParameterDict({"w": tensor([1.0])})
    assert isinstance(weights["w"], nn.Parameter)
    listed = nn.ParameterList([tensor([1.0]), nn.Parameter([2.0])]).append(tensor([3.0]))
    assert [p.item() for p in listed] == [1.0, 2.0, 3.0]
    assert len(listed[1:]) == 2
    listed[0] = tensor([5.0])
    assert listed[0].item() == 5.0
    for wrong in (
        lambda: nn.ModuleDict({"a": 3}),
        lambda: nn.ModuleDict({3: nn.ReLU()}),
        lambda: nn.ParameterList([3]),
        lambda: nn.ParameterDict({"a": nn.ReLU()}),
    ):
        with pytest.raises(TypeError, match=r"^(ModuleDict|Parameter\w+): expects"):
            wrong()
    with pytest.raises(ValueError, match=r"already has 'keys'"):
        nn.ModuleDict({"keys": nn.ReLU()})
    with pytest.raises(KeyError, match=r"no 'q' among"):
        parts["q"]


@pytest.mark.parametrize(
    ("lazy", "shape", "plain"),
    [
        (lambda: nn.LazyLinear(4), (2, 3), nn.Linear),
        (lambda: nn.LazyConv1d(4, 2), (2, 3, 5), nn.Conv1d),
        (lambda: nn.LazyConv2d(4, kernel_size=2, bias=False), (2, 3, 5, 5), nn.Conv2d),
        (lambda: nn.LazyConv3d(4, 2), (2, 3, 4, 4, 4), nn.Conv3d),
        (lambda: nn.LazyConvTranspose1d(4, 2), (2, 3, 5), nn.ConvTranspose1d),
        (lambda: nn.LazyConvTranspose2d(4, 2), (2, 3, 5, 5), nn.ConvTranspose2d),
        (lambda: nn.LazyConvTranspose3d(4, 2), (2, 3, 4, 4, 4), nn.ConvTranspose3d),
        (lambda: nn.LazyBatchNorm1d(), (2, 3, 5), nn.BatchNorm1d),
        (lambda: nn.LazyBatchNorm2d(1e-3), (2, 3, 5, 5), nn.BatchNorm2d),
        (lambda: nn.LazyBatchNorm3d(), (2, 3, 2, 2, 2), nn.BatchNorm3d),
        (lambda: nn.LazyInstanceNorm1d(), (2, 3, 5), nn.InstanceNorm1d),
        (lambda: nn.LazyInstanceNorm2d(affine=True), (2, 3, 5, 5), nn.InstanceNorm2d),
        (lambda: nn.LazyInstanceNorm3d(), (2, 3, 2, 2, 2), nn.InstanceNorm3d),
    ],
)
def test_layers_that_look_at_their_first_input(lazy: Any, shape: Any, plain: Any) -> None:
    model = nn.Sequential(lazy()).double()
    if type(model[0]).__name__.startswith("LazyLinear"):
        with pytest.raises(ValueError, match=r"has no parameters before its first input"):
            optim.SGD(model.parameters(), lr=0.1)
    out = model(tensor(np.ones(shape)))
    assert out.dtype == np.float64
    assert type(model[0]) is plain
    assert all(p.dtype == np.float64 for p in model.parameters())
    with pytest.raises(TypeError, match=r"^LazyLinear: "):
        nn.LazyLinear(1, 2, 3, 4)


def test_vectors_of_parameters() -> None:
    model = net()
    vector = utils.parameters_to_vector(model.parameters())
    assert vector.shape == (3 * 4 + 4 + 4 * 2 + 2,)
    utils.vector_to_parameters(vector * 0 + 1, model.parameters())
    assert all((p == 1).all() for p in model.parameters())
    with pytest.raises(ValueError, match=r"^vector_to_parameters: expects a vector of 26"):
        utils.vector_to_parameters(vector[1:], model.parameters())


def test_weights_of_a_norm() -> None:
    layer = nn.Conv2d(2, 3, 3)
    weight = layer.weight.detach().numpy()
    plain = copy.deepcopy(layer)
    utils.weight_norm(layer)
    np.testing.assert_allclose(layer.weight.detach().numpy(), weight, rtol=1e-5)
    x = tensor(np.ones((1, 2, 4, 4), np.float32))
    np.testing.assert_allclose(
        layer(x).detach().numpy(), plain(x).detach().numpy(), rtol=1e-4, atol=1e-6
    )
    layer(x).sum().backward()
    g = layer.parametrizations.weight.original0
    assert g.shape == (3, 1, 1, 1)
    assert g.grad is not None
    assert len(list(layer.parameters())) == 3
    assert parametrize.is_parametrized(layer, "weight")
    utils.remove_weight_norm(layer)
    assert type(layer) is nn.Conv2d
    assert len(list(layer.parameters())) == 2
    spectral = utils.spectral_norm(nn.Linear(6, 5))
    for _ in range(30):
        spectral(tg.ones(1, 6))
    assert abs(np.linalg.norm(spectral.weight.detach().numpy(), 2) - 1) < 1e-3
    with pytest.raises(ValueError, match=r"has no parameter 'w'"):
        parametrize.register_parametrization(nn.Linear(2, 2), "w", nn.Identity())


def test_folded_normalisation() -> None:
    linear, norm = nn.Linear(3, 4), nn.BatchNorm1d(4)
    norm(linear(X))
    linear.eval(), norm.eval()
    fused = utils.fuse_linear_bn_eval(linear, norm)
    np.testing.assert_allclose(
        fused(X).detach().numpy(), norm(linear(X)).detach().numpy(), rtol=1e-4, atol=1e-6
    )
    conv, batch = nn.ConvTranspose2d(2, 3, 2, bias=False).eval(), nn.BatchNorm2d(3).eval()
    batch.running_var.fill_(4.0)
    x = tg.ones(1, 2, 3, 3)
    np.testing.assert_allclose(
        utils.fuse_conv_bn_eval(conv, batch, transpose=True)(x).detach().numpy(),
        batch(conv(x)).detach().numpy(),
        rtol=1e-4,
        atol=1e-6,
    )
    with pytest.raises(ValueError, match=r"expects both in evaluation"):
        utils.fuse_conv_bn_eval(conv.train(), batch)


def test_pruning() -> None:
    layer = nn.Linear(4, 3)
    prune.l1_unstructured(layer, "weight", 0.5)
    small = np.sort(np.abs(layer.weight_orig.detach().numpy()).ravel())
    assert int((layer.weight == 0).sum()) == 6
    assert np.abs(layer.weight.detach().numpy()).max() == small[-1]
    assert sorted(layer.state_dict()) == ["bias", "weight_mask", "weight_orig"]
    (layer(tg.ones(2, 4)) ** 2).sum().backward()
    assert not np.any(layer.weight_orig.grad.numpy()[layer.weight_mask.numpy() == 0])
    prune.random_unstructured(layer, "weight", 12)
    assert not layer.weight.detach().numpy().any()
    assert prune.is_pruned(nn.Sequential(layer))
    prune.remove(layer, "weight")
    assert type(layer) is nn.Linear
    assert not prune.is_pruned(layer)
    rows = prune.ln_structured(nn.Linear(4, 3), "weight", 1, 2, 0)
    assert int((rows.weight.abs().sum(1) == 0).sum()) == 1
    assert prune.identity(nn.Linear(2, 2), "bias").bias_mask.tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match=r"^prune: 'weight' of Linear is not pruned"):
        prune.remove(layer, "weight")
    with pytest.raises(ValueError, match=r"^prune: amount expects"):
        prune.l1_unstructured(layer, "weight", 1.5)
    assert isinstance(layer.weight, Tensor)
