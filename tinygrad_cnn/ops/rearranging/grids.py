"""Grids and products of vectors, matrices on a diagonal, shapes made alike, pieces by name."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.ops.arguments import listed, shape_of, values_of
from tinygrad_cnn.ops.index import getitem
from tinygrad_cnn.ops.join import concatenate, stack
from tinygrad_cnn.ops.rearranging.cutting import tensor_split
from tinygrad_cnn.ops.shape import broadcast_to, pad, reshape
from tinygrad_cnn.types import Operand, Shape

__all__ = [
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "block_diag",
    "broadcast_shapes",
    "broadcast_tensors",
    "cartesian_prod",
    "combinations",
    "dsplit",
    "hsplit",
    "meshgrid",
    "vsplit",
]


def _given(function: str, tensors: Any) -> list[Any]:
    """Return the tensors of ``f(a, b)`` or ``f([a, b])``."""
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tensors[0]
    return listed(function, "tensors", tensors)


def broadcast_shapes(*shapes: int | Sequence[int]) -> Shape:
    """Return the shape that shapes broadcast to.

    Raises
    ------
    ValueError
        If they do not.

    >>> broadcast_shapes((2, 1), (3,))
    (2, 3)
    """
    return np.broadcast_shapes(*[tuple(s) if isinstance(s, Sequence) else (s,) for s in shapes])


def broadcast_tensors(*tensors: Any) -> tuple[Any, ...]:
    """Repeat dimensions of size 1 until all have one shape.

    >>> [x.shape for x in broadcast_tensors(np.zeros((2, 1)), np.zeros(3))]
    [(2, 3), (2, 3)]
    """
    given = _given("broadcast_tensors", tensors)
    shape = broadcast_shapes(*[tuple(shape_of("broadcast_tensors", x)) for x in given])
    return tuple(broadcast_to(x, shape) for x in given)


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Any, ...]:
    """Make a grid of vectors: for each the coordinates of all its points, (N₁, N₂, …).

    Parameters
    ----------
    tensors
        Vectors, or numbers.
    indexing
        ``"ij"``: dimensions in the order of the vectors; ``"xy"``: the first two exchanged.

    Raises
    ------
    ValueError
        If one has more than one dimension, or the indexing is unknown.

    >>> meshgrid(np.array([1, 2]), np.array([3, 4, 5]))[0]
    array([[1, 1, 1],
           [2, 2, 2]])
    """
    given = _given("meshgrid", tensors)
    if indexing not in ("ij", "xy"):
        raise ValueError(f"meshgrid: indexing expects 'ij' or 'xy', got {indexing!r}")
    sizes = []
    for x in given:
        shape = shape_of("meshgrid", x)
        if len(shape) > 1:
            raise ValueError(f"meshgrid: expects vectors, got shape {tuple(shape)}")
        sizes.append(shape[0] if shape else 1)
    order = list(range(len(given)))
    if indexing == "xy" and len(order) > 1:
        order[:2] = [1, 0]
    whole = tuple(sizes[i] for i in order)
    grids = []
    for i, x in enumerate(given):
        lying = [1] * len(given)
        lying[order.index(i)] = sizes[i]
        grids.append(broadcast_to(reshape(x, lying), whole))
    return tuple(grids)


def cartesian_prod(*tensors: Any) -> Any:
    """Make all pairs (triples, …) of the elements of vectors: (N₁ · N₂ · …, K).

    >>> cartesian_prod(np.array([1, 2]), np.array([3, 4]))
    array([[1, 3],
           [1, 4],
           [2, 3],
           [2, 4]])
    """
    given = _given("cartesian_prod", tensors)
    if len(given) == 1:
        return given[0]
    return stack([reshape(grid, -1) for grid in meshgrid(*given)], 1)


def combinations(input: Operand, r: int = 2, with_replacement: bool = False) -> Any:
    """Make all choices of r elements of a vector, in order: (K, r).

    Raises
    ------
    ValueError
        If it is no vector, or r is negative.

    >>> combinations(np.array([1, 2, 3]))
    array([[1, 2],
           [1, 3],
           [2, 3]])
    """
    shape = shape_of("combinations", input)
    if len(shape) != 1 or r < 0:
        raise ValueError(f"combinations: expects a vector and r >= 0, got {tuple(shape)} and {r}")
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    found = np.array(list(choose(range(shape[0]), r)), np.int64).reshape(-1, r)
    return getitem(input, found)


def block_diag(*tensors: Any) -> Any:
    """Set matrices on a diagonal, with zeros elsewhere; vectors are rows.

    >>> block_diag(np.array([[1.0]]), np.array([2.0, 3.0]))
    array([[1., 0., 0.],
           [0., 2., 3.]])
    """
    given = [atleast_2d(x) for x in _given("block_diag", tensors)]
    for x in given:
        if x.ndim != 2:
            raise ValueError(f"block_diag: expects matrices, got shape {tuple(x.shape)}")
    width = sum(x.shape[1] for x in given)
    rows, left = [], 0
    for x in given:
        rows.append(pad(x, (left, width - left - x.shape[1])))
        left += x.shape[1]
    return concatenate(rows, 0)


def _at_least(function: str, tensors: Any, shaped: Any) -> Any:
    several = len(tensors) != 1 or isinstance(tensors[0], (list, tuple))
    found = []
    for x in _given(function, tensors):
        x = x if isinstance(x, (TensorBase, np.ndarray)) else values_of(x)
        shape = shape_of(function, x)
        wanted = shaped(tuple(shape))
        found.append(x if wanted == tuple(shape) else reshape(x, wanted))
    return tuple(found) if several else found[0]


def atleast_1d(*tensors: Any) -> Any:
    """See numbers as vectors of one element.

    >>> atleast_1d(np.array(2.0))
    array([2.])
    """
    return _at_least("atleast_1d", tensors, lambda s: s or (1,))


def atleast_2d(*tensors: Any) -> Any:
    """See numbers and vectors as matrices of one row.

    >>> atleast_2d(np.array([1.0, 2.0]))
    array([[1., 2.]])
    """
    return _at_least("atleast_2d", tensors, lambda s: (1,) * (2 - len(s)) + s)


def atleast_3d(*tensors: Any) -> Any:
    """See numbers, vectors and matrices with three dimensions: (1, N, 1), (M, N, 1).

    >>> atleast_3d(np.array([1.0, 2.0])).shape
    (1, 2, 1)
    """

    def shaped(s: Shape) -> Shape:
        return (1, *(s or (1,)), 1) if len(s) < 2 else (*s, 1) if len(s) == 2 else s

    return _at_least("atleast_3d", tensors, shaped)


def _split(name: str, input: Operand, parts: int | Iterable[int], dim: int, least: int) -> Any:
    ndim = len(shape_of(name, input))
    if ndim < least:
        raise ValueError(f"{name}: expects at least {least} dimensions, got {ndim}")
    size = shape_of(name, input)[dim]
    if isinstance(parts, int) and (parts < 1 or size % parts):
        raise ValueError(f"{name}: {size} cannot be cut into {parts} equal parts")
    return tensor_split(input, parts if isinstance(parts, int) else tuple(parts), dim)


def vsplit(input: Operand, indices_or_sections: int | Sequence[int]) -> tuple[Any, ...]:
    """Cut along the first dimension: into equal parts, or at positions.

    >>> [part.shape for part in vsplit(np.zeros((4, 1)), 2)]
    [(2, 1), (2, 1)]
    """
    return _split("vsplit", input, indices_or_sections, 0, 2)  # type: ignore[no-any-return]


def hsplit(input: Operand, indices_or_sections: int | Sequence[int]) -> tuple[Any, ...]:
    """Cut along the second dimension, of a vector along its only one; as `vsplit`.

    >>> [part.shape for part in hsplit(np.zeros((1, 4)), [1])]
    [(1, 1), (1, 3)]
    """
    dim = 0 if len(shape_of("hsplit", input)) == 1 else 1
    return _split("hsplit", input, indices_or_sections, dim, 1)  # type: ignore[no-any-return]


def dsplit(input: Operand, indices_or_sections: int | Sequence[int]) -> tuple[Any, ...]:
    """Cut along the third dimension; as `vsplit`.

    >>> [part.shape for part in dsplit(np.zeros((1, 1, 4)), 4)][0]
    (1, 1, 1)
    """
    return _split("dsplit", input, indices_or_sections, 2, 3)  # type: ignore[no-any-return]
