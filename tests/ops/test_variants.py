"""Functions made of others: against NumPy, with gradients where they have any."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tinygrad_cnn import tensor

_A = np.array([[1.5, -2.5, 3.0], [0.5, 4.0, -1.0]])
_B = np.array([[1.5, 2.0, -3.0], [2.0, 4.0, 0.5]])
_N = np.array([12, 7, 5])


@pytest.mark.parametrize(
    ("function", "args", "expected"),
    [
        (F.eq, (_A, _B), np.equal(_A, _B)),
        (F.ne, (_A, _B), np.not_equal(_A, _B)),
        (F.not_equal, (_A, 1.5), np.not_equal(_A, 1.5)),
        (F.lt, (_A, _B), np.less(_A, _B)),
        (F.less, (_A, _B), np.less(_A, _B)),
        (F.le, (_A, _B), np.less_equal(_A, _B)),
        (F.less_equal, (_A, _B), np.less_equal(_A, _B)),
        (F.gt, (_A, _B), np.greater(_A, _B)),
        (F.greater, (_A, _B), np.greater(_A, _B)),
        (F.ge, (_A, _B), np.greater_equal(_A, _B)),
        (F.greater_equal, (_A, _B), np.greater_equal(_A, _B)),
        (F.bitwise_and, (_N, 6), _N & 6),
        (F.bitwise_or, (_N, 6), _N | 6),
        (F.bitwise_xor, (_N, 6), _N ^ 6),
        (F.bitwise_not, (_N,), ~_N),
        (F.bitwise_left_shift, (_N, 2), _N << 2),
        (F.bitwise_right_shift, (_N, 2), _N >> 2),
        (F.gcd, (_N, 4), np.gcd(_N, 4)),
        (F.lcm, (_N, 4), np.lcm(_N, 4)),
        (F.isreal, (_A,), np.ones_like(_A, bool)),
        (lambda a: F.where(a > 1)[1], (_A,), np.nonzero(_A > 1)[1]),
    ],
)
def test_answers_without_a_gradient(function: Any, args: Any, expected: Any) -> None:
    np.testing.assert_array_equal(function(*args), expected)
    found = function(*[tensor(a) if isinstance(a, np.ndarray) else a for a in args])
    np.testing.assert_array_equal(found.numpy(), expected)
    assert found.dtype == expected.dtype


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda a, b: F.add(a, b, alpha=2), _A + 2 * _B),
        (lambda a, b: F.sub(a, b, alpha=2), _A - 2 * _B),
        (lambda a, b: F.subtract(a, b), _A - _B),
        (lambda a, b: F.rsub(a, b, alpha=2), _B - 2 * _A),
        (lambda a, b: F.multiply(a, b), _A * _B),
        (lambda a, b: F.divide(a, b), _A / _B),
        (lambda a, b: F.true_divide(a, b), _A / _B),
        (lambda a, b: F.negative(a) + F.positive(b), _B - _A),
        (lambda a, b: F.absolute(a) * b, np.abs(_A) * _B),
        (lambda a, b: F.clamp_min(a, 0.7) * b, np.maximum(_A, 0.7) * _B),
        (lambda a, b: F.clamp_max(a, 0.7) * b, np.minimum(_A, 0.7) * _B),
        (lambda a, b: F.float_power(a, 2) * b, _A**2 * _B),
        (lambda a, b: F.dist(a, b), np.linalg.norm(_A - _B)),
        (lambda a, b: F.var_mean(a * b, 1)[0], np.var(_A * _B, 1, ddof=1)),
        (lambda a, b: F.std_mean(a * b, 0, 0)[0], np.std(_A * _B, 0)),
        (lambda a, b: F.std_mean(a + b)[1], np.mean(_A + _B)),
        (lambda a, b: F.aminmax(a + b, dim=0)[1], np.max(_A + _B, 0)),
        (lambda a, b: F.meshgrid(a[0], b[1])[0], np.meshgrid(_A[0], _B[1], indexing="ij")[0]),
        (lambda a, b: F.meshgrid(a[0], b[1], indexing="xy")[1], np.meshgrid(_A[0], _B[1])[1]),
        (
            lambda a, b: F.cartesian_prod(a[0], b[1]),
            np.stack([np.repeat(_A[0], 3), np.tile(_B[1], 3)], 1),
        ),
        (lambda a, b: F.combinations(a[0], 3) * b[:1], _A[:1] * _B[:1]),
        (lambda a, b: F.combinations(a[0, :1], 2, True) * b[:2, :2], _A[0, 0] * _B[:, :2]),
        (lambda a, b: F.broadcast_tensors(a[:, :1], b)[0], np.broadcast_to(_A[:, :1], (2, 3))),
        (
            lambda a, b: F.block_diag(a, b[0]),
            np.block([[_A, np.zeros((2, 3))], [np.zeros((1, 3)), _B[:1]]]),
        ),
        (lambda a, b: F.atleast_1d(a[0, 0]), _A[:1, 0]),
        (lambda a, b: F.atleast_2d([a[0], b])[0], _A[:1]),
        (lambda a, b: F.atleast_3d(a), _A[:, :, None]),
        (lambda a, b: F.vsplit(a * b, 2)[1], (_A * _B)[1:]),
        (lambda a, b: F.hsplit(a * b, [1])[1], (_A * _B)[:, 1:]),
        (lambda a, b: F.cdist(a, b), np.linalg.norm(_A[:, None] - _B[None], axis=-1)),
        (
            lambda a, b: F.pdist(a * b, p=1),
            np.array([np.abs(np.diff(_A * _B, axis=0)).sum()]),
        ),
        (
            lambda a, b: F.bilinear(a, b, np.ones((2, 3, 3)), np.ones(2)),
            np.stack([_A.sum(1) * _B.sum(1) + 1] * 2, 1),
        ),
        (lambda a, b: F.dsplit((a * b)[None], 3)[0], (_A * _B)[None, :, :1]),
    ],
)
def test_values_and_gradients(function: Any, expected: Any) -> None:
    np.testing.assert_allclose(function(_A, _B), expected, rtol=1e-12)
    a, b = tensor(_A, requires_grad=True), tensor(_B, requires_grad=True)
    out = function(a, b)
    np.testing.assert_allclose(out.detach().numpy(), expected, rtol=1e-12)
    out.sum().backward()
    h, way = 1e-6, np.random.default_rng(0).normal(size=(2, 2, 3))
    up = np.sum(function(_A + h * way[0], _B + h * way[1]))
    down = np.sum(function(_A - h * way[0], _B - h * way[1]))
    grads = [np.zeros((2, 3)) if t.grad is None else t.grad.numpy() for t in (a, b)]
    np.testing.assert_allclose(np.sum(np.stack(grads) * way), (up - down) / (2 * h), rtol=1e-6)


def test_rounded_divisions() -> None:
    for a, b in ((np.array([-7.0, 7.0]), 2.0), (np.array([-7, 7]), np.array([2, -2]))):
        for mode, rounded in (("floor", np.floor), ("trunc", np.trunc)):
            found = F.div(a, b, rounding_mode=mode)
            assert F.div(0.3, 0.1, rounding_mode="trunc") == np.trunc(0.3 / 0.1)
            np.testing.assert_array_equal(found, rounded(a / b))
            assert found.dtype == a.dtype
    with pytest.raises(ValueError, match=r"^div: rounding_mode expects 'trunc', 'floor' or None"):
        F.div(1.0, 2.0, rounding_mode="up")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.where(_A > 0, 1.0), "^where: expects a condition alone, or both"),
        (lambda: F.positive(np.array([True])), "^positive: expects numbers, got bool"),
        (lambda: F.gcd(_A, 2), "^gcd: expects integers"),
        (lambda: F.bitwise_and(_A, 2), "^bitwise_and: expects integers or booleans"),
        (lambda: F.meshgrid(_A), "^meshgrid: expects vectors"),
        (lambda: F.meshgrid(_N, indexing="yx"), "^meshgrid: indexing expects"),
        (lambda: F.combinations(_A), "^combinations: expects a vector"),
        (lambda: F.block_diag(_A[None]), "^block_diag: expects matrices"),
        (lambda: F.cdist(_A, _B[:, :2]), "^cdist: expects"),
        (lambda: F.pdist(_N), "^pdist: expects"),
        (lambda: F.bilinear(_A, _B, _A), "^bilinear: "),
        (lambda: F.gumbel_softmax(_A, 0.0), "^gumbel_softmax: tau expects"),
        (lambda: F.vsplit(_N, 2), "^vsplit: expects at least 2 dimensions"),
        (lambda: F.hsplit(_A, 2), "^hsplit: 3 cannot be cut into 2 equal parts"),
    ],
)
def test_what_does_not_fit(call: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def test_shapes_broadcast() -> None:
    assert F.broadcast_shapes((2, 1), (3,), 3) == (2, 3)
    with pytest.raises(ValueError, match=r"broadcast"):
        F.broadcast_shapes((2,), (3,))


def test_draws_that_gradients_pass_through() -> None:
    logits = tensor(np.log(np.array([[0.2, 0.8]] * 4000)), requires_grad=True)
    hard = F.gumbel_softmax(logits, hard=True, generator=np.random.default_rng(0))
    values = hard.detach().numpy()
    np.testing.assert_allclose(values.sum(1), 1)
    assert np.isin(values.round(12), (0, 1)).all()
    assert abs(values[:, 1].mean() - 0.8) < 0.03
    soft = F.gumbel_softmax(logits, generator=np.random.default_rng(0))
    (soft * np.array([1.0, 2.0])).sum().backward()
    assert logits.grad is not None
    one = logits.grad.numpy().copy()
    logits.grad = None
    (hard * np.array([1.0, 2.0])).sum().backward()
    np.testing.assert_allclose(logits.grad.numpy(), one)  # type: ignore[union-attr]


def test_windows_along_a_dimension() -> None:
    x = tensor(np.arange(12.0).reshape(2, 6), requires_grad=True)
    found = x.unfold(1, 3, 2)
    expected = np.lib.stride_tricks.sliding_window_view(np.arange(12.0).reshape(2, 6), 3, 1)[:, ::2]
    np.testing.assert_array_equal(found.detach().numpy(), expected)
    found.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[1, 1, 2, 1, 1, 0]] * 2
    with pytest.raises(ValueError, match=r"^unfold: expects a size of 0 to 6"):
        x.unfold(1, 7, 1)


def test_softmax_in_another_type() -> None:
    x = tensor(np.array([1.0, 2.0], np.float16), requires_grad=True)
    for function in (F.softmax, F.log_softmax, F.softmin):
        found = function(x, 0, dtype=np.float32)
        assert found.dtype == np.float32
        np.testing.assert_allclose(
            found.detach().numpy(), function(np.array([1.0, 2.0], np.float32), 0), rtol=1e-6
        )
        found.sum().backward()
        assert x.grad is not None
        assert x.grad.dtype == np.float16
