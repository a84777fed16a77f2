"""Plain operations: one base for all of them, threads for large arrays, one function each."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tinygrad_cnn import Tensor
from tinygrad_cnn.kernels.pointwise import elementwise as kernels
from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.pointwise.ufunc import Binary, Unary, binary, unary


def plain(base: type[Any]) -> list[type[Any]]:
    """The package's operations of a base, those that tests define left out."""
    found = []
    for op in base.__subclasses__():
        if op.__module__.startswith("tinygrad_cnn."):
            found += plain(op) if op.backward is Op.backward else [op]
    return found


OPS = plain(Unary) + plain(Binary)


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.__name__)
def test_large_arrays_are_shared_out_over_threads(
    op: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = []

    def both(work: Any, length: int, grain: int) -> None:
        assert grain > 0
        lengths.append(length)
        work(0, length // 2)
        work(length // 2, length)

    monkeypatch.setattr(kernels, "parallel", both)
    low = 1.25 if op.__name__ == "Acosh" else 0.25
    x = np.linspace(low, low + 0.5, kernels.PARALLEL_SIZE, dtype=np.float32)
    operands = (x,) if issubclass(op, Unary) else (x, x[::-1].copy())
    got = op().forward(*operands)
    assert lengths == [x.size]
    assert got.dtype == np.float32
    assert np.array_equal(got, op.ufunc(*operands))
    lengths.clear()
    op().forward(*[each[:100] for each in operands])
    assert not lengths


@pytest.mark.parametrize("function", [F.exp, F.log, F.log1p, F.sqrt, F.tanh])
def test_bytes_give_single_floats_and_their_digits(function: Any) -> None:
    x = np.array([1, 2, 20], np.uint8)
    got = function(x)
    assert got.dtype == np.float32
    assert np.array_equal(got, function(x.astype(np.float64)).astype(np.float32))
    assert function(Tensor(x)).dtype == np.float32


def test_one_base_serves_many() -> None:
    assert len(OPS) > 12


def test_a_function_has_the_name_the_text_and_the_place_of_its_op() -> None:
    assert F.log1p.__name__ == "log1p"
    assert F.log1p.__module__ == "tinygrad_cnn.ops.elementwise"
    assert (F.log1p.__doc__ or "").startswith("Natural logarithm of")
    assert list(inspect.signature(F.log1p).parameters) == ["input"]
    assert list(inspect.signature(F.maximum).parameters) == ["input", "other"]


def test_a_plain_operation_is_a_few_lines() -> None:
    class Reciprocal(Unary):
        """1 / x."""

        __slots__ = ()
        ufunc = np.reciprocal
        saves = ("out",)

        def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:  # noqa: ARG002
            return (g * out * out * -1.0,)

    x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    unary(Reciprocal)(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [-1.0, -0.25]


def test_functions_are_made_of_ops_without_settings() -> None:
    class Scaled(Op):
        """Scaled."""

        __slots__ = ("scale",)

        def __init__(self, scale: float) -> None:
            self.scale = scale

    for maker in (unary, binary):
        with pytest.raises(TypeError, match="scale"):
            maker(Scaled)
