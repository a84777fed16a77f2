"""Changing the shape: reshape, permute, broadcast, pad and crop, split.

All are linear, and each rule is the adjoint: sum and broadcast, pad and crop are pairs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.pointwise.elementwise import embed
from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.arguments import axis_of, numpy_words, shape_of, sizes_of
from tinygrad_cnn.ops.elementwise import copied
from tinygrad_cnn.ops.index import Key, Slice
from tinygrad_cnn.ops.resampling.borders import MODES, bordered
from tinygrad_cnn.types import Dim, Operand

__all__ = [
    "broadcast_to",
    "expand",
    "flatten",
    "pad",
    "permute",
    "reshape",
    "split",
    "squeeze",
    "transpose",
    "unsqueeze",
    "view",
]

_ALL = slice(None)


# ---------------------------------------------------------------------------------------------
# the same elements under another shape


class Reshape(Op):
    """The same elements in row-major order under another shape; a view where that is possible."""

    __slots__ = ("shape",)
    views = True

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x: Any) -> Any:
        return np.asarray(x).reshape(self.shape)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (Reshape(x.shape)(g),)


def reshape(input: Operand, *shape: int | Sequence[int]) -> Any:
    """Give another shape to the same elements, in row-major order; one size may be -1.

    Raises
    ------
    ValueError
        If the numbers of elements differ.

    >>> reshape(np.arange(6.0), 2, -1).shape
    (2, 3)
    """
    old = shape_of("reshape", input)
    sizes = sizes_of("reshape", shape)
    total = math.prod(old)
    known = math.prod([s for s in sizes if s != -1])
    if sizes.count(-1) == 1 and known > 0 and total % known == 0:
        sizes = tuple([total // known if s == -1 else s for s in sizes])
    if min(sizes, default=0) < 0 or math.prod(sizes) != total:
        raise ValueError(f"reshape: {total} elements of shape {old} do not fit shape {sizes}")
    return Reshape(sizes)(input)


view = reshape


def flatten(input: Operand, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Join the neighbouring dimensions from ``start_dim`` to ``end_dim``, included, into one.

    A single number becomes an array of one element.

    Raises
    ------
    IndexError
        If a dimension does not exist.
    ValueError
        If ``end_dim`` comes before ``start_dim``.

    >>> flatten(np.zeros((2, 3, 4, 5)), 1).shape
    (2, 60)
    """
    plan = _flattening if type(start_dim) is int is type(end_dim) else _flattening.__wrapped__
    return plan(shape_of("flatten", input), start_dim, end_dim)(input)


@lru_cache(maxsize=1024)  # a network flattens the same shape at every step
def _flattening(old: tuple[int, ...], start_dim: Any, end_dim: Any) -> Reshape:
    ndim = max(len(old), 1)
    start, end = axis_of("flatten", ndim, start_dim), axis_of("flatten", ndim, end_dim)
    if start > end:
        raise ValueError(f"flatten: start_dim {start_dim} stands after end_dim {end_dim} in {old}")
    return Reshape((*old[:start], math.prod(old[start : end + 1]), *old[end + 1 :]))


@numpy_words
def squeeze(input: Operand, dim: Dim = None) -> Any:
    """Drop dimensions of size 1: all of them, or those named; other sizes stay, as in PyTorch.

    Raises
    ------
    IndexError
        If a dimension does not exist.

    >>> squeeze(np.zeros((1, 2, 1)), 0).shape
    (2, 1)
    """
    old = shape_of("squeeze", input)
    if dim is None:
        dims = set(range(len(old)))
    else:
        dims = {axis_of("squeeze", len(old) or 1, d) for d in sizes_of("squeeze", (dim,))}
    return Reshape(tuple([s for i, s in enumerate(old) if s != 1 or i not in dims]))(input)


@numpy_words
def unsqueeze(input: Operand, dim: int) -> Any:
    """Insert a dimension of size 1 so that it has index ``dim`` in the result.

    Raises
    ------
    IndexError
        If the result has no such dimension.

    >>> unsqueeze(np.zeros((2, 3)), -1).shape
    (2, 3, 1)
    """
    old = shape_of("unsqueeze", input)
    index = axis_of("unsqueeze", len(old) + 1, dim)
    return Reshape((*old[:index], 1, *old[index:]))(input)


# ---------------------------------------------------------------------------------------------
# the dimensions in another order


class Permute(Op):
    """The dimensions in another order; a view."""

    __slots__ = ("dims",)
    views = True

    def __init__(self, dims: tuple[int, ...]) -> None:
        self.dims = dims

    def forward(self, x: Any) -> Any:
        return np.transpose(x, self.dims)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        inverse = sorted(range(len(self.dims)), key=self.dims.__getitem__)
        return (Permute(tuple(inverse))(g),)


def permute(input: Operand, *dims: int | Sequence[int]) -> Any:
    """Put the dimensions into another order: dimension i of the result is ``dims[i]``.

    Raises
    ------
    ValueError
        If the dims are not each dimension once.
    IndexError
        If a dimension does not exist.

    >>> permute(np.zeros((2, 3, 4)), 2, 0, 1).shape
    (4, 2, 3)
    """
    old = shape_of("permute", input)
    order = tuple([axis_of("permute", len(old), d) for d in sizes_of("permute", dims)])
    if len(order) != len(old) or len(set(order)) != len(old):
        raise ValueError(
            f"permute: expects each of {len(old)} dimensions once, got {dims} for shape {old}"
        )
    return Permute(order)(input)


def transpose(input: Operand, dim0: int, dim1: int) -> Any:
    """Exchange two dimensions.

    Raises
    ------
    IndexError
        If a dimension does not exist.

    >>> transpose(np.zeros((2, 3, 4)), 0, -1).shape
    (4, 3, 2)
    """
    ndim = len(shape_of("transpose", input))
    first, second = (axis_of("transpose", ndim or 1, d) for d in (dim0, dim1))
    if not ndim:  # a single number is a vector of one
        return Permute(())(input)
    order = list(range(ndim))
    order[first], order[second] = second, first
    return Permute(tuple(order))(input)


# ---------------------------------------------------------------------------------------------
# repetition


class BroadcastTo(Op):
    """The same elements repeated along new or size-1 dimensions; a view that is not written to."""

    __slots__ = ("shape",)
    views = True

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x: Any) -> Any:
        return np.broadcast_to(x, self.shape)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g,)  # the engine sums a gradient over broadcast dimensions


def _broadcasts(old: tuple[int, ...], sizes: tuple[int, ...]) -> bool:
    new = len(sizes) - len(old)
    fits = new >= 0 and all(o in (1, s) for o, s in zip(old, sizes[new:], strict=True))
    return fits and min(sizes, default=0) >= 0


def broadcast_to(input: Operand, shape: Sequence[int]) -> Any:
    """Repeat along new leading dimensions and dimensions of size 1, without copying.

    Raises
    ------
    ValueError
        If the shape does not broadcast to the other.

    >>> broadcast_to(np.array([1.0, 2.0]), (2, 2))
    array([[1., 2.],
           [1., 2.]])
    """
    old = shape_of("broadcast_to", input)
    sizes = sizes_of("broadcast_to", (tuple(shape),))
    if not _broadcasts(old, sizes):
        raise ValueError(f"broadcast_to: shape {old} does not broadcast to {sizes}")
    return BroadcastTo(sizes)(input)


def expand(input: Operand, *sizes: int | Sequence[int]) -> Any:
    """Repeat along new leading dimensions and dimensions of size 1; a size of -1 keeps one.

    Raises
    ------
    ValueError
        If the shape does not broadcast to the sizes.

    >>> expand(np.zeros((3, 1)), 2, -1, 4).shape
    (2, 3, 4)
    """
    old = shape_of("expand", input)
    wanted = sizes_of("expand", sizes)
    new = len(wanted) - len(old)
    kept = tuple([old[i - new] if s == -1 and i >= new else s for i, s in enumerate(wanted)])
    if not _broadcasts(old, kept):
        raise ValueError(f"expand: shape {old} does not expand to {wanted}")
    return BroadcastTo(kept)(input)


# ---------------------------------------------------------------------------------------------
# borders

Widths = tuple[tuple[int, int], ...]


class Pad(Op):
    """Borders of a number around x; a negative width crops. The adjoint has the widths negated.

    What only crops is a view.
    """

    __slots__ = ("value", "widths")
    views = True

    def __init__(self, widths: Widths, value: float = 0.0) -> None:
        self.widths = widths  # (before, after) for each dimension
        self.value = value

    def forward(self, x: Any) -> Any:
        widths = self.widths
        # What of x stays, and where it goes.
        source = [
            slice(max(-b, 0), s - max(-a, 0)) for s, (b, a) in zip(x.shape, widths, strict=True)
        ]
        kept = x[tuple(source)]
        shape = tuple(
            [s + max(b, 0) + max(a, 0) for s, (b, a) in zip(kept.shape, widths, strict=True)]
        )
        if shape == kept.shape:
            return np.array(kept)  # a copy: what is written to one must not show in the other
        target = [
            slice(max(b, 0), max(b, 0) + s) for s, (b, _) in zip(kept.shape, widths, strict=True)
        ]
        return embed(kept, shape, tuple(target), self.value)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        if any(min(pair) < 0 for pair in self.widths):
            return (Pad(tuple([(-b, -a) for b, a in self.widths]))(g),)
        inside = [slice(b, n - a) for n, (b, a) in zip(g.shape, self.widths, strict=True)]
        return (Slice(Key(inside))(g),)


def pad(input: Operand, pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> Any:
    """Add borders of a number, or of the input's own elements; negative widths crop.

    Parameters
    ----------
    input
        Any shape.
    pad
        Widths in elements, the last dimension first: ``(left, right, top, bottom, …)``.
        Dimensions that are not named stay as they are.
    mode
        ``"constant"``; or elements of the input itself: ``"reflect"`` (mirrored at the outermost
        one), ``"replicate"`` (that one again and again), ``"circular"`` (from the other end).
    value
        The number to fill with, for ``"constant"``.

    Raises
    ------
    ValueError
        If the widths are not pairs, are more than the dimensions, or crop more than there is; or
        if the mode is another.

    >>> pad(np.ones((1, 2)), (1, 0, 0, 1))
    array([[0., 1., 1.],
           [0., 0., 0.]])
    """
    if mode != "constant" and mode not in MODES:
        raise ValueError(
            f"pad: mode expects 'constant', {', '.join(map(repr, MODES))}, got {mode!r}"
        )
    old = shape_of("pad", input)
    sizes = sizes_of("pad", (tuple(pad),))
    if len(sizes) % 2 or len(sizes) > 2 * len(old):
        raise ValueError(
            f"pad: expects a pair of widths for each of at most {len(old)} dimensions, got {sizes}"
        )
    pairs = list(zip(sizes[::2], sizes[1::2], strict=True))
    widths = ((0, 0),) * (len(old) - len(pairs)) + tuple(reversed(pairs))
    for s, (before, after) in zip(old, widths, strict=True):
        if s + min(before, 0) + min(after, 0) < 0:
            raise ValueError(f"pad: widths {sizes} crop more than there is in shape {old}")
    if mode != "constant":
        return copied(bordered(input, widths, old, mode), input)
    return Pad(widths, value)(input)


# ---------------------------------------------------------------------------------------------
# cutting


def pieces(x: Any, sizes: Iterable[int], dim: int, needs: Iterable[bool]) -> list[Any]:
    """Cut along a dimension; None in the places that are not needed."""
    cut, start = [], 0
    for size, needed in zip(sizes, needs, strict=True):
        key = Key((*(_ALL,) * dim, slice(start, start + size)))
        cut.append(Slice(key)(x) if needed else None)
        start += size
    return cut


@numpy_words
def split(input: Operand, sizes: int | Sequence[int], dim: int = 0) -> tuple[Any, ...]:
    """Cut into pieces along a dimension, without copying.

    Parameters
    ----------
    input
        Any shape of at least one dimension.
    sizes
        The size of each piece, or one number for all: the last piece may then be smaller.
    dim
        The dimension to cut along.

    Raises
    ------
    ValueError
        If a size is negative (or one for all is not positive), or they do not add up.
    IndexError
        If the dimension does not exist.

    >>> [piece.shape for piece in split(np.zeros((5, 2)), 2)]
    [(2, 2), (2, 2), (1, 2)]
    """
    old = shape_of("split", input)
    index = axis_of("split", len(old), dim)
    total = old[index]
    if isinstance(sizes, (tuple, list)):
        lengths = list(sizes_of("split", (sizes,)))
        if min(lengths, default=0) < 0 or sum(lengths) != total:
            raise ValueError(f"split: sizes {sizes} do not add up to {total}, dim {index} of {old}")
    else:
        (each,) = sizes_of("split", (sizes,))
        if each < 1:
            raise ValueError(f"split: expects a size of at least 1, got {each}")
        lengths = [min(each, total - start) for start in range(0, total, each)] or [0]
    return tuple(pieces(input, lengths, index, (True,) * len(lengths)))
