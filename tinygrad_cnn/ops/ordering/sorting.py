"""Sorting, and what chooses elements by their rank: sort, topk, kthvalue, median, mode.

Values carry gradients, to the elements that were chosen; indices have no graph. A NaN counts as
the greatest.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.arguments import axis_of, numpy_words, values_of, without_graph
from tinygrad_cnn.ops.extreme import Amax, PutAlong, TakeAlong
from tinygrad_cnn.ops.index import Key, Slice
from tinygrad_cnn.ops.shape import reshape
from tinygrad_cnn.types import Array, Operand

__all__ = ["argsort", "kthvalue", "median", "mode", "msort", "nanmedian", "sort", "topk"]


class Ranked(NamedTuple):
    """What `sort`, `topk`, `kthvalue`, `median` and `mode` return."""

    values: Any
    indices: Any


class _Ranking(Op):
    """Elements of an axis that are chosen, and ordered, by rank; aux holds their indices."""

    __slots__ = ("axis",)
    permutes = True  # equal elements may be in any order: no slope to a side says which
    has_aux = True

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def choice(self, x: Any) -> Any:
        """Return the indices of the chosen elements."""
        raise NotImplementedError(f"{self.name}: choice is not defined")

    def forward(self, x: Any) -> Any:
        indices = self.choice(x)
        return np.take_along_axis(x, indices, self.axis), indices

    def backward(self, g: Any, out: Any, x: Any, *, aux: Any) -> tuple[Any, ...]:
        return (PutAlong(self.axis, x.shape[self.axis])(g, aux),)


class Sort(_Ranking):
    """The elements of an axis in order; equal ones keep their order."""

    __slots__ = ("descending",)

    def __init__(self, axis: int, descending: bool) -> None:
        super().__init__(axis)
        self.descending = descending

    def choice(self, x: Any) -> Any:
        return order_of(x, self.axis, self.descending)


def order_of(x: Array, axis: int, descending: bool) -> Array:
    """Return the indices that sort along an axis, equal elements in their order."""
    if not descending:
        return np.argsort(x, axis, kind="stable")
    turned = np.argsort(np.flip(x, axis), axis, kind="stable")
    return np.flip(x.shape[axis] - 1 - turned, axis)


class Topk(_Ranking):
    """The k greatest or smallest elements of an axis, the first among equals."""

    __slots__ = ("k", "largest")

    def __init__(self, axis: int, k: int, largest: bool) -> None:
        super().__init__(axis)
        self.k = k
        self.largest = largest

    def choice(self, x: Any) -> Any:
        moved = np.moveaxis(x, self.axis, -1)
        size, k = moved.shape[-1], self.k
        if not 4 * k < size:
            found = order_of(moved, -1, self.largest)[..., :k]
        else:
            found = self._few(moved, size, k)
        return np.moveaxis(found, -1, self.axis)

    def _few(self, x: Array, size: int, k: int) -> Array:
        """Sort k elements only."""
        if k == 0:
            return np.empty((*x.shape[:-1], 0), np.intp)
        rank = size - k if self.largest else k - 1
        bound = np.partition(x, rank, -1)[..., rank : rank + 1]
        chosen = x >= bound if self.largest else x <= bound
        if not (np.count_nonzero(chosen, -1) == k).all():  # equals, or NaN
            chosen = self._first_of_equals(x, bound, k)
        indices = np.flatnonzero(chosen).reshape(*x.shape[:-1], k) % size
        order = order_of(np.take_along_axis(x, indices, -1), -1, self.largest)
        return np.take_along_axis(indices, order, -1)

    def _first_of_equals(self, x: Array, bound: Array, k: int) -> Array:
        """Return what lies beyond the k-th value, and as many first ones equal to it."""
        absent = np.isnan(x) if x.dtype.kind == "f" else np.zeros(x.shape, bool)
        tied = (x == bound) | (absent & (bound != bound))  # NaN is not itself
        beyond = (x > bound) | (absent & ~tied) if self.largest else x < bound
        if not self.largest:
            beyond |= ~absent & (bound != bound)
        wanted = k - beyond.sum(-1, keepdims=True)
        return np.asarray(beyond | (tied & (np.cumsum(tied, -1) <= wanted)))


class Kthvalue(_Ranking):
    """The k-th smallest element of an axis (k from 1), which keeps size 1."""

    __slots__ = ("k",)

    def __init__(self, axis: int, k: int) -> None:
        super().__init__(axis)
        self.k = k

    def choice(self, x: Any) -> Any:
        return _first_of_rank(x, self.axis, self.k - 1)


def _first_of_rank(x: Array, axis: int, rank: int) -> Array:
    """Return the first index of the element of a rank, the axis kept at size 1."""
    part = (slice(None),) * axis + (slice(rank, rank + 1),)
    value = np.partition(x, rank, axis)[part]
    found = (x == value) | ((x != x) & (value != value))  # NaN is not itself
    return np.asarray(np.argmax(found, axis, keepdims=True))


class Median(_Ranking):
    """The lower median of an axis, which keeps size 1; a NaN, if there is one."""

    __slots__ = ()

    def choice(self, x: Any) -> Any:
        found = _first_of_rank(x, self.axis, (x.shape[self.axis] - 1) // 2)
        if x.dtype.kind != "f":
            return found
        absent = np.isnan(x)
        first = np.argmax(absent, self.axis, keepdims=True)
        return np.where(absent.any(self.axis, keepdims=True), first, found)


class Nanmedian(_Ranking):
    """The lower median of an axis without its NaN; it keeps size 1."""

    __slots__ = ()

    def choice(self, x: Any) -> Any:
        order = order_of(x, self.axis, descending=False)  # NaN last
        count = (~np.isnan(x)).sum(self.axis, keepdims=True)
        return np.take_along_axis(order, np.maximum(count - 1, 0) // 2, self.axis)


def _most_frequent(x: Array) -> Array:
    """Return the last index of the most frequent element of each row, the smallest of several."""
    order = order_of(x, -1, descending=False)
    ranked = np.take_along_axis(x, order, -1)
    indices = np.arange(x.shape[-1])
    new = np.ones(x.shape, bool)
    new[..., 1:] = ranked[..., 1:] != ranked[..., :-1]
    start = np.maximum.accumulate(np.where(new, indices, 0), -1)
    end = np.argmax(indices - start, -1, keepdims=True)  # the first of the longest runs
    return np.asarray(np.take_along_axis(order, end, -1))


class MedianOfAll(Amax):
    """The lower median of all elements; equals share the gradient evenly."""

    __slots__ = ()

    def forward(self, x: Any) -> Any:
        out = self.infer(x)
        return out, (x != out if out == out else x == x)  # NaN is not itself

    def infer(self, x: Any) -> Any:
        flat = x.reshape(-1)
        if x.dtype.kind == "f" and np.isnan(flat).any():
            return np.asarray(np.nan, x.dtype)
        return np.partition(flat, (x.size - 1) // 2)[(x.size - 1) // 2]

    def choice(self, x: Any) -> Any:
        return x == self.infer(x)


# ---------------------------------------------------------------------------------------------
# functions


def _ranked(op: _Ranking, input: Operand, keepdim: bool = True) -> Ranked:
    """Apply; a single number is taken as one of one."""
    axis, single = op.axis, not input.ndim
    x = reshape(input, 1) if single else input
    values, indices = op(x, with_aux=True)
    if single:
        values, indices = reshape(values, ()), indices.reshape(())
    elif not keepdim:
        values = Slice(Key((slice(None),) * axis + (0,)))(values)
        indices = np.squeeze(indices, axis)
    return Ranked(values, without_graph(input, indices.copy()))


def _axis(function: str, input: Operand, dim: int) -> int:
    return axis_of(function, input.ndim or 1, dim)


def _some(function: str, input: Operand, axis: int) -> None:
    if input.ndim and not input.shape[axis]:
        raise ValueError(
            f"{function}: expects at least one element along dim {axis}, got shape "
            f"{tuple(input.shape)}"
        )


@numpy_words
def sort(input: Operand, dim: int = -1, descending: bool = False, stable: bool = True) -> Ranked:
    """Sort along a dimension: ``(values, indices)`` with ``values[i] = input[indices[i]]``.

    Equal elements keep their order whatever ``stable`` says, and each gets the gradient of its
    own place. A NaN counts as the greatest. Indices have no graph.

    Raises
    ------
    IndexError
        If the dimension does not exist.

    >>> sort(np.array([3.0, 1.0, 2.0]))
    Ranked(values=array([1., 2., 3.]), indices=array([1, 2, 0]))
    """
    del stable
    return _ranked(Sort(_axis("sort", input, dim), descending), input)


@numpy_words
def argsort(input: Operand, dim: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Return the indices that sort along a dimension, as `sort` gives them.

    >>> argsort(np.array([3.0, 1.0, 2.0]))
    array([1, 2, 0])
    """
    del stable
    axis, x = _axis("argsort", input, dim), values_of(input)
    indices = order_of(x, axis, descending) if input.ndim else np.zeros((), np.intp)
    return without_graph(input, np.array(indices, order="C"))


def msort(input: Operand) -> Any:
    """Sort along the first dimension, values only: ``sort(input, 0).values``.

    >>> msort(np.array([3.0, 1.0]))
    array([1., 3.])
    """
    return sort(input, 0).values


@numpy_words
def topk(
    input: Operand, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> Ranked:
    """Greatest k elements along a dimension in falling order, or the smallest in rising order.

    Of equals the first ones are taken. The result is sorted whatever ``sorted`` says. Results as
    for `sort`.

    Raises
    ------
    ValueError
        If there are fewer than k elements.
    IndexError
        If the dimension does not exist.

    >>> topk(np.array([3.0, 1.0, 2.0]), 2)
    Ranked(values=array([3., 2.]), indices=array([0, 2]))
    """
    del sorted
    axis = _axis("topk", input, dim)
    size = input.shape[axis] if input.ndim else 1
    if not 0 <= k <= size:
        raise ValueError(
            f"topk: k expects an int from 0 to {size}, the size of dim {axis}, got {k}"
        )
    if not input.ndim and k == 0:
        raise ValueError("topk: k expects 1 for a single number, got 0")
    return _ranked(Topk(axis, k, largest), input)


@numpy_words
def kthvalue(input: Operand, k: int, dim: int = -1, keepdim: bool = False) -> Ranked:
    """Return the k-th smallest element along a dimension (k from 1) and its index.

    Of equals the first one's index is given and takes the gradient. Results as for `sort`.

    Raises
    ------
    ValueError
        If k is not from 1 to the size of the dimension.
    IndexError
        If the dimension does not exist.

    >>> kthvalue(np.array([3.0, 1.0, 2.0]), 2)
    Ranked(values=array(2.), indices=array(2))
    """
    axis = _axis("kthvalue", input, dim)
    size = input.shape[axis] if input.ndim else 1
    if not 1 <= k <= size:
        raise ValueError(
            f"kthvalue: k expects an int from 1 to {size}, the size of dim {axis}, got {k}"
        )
    return _ranked(Kthvalue(axis, k), input, keepdim)


@numpy_words
def median(input: Operand, dim: int | None = None, keepdim: bool = False) -> Any:
    """Median, the lower of two middle elements, as in PyTorch; NumPy's is `quantile` at 0.5.

    Over a dimension ``(values, indices)`` as for `kthvalue`; over all elements the value alone,
    and equals share its gradient evenly. If there is a NaN, the median is NaN.

    Raises
    ------
    ValueError
        If there is no element along the dimension.
    IndexError
        If the dimension does not exist.

    >>> median(np.array([3.0, 1.0, 2.0, 4.0]))
    array(2.)
    """
    if dim is None:
        if not values_of(input).size:
            raise ValueError(f"median: expects at least one element, got {tuple(input.shape)}")
        return MedianOfAll(tuple(range(input.ndim)), keepdim)(input)
    axis = _axis("median", input, dim)
    _some("median", input, axis)
    return _ranked(Median(axis), input, keepdim)


@numpy_words
def nanmedian(input: Operand, dim: int | None = None, keepdim: bool = False) -> Any:
    """Median of what is not NaN, the lower of two middle elements; NaN if there is nothing else.

    Arguments, results and errors as for `median`.

    >>> nanmedian(np.array([3.0, np.nan, 1.0]))
    array(1.)
    """
    if dim is None:
        flat = reshape(input, -1)
        _some("nanmedian", flat, 0)
        whole = _ranked(Nanmedian(0), flat, keepdim=False).values
        return reshape(whole, (1,) * input.ndim) if keepdim else whole
    axis = _axis("nanmedian", input, dim)
    _some("nanmedian", input, axis)
    return _ranked(Nanmedian(axis), input, keepdim)


@numpy_words
def mode(input: Operand, dim: int = -1, keepdim: bool = False) -> Ranked:
    """Most frequent element along a dimension, the smallest of several, and its last index.

    The gradient goes to the element at that index, as if it would stay the most frequent one.
    Results and errors as for `kthvalue`.

    >>> mode(np.array([2.0, 1.0, 2.0, 3.0]))
    Ranked(values=array(2.), indices=array(2))
    """
    axis = _axis("mode", input, dim)
    _some("mode", input, axis)
    x: Any = input if input.ndim else reshape(input, 1)
    indices = np.moveaxis(_most_frequent(np.moveaxis(values_of(x), axis, -1)), -1, axis)
    values: Any = TakeAlong(axis)(x, indices)
    if not keepdim or not input.ndim:
        part = Key((slice(None),) * axis + (0,))
        values, indices = Slice(part)(values), np.squeeze(indices, axis)
    return Ranked(values, without_graph(input, indices.copy()))
