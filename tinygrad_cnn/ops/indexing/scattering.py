"""Putting along a dimension, element by element: scatter, scatter_add, scatter_reduce, put.

Negative indices count from the end, as in NumPy; an index that does not exist is an error.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.kernels.reduce.scatter import add_along
from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.arguments import names_operands, numpy_words, shape_of, values_of
from tinygrad_cnn.ops.elementwise import add, div, mul
from tinygrad_cnn.ops.extreme import TakeAlong
from tinygrad_cnn.ops.index import Key, ScatterAdd, Slice
from tinygrad_cnn.ops.indexing.along import cropped, indices_along, indices_of
from tinygrad_cnn.ops.piecewise import where
from tinygrad_cnn.ops.shape import reshape
from tinygrad_cnn.types import Array, Operand, Shape

__all__ = ["put", "scatter", "scatter_add", "scatter_reduce"]


class ScatterAddAlong(Op):
    """x with source added at the given indices of an axis: the sum of x and a `PutAlong`."""

    __slots__ = ("axis",)
    saves = {"source": ("indices",)}

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def forward(self, x: Any, source: Any, indices: Any) -> Any:
        out = np.array(x, np.result_type(x, source), order="C")
        add_along(out, self.axis, indices, source)
        return out

    def backward(
        self, g: Any, out: Any, x: Any, source: Any, indices: Any, *, needs: Any
    ) -> tuple[Any, ...]:
        if not needs[1]:
            return g, None, None
        picked = TakeAlong(self.axis)(cropped(g, indices.shape, self.axis), indices)
        return g if needs[0] else None, picked, None


@numpy_words
def scatter_add(input: Operand, dim: int, index: Operand, src: Operand) -> Any:
    """Add at indices along a dimension: for dim 1, ``y[i, index[i, j]] += src[i, j]``, y = input.

    Parameters
    ----------
    input
        What is added to; it stays as it is.
    dim
        The dimension whose indices are given.
    index
        Integers, of as many dimensions as the input; an index may repeat.
    src
        At least as large as the index; what lies beyond is not added and gets gradient 0.

    Returns
    -------
    The shape of the input.

    Raises
    ------
    IndexError
        If the dimension or an index does not exist.
    ValueError
        If the index has another number of dimensions or is too large.

    >>> scatter_add(np.zeros(3), 0, np.array([0, 2, 2]), np.array([1.0, 2.0, 3.0]))
    array([1., 0., 5.])
    """
    x, source, indices, axis = _scattering("scatter_add", input, dim, index, src)
    return _shaped_like(input, ScatterAddAlong(axis)(x, source, indices))


def _scattering(
    function: str, input: Operand, dim: int, index: Any, src: Any
) -> tuple[Any, Any, Array, int]:
    """Return the input, what of the source is used, the indices and the axis."""
    shape = shape_of(function, src)
    if len(shape) != input.ndim and not (len(shape) <= 1 and not input.ndim):
        raise ValueError(
            f"{function}: src expects {input.ndim} dimensions as the input, got shape {shape}"
        )
    source = src if shape or input.ndim else reshape(src, 1)
    x, indices, axis = indices_along(function, input, dim, index, shape or (1,))
    if indices.shape != source.shape:
        source = Slice(Key(map(slice, indices.shape)))(source)
    return x, source, indices, axis


def _shaped_like(input: Operand, x: Any) -> Any:
    return x if input.ndim else reshape(x, ())


def _everywhere(indices: Array, axis: int) -> tuple[Array, ...]:
    """Return the key of NumPy's for indices along an axis."""
    at: list[Any] = list(np.indices(indices.shape, sparse=True))
    at[axis] = indices
    return tuple(at)


def _last_wins(indices: Array, axis: int, shape: Shape) -> tuple[Array, Array]:
    """Return where something is put, and which of the values put there is the last."""
    owner = np.full(shape, -1)
    numbers = np.arange(indices.size).reshape(indices.shape)
    at = _everywhere(indices, axis)
    np.maximum.at(owner, at, numbers)
    return owner >= 0, owner[at] == numbers


@numpy_words
def scatter(
    input: Operand,
    dim: int,
    index: Operand,
    src: Operand | float,
    *,
    reduce: str | None = None,
) -> Any:
    """Put at indices along a dimension: for dim 1, ``y[i, index[i, j]] = src[i, j]``, y = input.

    Where an index repeats, the last value is put and takes the gradient. ``src`` may be a number.
    With ``reduce`` "add" or "multiply", values are combined with what is there instead. Arguments
    and errors as for `scatter_add`.

    >>> scatter(np.zeros(3), 0, np.array([2, 0]), np.array([5.0, 6.0]))
    array([6., 0., 5.])
    """
    if reduce not in (None, "add", "multiply"):
        raise ValueError(f"scatter: reduce expects 'add', 'multiply' or None, got {reduce!r}")
    if isinstance(src, (int, float)):
        src = np.full(np.shape(values_of(index)), src, input.dtype)
    if reduce is not None:
        return scatter_reduce(input, dim, index, src, "sum" if reduce == "add" else "prod")
    x, source, indices, axis = _scattering("scatter", input, dim, index, src)
    reached, last = _last_wins(indices, axis, x.shape)
    zeros = np.zeros(x.shape, x.dtype)
    placed = ScatterAddAlong(axis)(zeros, where(last, source, 0.0), indices)
    return _shaped_like(input, where(reached, placed, x))


class ScatterExtreme(Op):
    """The greatest (or smallest) of x and what is put at each index; equals share the gradient."""

    __slots__ = ("axis", "largest")
    saves = ("x", "source", "indices", "out")

    def __init__(self, axis: int, largest: bool) -> None:
        self.axis = axis
        self.largest = largest

    def forward(self, x: Any, source: Any, indices: Any) -> Any:
        out = np.array(x, np.result_type(x, source))
        at = _everywhere(indices, self.axis)
        (np.maximum if self.largest else np.minimum).at(out, at, source)
        return out

    def choice(self, x: Any, source: Any, indices: Any) -> Any:
        return self.forward(x, source, indices) == x

    def backward(self, g: Any, out: Any, x: Any, source: Any, indices: Any) -> tuple[Any, ...]:
        take, put = TakeAlong(self.axis), ScatterAddAlong(self.axis)
        shape, axis = indices.shape, self.axis
        mine = where(x == out, 1.0, 0.0)
        theirs = where(source == take(cropped(out, shape, axis), indices), 1.0, 0.0)
        count = put(mine, theirs, indices)
        share = div(g, where(count == 0, 1.0, count))
        return mul(share, mine), mul(take(cropped(share, shape, axis), indices), theirs), None


@numpy_words
def scatter_reduce(
    input: Operand,
    dim: int,
    index: Operand,
    src: Operand,
    reduce: str,
    *,
    include_self: bool = True,
) -> Any:
    """Combine values at indices along a dimension: sums, products, means, maxima, minima.

    Parameters
    ----------
    input, dim, index, src
        As for `scatter_add`.
    reduce
        "sum", "prod", "mean", "amax" or "amin"; equals share the gradient of the last two evenly.
    include_self
        Whether what the input holds at an index counts among the values put there.

    Raises
    ------
    ValueError
        If ``reduce`` is another, and as for `scatter_add`.
    IndexError
        If the dimension or an index does not exist.

    >>> scatter_reduce(np.zeros(2), 0, np.array([0, 0]), np.array([1.0, 4.0]), "amax")
    array([4., 0.])
    """
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise ValueError(
            f"scatter_reduce: reduce expects sum, prod, mean, amax or amin, got {reduce!r}"
        )
    x, source, indices, axis = _scattering("scatter_reduce", input, dim, index, src)
    count = np.zeros(x.shape, np.int64)
    add_along(count, axis, indices, np.ones(indices.shape, np.int64))
    if not include_self:
        x = where(count > 0, _neutral(reduce, values_of(source)), x)
    if reduce in ("amax", "amin"):
        result = ScatterExtreme(axis, reduce == "amax")(x, source, indices)
    elif reduce == "prod":
        result = _products(x, source, indices, axis, count)
    else:
        result = ScatterAddAlong(axis)(x, source, indices)
        if reduce == "mean":
            result = div(result, np.maximum(count + include_self, 1).astype(x.dtype))
    return _shaped_like(input, result)


def _neutral(reduce: str, source: Array) -> float:
    """Return a number that changes nothing: for an extreme, one just beyond all others."""
    if reduce not in ("amax", "amin") or not source.size:
        return 1.0 if reduce == "prod" else 0.0
    below = reduce == "amax"
    edge = np.nanmin(source) if below else np.nanmax(source)
    if edge.dtype.itemsize > 8:  # the number beside a long double is no other float
        edge = edge.astype(np.float64)
    return float(np.nextafter(edge, edge.dtype.type(-np.inf if below else np.inf)))


def _products(x: Any, source: Any, indices: Array, axis: int, count: Array) -> Any:
    """Multiply in rounds: the k-th value put at each index is a factor of the k-th round."""
    turn = np.empty(indices.shape, np.int64)
    seen = np.zeros(x.shape, np.int64)
    for i in range(indices.shape[axis]):
        part = (slice(None),) * axis + (slice(i, i + 1),)
        at = _everywhere(indices[part], axis)
        turn[part] = seen[at]
        seen[at] += 1
    for k in range(int(count.max(initial=0))):
        mine = turn == k
        reached = np.zeros(x.shape, np.int64)
        add_along(reached, axis, indices, mine.astype(np.int64))
        factor = ScatterAddAlong(axis)(
            np.zeros(x.shape, x.dtype), where(mine, source, 0.0), indices
        )
        x = mul(x, where(reached > 0, factor, 1.0))
    return x


@names_operands
def put(input: Operand, index: Operand, source: Operand, accumulate: bool = False) -> Any:
    """Put at indices among all elements in row-major order; `take` the other way round.

    Where an index repeats, the last value is put and takes the gradient; with ``accumulate``
    values are added to what is there.

    Raises
    ------
    IndexError
        If an index does not exist.
    ValueError
        If there are not as many values as indices.

    >>> put(np.zeros((2, 2)), np.array([0, 3]), np.array([5.0, 6.0]))
    array([[5., 0.],
           [0., 6.]])
    """
    flat = reshape(input, -1)
    indices = indices_of("put", index, flat.shape[0]).reshape(-1)
    if len(indices) != np.size(values_of(source)):
        raise ValueError(
            f"put: expects as many values as indices, got {np.size(values_of(source))} and "
            f"{len(indices)}"
        )
    values = reshape(source, -1)
    if accumulate:
        added = ScatterAdd(Key((indices,)), flat.shape)(values)
        return reshape(add(flat, added), input.shape)
    return reshape(scatter(flat, 0, indices, values), input.shape)
