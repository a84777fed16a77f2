"""Arrays that come from outside are watched, whatever way they reach a node."""

# ruff: noqa: ARG002  # rules take every input: the protocol
from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import Tensor, nn, tensor
from tinygrad_cnn import functional as F
from tinygrad_cnn.graph import GraphError
from tinygrad_cnn.op import Op
from tinygrad_cnn.random import manual_seed
from tinygrad_cnn.tensor import as_tensor

Array = np.ndarray[Any, Any]


class Tagged(np.ndarray):  # type: ignore[type-arg]
    """A subclass as users make them."""


def plain(values: Any, _: Path) -> Array:
    return np.array(values)


def a_subclass(values: Any, _: Path) -> Array:
    return np.array(values).view(Tagged)


def a_memmap(values: Any, folder: Path) -> Array:
    values = np.array(values)
    mapped = np.memmap(folder / "values", values.dtype, "w+", shape=values.shape)
    mapped[...] = values
    return mapped


def a_buffer(values: Any, _: Path) -> Array:
    values = np.array(values)
    memory = mmap.mmap(-1, max(values.nbytes, 1))
    shared = np.frombuffer(memory, values.dtype, values.size).reshape(values.shape)
    shared[...] = values
    return shared


def a_view(values: Any, _: Path) -> Array:
    values = np.array(values)
    around = np.zeros((2, *values.shape), values.dtype)
    around[1] = values
    return around[1]


KINDS = [plain, a_subclass, a_memmap, a_buffer, a_view]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda f: f.__name__)

w = np.array([2.0, 3.0])
x = np.arange(1.0, 7.0).reshape(3, 2)
image = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
classes = np.array([0, 1, 1])

# Each calls something with a leaf and an array from outside whose values its rule reads.
USES: dict[str, tuple[Any, Any, Callable[[Tensor, Any], Any]]] = {
    "mul": (w, w, lambda t, a: t * a),
    "rmul": (w, w, lambda t, a: F.mul(a, t)),
    "div": (w, w, lambda t, a: t / a),
    "pow": (w, w, lambda t, a: t**a),
    "matmul": (w, x, lambda t, a: F.matmul(a, t)),
    "where": (w, np.array([True, False]), lambda t, a: F.where(a, t, 0.0)),
    "maximum": (w, w, lambda t, a: F.maximum(t, a)),
    "linear": (x, x, lambda t, a: F.linear(a, t)),
    "Linear": (np.ones((1, 2)), x, lambda t, a: nn.Linear(2, 1).double()(a * t)),
    "conv2d": (np.ones((1, 1, 2, 2)), image, lambda t, a: F.conv2d(a, t)),
    "conv2d weight": (image, np.ones((1, 1, 2, 2)), lambda t, a: F.conv2d(t, a)),
    "cross_entropy": (x, w, lambda t, a: F.cross_entropy(t, classes, weight=a)),
    "cross_entropy smooth": (
        x,
        w,
        lambda t, a: F.cross_entropy(t, classes, weight=a, label_smoothing=0.1),
    ),
    "probabilities": (x, np.full((3, 2), 0.5), lambda t, a: F.cross_entropy(t, a)),
    "mse_loss": (w, w + 1.0, lambda t, a: F.mse_loss(t, a)),
    "bce weight": (
        w,
        w,
        lambda t, a: F.binary_cross_entropy_with_logits(t, np.ones(2), weight=a),
    ),
    "batch_norm": (x, w, lambda t, a: F.batch_norm(t, np.zeros(2), np.ones(2), weight=a)),
    "running_var": (x, w, lambda t, a: F.batch_norm(t, np.zeros(2), a)),
    "layer_norm": (x, w, lambda t, a: F.layer_norm(t, 2, weight=a)),
    "clip": (w, w, lambda t, a: F.clip(t, a, None)),
    "as_tensor": (w, w, lambda t, a: t * as_tensor(a)),
    "a list of arrays": (w, w, lambda t, a: F.stack([t, t]) * a),
}


@every_kind
@pytest.mark.parametrize("use", USES)
def test_an_array_written_to_before_the_backward_pass(
    use: str, kind: Callable[..., Array], tmp_path: Path
) -> None:
    """Its rule raises, or gives the gradient of the values from before."""
    values, given, function = USES[use]

    def run(change: bool) -> Any:
        leaf = tensor(values.copy(), requires_grad=True)
        array = kind(given, tmp_path)
        manual_seed(0)
        loss = function(leaf, array).sum()
        if change:
            array[...] = np.logical_not(array) if array.dtype == np.bool_ else array + 4.0
        try:
            loss.backward()
        except GraphError as error:
            return str(error)
        assert leaf.grad is not None
        return leaf.grad.numpy()

    after, before = run(True), run(False)
    assert not isinstance(before, str)
    if isinstance(after, str):
        assert "was changed in place after the forward pass" in after
    else:
        np.testing.assert_array_equal(after, before)


@every_kind
@pytest.mark.parametrize("use", ["mul", "matmul", "where", "conv2d", "linear", "as_tensor"])
def test_these_raise(use: str, kind: Callable[..., Array], tmp_path: Path) -> None:
    values, given, function = USES[use]
    leaf = tensor(values.copy(), requires_grad=True)
    array = kind(given, tmp_path)
    loss = function(leaf, array).sum()
    array[...] = 0
    with pytest.raises(GraphError, match="changed in place"):
        loss.backward()


@every_kind
def test_as_tensor_of_any_kind_holds_a_plain_array(
    kind: Callable[..., Array], tmp_path: Path
) -> None:
    array = kind(w, tmp_path)
    t = as_tensor(array, requires_grad=True)
    assert type(t.numpy()) is np.ndarray
    array[0] = 9.0
    assert t.numpy()[0] == 9.0
    loss = (t * t).sum()
    array[0] = 5.0
    with pytest.raises(GraphError, match="changed in place"):
        loss.backward()


class Scaled(Op):
    """An operation as users write them, which holds an array."""

    def __init__(self, factor: Any) -> None:
        self.factor = factor

    def forward(self, x: Any) -> Any:
        return x * self.factor

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g * self.factor,)


class Masked(Op):
    """An operation as users write them, whose aux is an array that they hold."""

    has_aux = True
    mask = np.array([True, False])

    def forward(self, x: Any) -> Any:
        return x * self.mask, self.mask

    def backward(self, g: Any, out: Any, x: Any, *, aux: Any) -> tuple[Any, ...]:
        return (g * aux,)


def test_a_setting_of_a_users_operation_is_watched() -> None:
    leaf, factor = tensor(w, requires_grad=True), np.array([5.0, 6.0])
    op = Scaled(factor)
    for _ in range(2):  # filled anew for every step: no alarm
        factor += 1.0
        op(leaf).sum().backward()
    loss = op(leaf).sum()
    factor[0] = 0.0
    with pytest.raises(GraphError, match=r"^scaled: its setting factor was changed in place"):
        loss.backward()


def test_the_aux_of_a_users_operation_is_watched() -> None:
    leaf = tensor(w, requires_grad=True)
    loss = Masked()(leaf).sum()
    Masked.mask[1] = True
    try:
        with pytest.raises(GraphError, match=r"^masked: its setting aux was changed in place"):
            loss.backward()
    finally:
        Masked.mask[1] = False


def test_masked_arrays_are_refused() -> None:
    masked = np.ma.masked_array(w, [True, False])
    for call in (lambda: tensor(w) * masked, lambda: tensor(masked), lambda: as_tensor(masked)):
        with pytest.raises(TypeError, match=r"masked array would lose its mask; give its filled"):
            call()


@pytest.mark.parametrize("array", [np.array([1j, 2.0]), np.array([1, "a"], dtype=object)])
def test_arrays_that_are_not_of_real_numbers_are_refused(array: Array) -> None:
    for call in (lambda: tensor(w) * array, lambda: tensor(w, requires_grad=True) + array):
        with pytest.raises(TypeError, match=r"expects real numbers, got an array of"):
            call()
