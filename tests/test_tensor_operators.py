"""A tensor's operators: numbers, arrays and NumPy's functions on either side, dtype rules."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import Tensor, no_grad, tensor


def leaf(*values: float) -> Tensor:
    return tensor(np.array(values), requires_grad=True)


def grad_of(t: Tensor) -> Any:
    assert t.grad is not None
    return t.grad.numpy()


# ------------------------------------------------------------------------------- operators

BINARY = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.pow,
]
A, B = np.array([1.5, 2.0, 0.5]), np.array([0.5, 3.0, 2.0])


@pytest.mark.parametrize("op", BINARY, ids=lambda op: op.__name__)
@pytest.mark.parametrize(
    "other", [B, tensor(B), 2.0, 2, np.float64(2.0), np.float32(2.0), np.int64(2), list(B), True]
)
def test_operators_on_either_side(op: Any, other: Any) -> None:
    plain = B if isinstance(other, (Tensor, list)) else other
    x = leaf(*A)
    right = op(x, other)
    left = op(other, x)
    for out, expected in ((right, op(A, plain)), (left, op(plain, A))):
        assert isinstance(out, Tensor)
        assert out.requires_grad
        np.testing.assert_allclose(out.detach().numpy(), expected, rtol=1e-6)
    right.sum().backward()
    left.sum().backward()
    assert grad_of(x).shape == (3,)
    assert np.isfinite(grad_of(x)).all()


@pytest.mark.parametrize("op", [operator.neg, operator.pos, operator.abs], ids=lambda f: f.__name__)
def test_unary_operators(op: Any) -> None:
    out = op(leaf(1.0, -2.0))
    assert out.requires_grad
    np.testing.assert_array_equal(out.detach().numpy(), op(np.array([1.0, -2.0])))


def test_matrix_products_on_either_side() -> None:
    m, v = np.arange(6.0).reshape(2, 3), np.array([1.0, 2.0, 3.0])
    x = tensor(v, requires_grad=True)
    out = m @ x
    assert isinstance(out, Tensor)
    np.testing.assert_array_equal(out.detach().numpy(), m @ v)
    out.sum().backward()
    np.testing.assert_array_equal(grad_of(x), m.sum(0))
    assert isinstance(x @ m.T, Tensor)


def test_unknown_operands_fail() -> None:
    for op in BINARY:
        with pytest.raises(TypeError, match="expects tensors, arrays or numbers, got str"):
            op(leaf(1.0), "text")
        with pytest.raises(TypeError, match="got NoneType"):
            op(None, leaf(1.0))


def test_values_with_their_places_are_no_operand() -> None:
    x = tensor(np.ones((2, 2)))
    with pytest.raises(TypeError, match="got Extreme: take one of its values, indices"):
        _ = x - x.max(1)


COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]


@pytest.mark.parametrize("op", COMPARISONS, ids=lambda op: op.__name__)
@pytest.mark.parametrize("other", [B, tensor(B), 1.5, 2, np.float64(1.5)])
def test_comparisons_have_no_graph(op: Any, other: Any) -> None:
    plain = B if isinstance(other, Tensor) else other
    x = leaf(*A)
    for out, expected in ((op(x, other), op(A, plain)), (op(other, x), op(plain, A))):
        assert isinstance(out, Tensor)
        assert out.dtype == np.bool_
        assert not out.requires_grad
        np.testing.assert_array_equal(out.numpy(), expected)


NONE_AND_OTHERS = [None, "text", [1.5, 2.0, 3.0], np.float64(1.5), object()]


@pytest.mark.parametrize("other", NONE_AND_OTHERS, ids=lambda other: type(other).__name__)
def test_equality_with_anything_is_numpys(other: Any) -> None:
    x = leaf(*A)
    np.testing.assert_array_equal((x == other).numpy(), other == A)
    np.testing.assert_array_equal((x != other).numpy(), other != A)
    np.testing.assert_array_equal((other == x).numpy(), other == A)


def test_an_order_with_none_fails_as_in_numpy() -> None:
    for op in (operator.lt, operator.ge):
        with pytest.raises(TypeError, match="not supported between instances of"):
            op(leaf(1.0), None)


BITS = [operator.and_, operator.or_, operator.xor]


@pytest.mark.parametrize("op", BITS, ids=lambda op: op.__name__)
def test_truth_values_are_combined(op: Any) -> None:
    x = leaf(*A)
    for out in (op(x > 1, x < 2), op(A > 1, x < 2), op(x > 1, A < 2)):
        assert isinstance(out, Tensor)
        assert out.dtype == np.bool_
        np.testing.assert_array_equal(out.numpy(), op(A > 1, A < 2))
    np.testing.assert_array_equal(op(True, x < 2).numpy(), op(True, A < 2))
    np.testing.assert_array_equal((~(x > 1)).numpy(), ~(A > 1))


@pytest.mark.parametrize(
    "op", [*BITS, operator.lshift, operator.rshift], ids=lambda op: op.__name__
)
def test_whole_numbers_have_bits(op: Any) -> None:
    a, b = np.array([1, 2, 12]), np.array([3, 1, 2])
    for out in (op(tensor(a), tensor(b)), op(tensor(a), b), op(a, tensor(b))):
        assert isinstance(out, Tensor)
        np.testing.assert_array_equal(out.numpy(), op(a, b))
    np.testing.assert_array_equal(op(tensor(a), 2).numpy(), op(a, 2))
    np.testing.assert_array_equal(op(2, tensor(b)).numpy(), op(2, b))
    np.testing.assert_array_equal((~tensor(a)).numpy(), ~a)


@pytest.mark.parametrize(
    ("call", "symbol"),
    [
        (lambda x: x & (x > 1), "&"),
        (lambda x: (x > 1) | x, r"\|"),
        (lambda x: ~x, "~"),
        (lambda x: (x > 1) & 1.0, "&"),
        (lambda x: tensor([1]) << x, "<<"),
    ],
)
def test_floats_have_no_bits(call: Any, symbol: str) -> None:
    with pytest.raises(TypeError, match=f"^{symbol}: expects integers or booleans, got"):
        call(leaf(1.0, 2.0))


@pytest.mark.parametrize("op", [operator.floordiv, operator.mod], ids=lambda op: op.__name__)
@pytest.mark.parametrize("other", [B, tensor(B), 2.0, -2, np.float64(2.0)])
def test_floor_division_and_remainder_on_either_side(op: Any, other: Any) -> None:
    plain = B if isinstance(other, Tensor) else other
    x = leaf(*A)
    for out, expected in ((op(x, other), op(A, plain)), (op(other, x), op(plain, A))):
        assert isinstance(out, Tensor)
        assert out.requires_grad
        np.testing.assert_array_equal(out.detach().numpy(), expected)
    for pair, expected in ((divmod(x, other), divmod(A, plain)), (divmod(2, x), divmod(2, A))):
        for out, value in zip(pair, expected, strict=True):
            np.testing.assert_array_equal(out.detach().numpy(), value)


def test_the_remainder_has_a_gradient_and_steps_have_none() -> None:
    x, y = leaf(7.5, -7.5), leaf(2.0, 2.0)
    (x % y).sum().backward()
    np.testing.assert_array_equal(grad_of(x), [1, 1])
    np.testing.assert_array_equal(grad_of(y), [-3, 4])
    for step in (lambda t: t // 2, round, np.floor, np.ceil, np.trunc, np.rint, np.fix, np.round):
        z = leaf(1.2, 2.7)
        step(z).sum().backward()
        np.testing.assert_array_equal(grad_of(z), [0, 0])
    np.testing.assert_array_equal(round(leaf(1.26), 1).detach().numpy(), [1.3])


# ------------------------------------------------------------------------------- dtype rules


SINGLE = tensor([1.0, 2.0])
DOUBLE = tensor(np.array([1.0, 2.0]))
WHOLE = tensor([1, 2])
TRUTH = tensor([True, False])


@pytest.mark.parametrize(
    ("make", "dtype"),
    [
        (lambda: SINGLE * 0.5, np.float32),
        (lambda: SINGLE * 2, np.float32),
        (lambda: SINGLE * np.float64(0.5), np.float32),
        (lambda: np.float64(0.5) * SINGLE, np.float32),
        (lambda: SINGLE / np.int64(3), np.float32),
        (lambda: SINGLE ** np.float64(0.5), np.float32),
        (lambda: SINGLE * np.array(0.5), np.float32),
        (lambda: SINGLE * tensor(np.array(0.5)), np.float32),
        (lambda: SINGLE * np.array([1, 2]), np.float32),
        (lambda: SINGLE + WHOLE, np.float32),
        (lambda: SINGLE * TRUTH, np.float32),
        (lambda: SINGLE * DOUBLE, np.float64),
        (lambda: SINGLE * np.array([1.0, 2.0]), np.float64),
        (lambda: operator.add(SINGLE, [1.0, 2.0]), np.float32),
        (lambda: DOUBLE * 0.5, np.float64),
        (lambda: DOUBLE * np.float32(0.5), np.float64),
        (lambda: DOUBLE + WHOLE, np.float64),
        (lambda: WHOLE * 0.5, np.float32),
        (lambda: WHOLE / 2, np.float32),
        (lambda: WHOLE / WHOLE, np.float32),
        (lambda: WHOLE**-1, np.float32),
        (lambda: WHOLE * 2, np.int64),
        (lambda: WHOLE + WHOLE, np.int64),
        (lambda: WHOLE**2, np.int64),
        (lambda: WHOLE * np.array([0.5, 1.5]), np.float64),
        (lambda: WHOLE * tensor(np.array(0.5)), np.float64),
        (lambda: WHOLE.exp(), np.float32),
        (lambda: tensor(np.array(1.0)) * 2.0, np.float64),
        (lambda: tensor(np.array(1.0)) * SINGLE, np.float32),
        (lambda: SINGLE.mean(), np.float32),
        (lambda: WHOLE.sum(), np.int64),
        (lambda: DOUBLE.sum(), np.float64),
        (lambda: DOUBLE.sum() * 3.0, np.float64),
        (lambda: 1.0 - DOUBLE.sum() / 3.0, np.float64),
        (lambda: SINGLE.sum() * 3.0, np.float32),
    ],
)
def test_dtype_of_results(make: Callable[[], Tensor], dtype: Any) -> None:
    out = make()
    assert isinstance(out, Tensor)
    assert out.dtype == dtype


def test_float64_precision_is_kept_in_scalars() -> None:
    third = tensor(np.array(1.0)) / 3.0
    assert third.item() == 1.0 / 3.0
    x = tensor(np.array(0.1), requires_grad=True)
    ((x * x).exp() / 3.0).backward()
    expected = 2 * 0.1 * np.exp(0.1**2) / 3.0
    assert grad_of(x).item() == pytest.approx(expected, rel=1e-14)


# ------------------------------------------------------------------------------- NumPy


@pytest.mark.parametrize(
    ("function", "slope"),
    [
        (np.exp, np.exp(A)),
        (np.log, 1 / A),
        (np.log1p, 1 / (1 + A)),
        (np.sqrt, 0.5 / np.sqrt(A)),
        (np.negative, -np.ones(3)),
        (np.square, 2 * A),
        (np.absolute, np.ones(3)),
        (np.tanh, 1 / np.cosh(A) ** 2),
        (np.sign, np.zeros(3)),
    ],
)
def test_numpys_functions_are_recorded(function: Any, slope: Any) -> None:
    x = leaf(*A)
    out = function(x)
    assert isinstance(out, Tensor)
    np.testing.assert_allclose(out.detach().numpy(), function(A))
    out.sum().backward()
    np.testing.assert_allclose(grad_of(x), slope)


@pytest.mark.parametrize(
    "function", [np.add, np.subtract, np.multiply, np.divide, np.power, np.maximum, np.minimum]
)
def test_numpys_functions_of_two_are_recorded(function: Any) -> None:
    for out in (function(B, leaf(*A)), function(leaf(*A), B), function(leaf(*A), 2.0)):
        assert isinstance(out, Tensor)
        assert out.requires_grad
    np.testing.assert_allclose(function(B, leaf(*A)).detach().numpy(), function(B, A))


def test_numpys_scalar_times_a_tensor_is_a_tensor() -> None:
    x = leaf(1.0, 2.0)
    for number in (np.float64(2), np.float32(2), np.int64(2), np.array(2.0), np.array([2.0, 2.0])):
        out = number * x
        assert isinstance(out, Tensor)
        assert out.requires_grad
        np.testing.assert_array_equal(out.detach().numpy(), [2.0, 4.0])
    array = np.ones(2)
    array = array + x
    assert isinstance(array, Tensor)


def test_comparisons_of_numpy() -> None:
    out = np.greater(leaf(*A), 1.0)
    assert isinstance(out, Tensor)
    assert out.dtype == np.bool_
    assert not out.requires_grad


LEFT_OUT = [
    (lambda x: np.spacing(x), r"^numpy\.spacing has no rule"),
    (lambda x: np.fft.fft(x), r"^numpy\.fft\.fft has no rule"),
    (lambda x: np.hypot.reduce(x), r"^numpy\.hypot"),
    (lambda x: np.multiply.reduceat(x, [0]), r"^numpy\.multiply\.reduceat has no rule"),
    (lambda x: np.multiply.at(x, [0], 2.0), r"^numpy\.multiply\.at has no rule"),
    (lambda x: np.add.at(np.ones(2), [0], x), r"^numpy\.add\.at: the first argument is"),
    (lambda x: np.exp(x, out=np.empty(2)), r"^numpy\.exp: out= is a NumPy array"),
    (lambda x: np.add(np.ones(2), x, out=np.empty(2)), r"^numpy\.add: out= is a NumPy array"),
    (lambda x: np.exp(x, where=np.array([True, False])), r"^numpy\.exp: where= leaves"),
]


@pytest.mark.parametrize(("call", "message"), LEFT_OUT)
def test_what_would_lose_a_gradient_fails_loudly(call: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message) as caught:
        call(leaf(1.0, 2.0))
    assert "`" in str(caught.value)  # it says what to write


def test_what_has_no_rule_works_on_constants() -> None:
    out = np.nextafter(tensor([1.0]), tensor([2.0]))
    assert isinstance(out, Tensor)
    np.testing.assert_array_equal(out.numpy(), np.nextafter(np.float32([1]), np.float32([2])))
    with no_grad():
        assert not np.nextafter(leaf(1.0), 2.0).requires_grad


ARRAYS = [
    lambda x: np.asarray(x),
    lambda x: np.array(x),
    lambda x: np.asarray(x, dtype=np.float32),
    lambda x: np.array([x, x]),
]


@pytest.mark.parametrize("call", ARRAYS)
def test_no_silent_way_out_of_the_graph(call: Any) -> None:
    with pytest.raises(TypeError, match=r"call detach\(\)\.numpy\(\) to leave the graph"):
        call(leaf(1.0, 2.0))


def test_in_place_numpy_with_a_tensor_fails_loudly() -> None:
    array = np.ones(2)
    with pytest.raises(TypeError, match=r"out= is a NumPy array.* not `a \+= t`"):
        np.add(array, leaf(1.0, 2.0), out=array)


def test_constants_become_arrays_freely() -> None:
    t = tensor([1.0, 2.0])
    assert np.asarray(t) is not None
    np.testing.assert_array_equal(np.stack([t, t]).numpy(), [[1.0, 2.0], [1.0, 2.0]])
    assert np.asarray(t, dtype=np.float64).dtype == np.float64
    copy = np.array(t)
    copy[0] = 9.0
    assert t.tolist() == [1.0, 2.0]
