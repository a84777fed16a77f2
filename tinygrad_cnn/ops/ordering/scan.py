"""Running sums, products, maxima and logarithms of sums along a dimension, and differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from tinygrad_cnn.kernels.reduce.sums import running_sums
from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.arguments import as_float, axis_of, numpy_words, shape_of, without_graph
from tinygrad_cnn.ops.elementwise import cast, mul
from tinygrad_cnn.ops.extreme import Extreme, Selection
from tinygrad_cnn.ops.index import Key, Slice
from tinygrad_cnn.ops.join import concatenate
from tinygrad_cnn.ops.piecewise import where
from tinygrad_cnn.ops.pointwise.combining import logaddexp
from tinygrad_cnn.ops.shape import reshape
from tinygrad_cnn.types import Array, Operand

__all__ = ["cummax", "cummin", "cumprod", "cumsum", "diff", "logcumsumexp"]


def _part(x: Any, axis: int, start: int | None, stop: int | None) -> Any:
    return Slice(Key((slice(None),) * axis + (slice(start, stop),)))(x)


def _scanned(combine: Callable[[Any, Any], Any], x: Any, axis: int) -> Any:
    """Combine each element with all before it, in log₂ n steps of twice the reach each."""
    step, size = 1, x.shape[axis]
    while step < size:
        reached = combine(_part(x, axis, step, None), _part(x, axis, None, -step))
        x = concatenate([_part(x, axis, None, step), reached], axis)
        step *= 2
    return x


class _Scan(Op):
    """A running result along an axis."""

    __slots__ = ("axis",)
    widens = True

    def __init__(self, axis: int) -> None:
        self.axis = axis


class Cumsum(_Scan):
    """Running sums along an axis, from the first element on or, reversed, from the last."""

    __slots__ = ("reverse",)

    def __init__(self, axis: int, reverse: bool = False) -> None:
        super().__init__(axis)
        self.reverse = reverse

    def forward(self, x: Any) -> Any:
        if x.dtype == np.float16:  # as sums are
            return running_sums(x.astype(np.float32), self.axis, self.reverse).astype(x.dtype)
        return running_sums(x, self.axis, self.reverse)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (Cumsum(self.axis, not self.reverse)(g),)


class Cumprod(_Scan):
    """Multiply up along an axis."""

    __slots__ = ()
    saves = ("x", "out")

    def forward(self, x: Any) -> Any:
        held = np.float32 if x.dtype == np.float16 else None
        out = np.cumprod(x, self.axis, held)
        return out if held is None else out.astype(x.dtype)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        if x.all():  # no zero: Σ_{i ≥ j} g[i] · out[i] / x[j]
            terms = np.flip(g * out, self.axis)
            return (np.flip(np.cumsum(terms, self.axis), self.axis) / x,)
        # (Π_{i < j} x[i]) · S[j] with S[j] = g[j] + x[j + 1] · S[j + 1]: nothing is divided.
        x, g = np.moveaxis(x, self.axis, -1), np.moveaxis(g, self.axis, -1)
        before = np.ones_like(x)
        np.cumprod(x[..., :-1], -1, out=before[..., 1:])
        before *= _recurrence(g, x)
        return (np.moveaxis(before, -1, self.axis),)

    def reference(self, x: Any) -> Any:
        return _scanned(mul, x, self.axis)


def _recurrence(g: Array, x: Array) -> Array:
    """Return S[j] = g[j] + x[j + 1] · S[j + 1] along the last axis, in log₂ n steps."""
    sums = np.array(g, x.dtype)
    factors = np.zeros_like(sums)
    factors[..., :-1] = x[..., 1:]
    step = 1
    while step < x.shape[-1]:
        near, far = np.s_[..., :-step], np.s_[..., step:]
        sums[near] += factors[near] * sums[far]
        factors[near] *= factors[far]
        step *= 2
    return sums


class LogCumSumExp(_Scan):
    """ln Σ_{j ≤ i} exp(x[j]) along an axis."""

    __slots__ = ()
    saves = ("x", "out")
    name = "logcumsumexp"

    def forward(self, x: Any) -> Any:
        with np.errstate(invalid="ignore"):  # infinities
            return np.logaddexp.accumulate(as_float(x), self.axis)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        # Σ_{i ≥ j} g[i] · exp(x[j] − out[i]): its logarithm, for positive and for negative g.
        found = 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            finite = np.where(np.isneginf(out), 0.0, out)
            for sign in (1.0, -1.0):
                terms = np.log(np.maximum(sign * g, 0)) - finite
                logs = np.logaddexp.accumulate(np.flip(terms, self.axis), self.axis)
                found = found + sign * np.exp(np.flip(logs, self.axis) + x)
        return (found,)

    def reference(self, x: Any) -> Any:
        return _scanned(logaddexp, where(x == -np.inf, -np.inf, x), self.axis)  # −inf is constant


def _scan(function: str, op: type[_Scan], input: Operand, dim: int, dtype: Any = None) -> Any:
    """Apply a scan along a dimension; a single number is its own."""
    axis = axis_of(function, input.ndim or 1, dim)
    if dtype is not None:
        input = cast(input, dtype)
    return op(axis)(input) if input.ndim else reshape(op(0)(reshape(input, 1)), ())


@numpy_words
def cumsum(input: Operand, dim: int, *, dtype: Any = None) -> Any:
    """Sum up along a dimension: ``y[i] = Σ_{j ≤ i} input[j]``; the shape stays.

    Integers and booleans give int64. Half precision is summed in float32. ``dtype`` is that of
    the result, to which the input is converted first.

    Raises
    ------
    IndexError
        If the dimension does not exist.

    >>> cumsum(np.array([1.0, 2.0, 3.0]), 0)
    array([1., 3., 6.])
    """
    return _scan("cumsum", Cumsum, input, dim, dtype)


@numpy_words
def cumprod(input: Operand, dim: int, *, dtype: Any = None) -> Any:
    """Multiply up along a dimension: ``y[i] = Π_{j ≤ i} input[j]``; the shape stays.

    The gradient is right with zeros among the elements too. Arguments and errors as for `cumsum`.

    >>> cumprod(np.array([1.0, 2.0, 3.0]), 0)
    array([1., 2., 6.])
    """
    return _scan("cumprod", Cumprod, input, dim, dtype)


@numpy_words
def logcumsumexp(input: Operand, dim: int) -> Any:
    """Take a running `logsumexp` along a dimension: ``y[i] = ln Σ_{j ≤ i} exp(input[j])``.

    Does not overflow; the shape stays. Errors as for `cumsum`.

    >>> logcumsumexp(np.array([0.0, 0.0]), 0).round(4)
    array([0.    , 0.6931])
    """
    return _scan("logcumsumexp", LogCumSumExp, input, dim)


class Cummax(Selection):
    """Running maximum along an axis, the last among equals."""

    __slots__ = ()
    _best: ClassVar[np.ufunc] = np.maximum

    def __init__(self, axis: int) -> None:
        super().__init__(axis, True)

    def choice(self, x: Any) -> Any:
        best = self._best.accumulate(x, self.axis)
        shape = [-1 if axis == self.axis else 1 for axis in range(x.ndim)]
        indices = np.arange(x.shape[self.axis]).reshape(shape)
        taken = np.where((x == best) | (x != x), indices, 0)  # NaN is not itself
        return np.maximum.accumulate(taken, self.axis)


class Cummin(Cummax):
    """Running minimum along an axis, the last among equals."""

    __slots__ = ()
    _best = np.minimum


def _running(function: str, op: type[Cummax], input: Operand, dim: int) -> Extreme:
    axis = axis_of(function, input.ndim or 1, dim)
    x = input if input.ndim else reshape(input, 1)
    values, indices = op(axis if input.ndim else 0)(x, with_aux=True)
    if not input.ndim:
        values, indices = reshape(values, ()), indices.reshape(())
    return Extreme(values, without_graph(input, indices.copy()))


@numpy_words
def cummax(input: Operand, dim: int) -> Extreme:
    """Find running maxima along a dimension and their indices: ``y[i] = max_{j ≤ i} input[j]``.

    The gradient goes to the last among equals. A NaN counts as the greatest. Returns
    ``(values, indices)`` of the input's shape, indices without a graph. Errors as for `cumsum`.

    >>> cummax(np.array([1.0, 3.0, 2.0]), 0)
    Extreme(values=array([1., 3., 3.]), indices=array([0, 1, 1]))
    """
    return _running("cummax", Cummax, input, dim)


@numpy_words
def cummin(input: Operand, dim: int) -> Extreme:
    """Find running minima along a dimension and their indices: ``y[i] = min_{j ≤ i} input[j]``.

    The gradient goes to the last among equals. A NaN counts as the smallest. Results and errors
    as for `cummax`.

    >>> cummin(np.array([2.0, 3.0, 1.0]), 0)
    Extreme(values=array([2., 2., 1.]), indices=array([0, 0, 2]))
    """
    return _running("cummin", Cummin, input, dim)


@numpy_words
def diff(
    input: Operand,
    n: int = 1,
    dim: int = -1,
    prepend: Operand | None = None,
    append: Operand | None = None,
) -> Any:
    """Differences of neighbours along a dimension, n times: ``y[i] = input[i + 1] - input[i]``.

    ``prepend`` and ``append`` are joined to the input first. Booleans give booleans: where they
    differ. For n = 0 the input is returned as it is.

    Raises
    ------
    ValueError
        If n is negative, or the input is a single number.
    IndexError
        If the dimension does not exist.

    >>> diff(np.array([1.0, 4.0, 9.0]))
    array([3., 5.])
    """
    if not shape_of("diff", input):
        raise ValueError("diff: expects at least one dimension, got a single number")
    if n < 0:
        raise ValueError(f"diff: n expects an int >= 0, got {n}")
    axis = axis_of("diff", input.ndim, dim)
    parts = [x for x in (prepend, input, append) if x is not None]
    x: Any = concatenate(parts, axis) if len(parts) > 1 and n else input
    for _ in range(min(n, x.shape[axis])):
        later, earlier = _part(x, axis, 1, None), _part(x, axis, None, -1)
        x = later != earlier if x.dtype.kind == "b" else later - earlier
    return x
