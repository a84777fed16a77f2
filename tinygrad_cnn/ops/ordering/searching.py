"""Searching, counting and unique values: what they give has no gradient."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_cnn.ops.arguments import (
    axis_of,
    names_operands,
    numpy_words,
    values_of,
    without_graph,
)
from tinygrad_cnn.types import Operand

__all__ = [
    "bincount",
    "bucketize",
    "histc",
    "searchsorted",
    "unique",
    "unique_consecutive",
]


@names_operands
def searchsorted(
    sorted_sequence: Operand,
    input: Operand | float,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Operand | None = None,
) -> Any:
    """Find where to insert values into a rising sequence so that it stays rising.

    Parameters
    ----------
    sorted_sequence
        Shape (N,), or (…, N) with a sequence for each row of the input.
    input
        Any shape; (…, M) for several sequences.
    out_int32
        Whether the result is int32 rather than int64.
    right, side
        Behind equal elements ("right") rather than before them ("left").
    sorter
        Indices that sort the sequence, if it is not sorted.

    Returns
    -------
    Integers of the input's shape, without a graph.

    Raises
    ------
    ValueError
        If the leading dimensions differ, or the two sides contradict.

    >>> searchsorted(np.array([1.0, 2.0, 3.0]), np.array([2.0, 9.0]))
    array([1, 3])
    """
    edges, x = values_of(sorted_sequence), values_of(input)
    if side not in (None, "left", "right") or (side == "left" and right):
        raise ValueError(f"searchsorted: side={side!r} and right={right} contradict each other")
    if not edges.ndim:
        raise ValueError("searchsorted: expects a sequence of at least one dimension")
    if sorter is not None:
        edges = np.take_along_axis(edges, values_of(sorter), -1)
    to: Any = "right" if right or side == "right" else "left"
    template: Any = input if hasattr(input, "_data") else sorted_sequence
    dtype = np.int32 if out_int32 else np.int64
    if edges.ndim == 1:
        return without_graph(template, np.searchsorted(edges, x, to).astype(dtype))
    if edges.shape[:-1] != x.shape[:-1]:
        raise ValueError(
            f"searchsorted: sequences of shape {edges.shape} expect an input of shape "
            f"({', '.join(map(str, edges.shape[:-1]))}, …), got {x.shape}"
        )
    found = np.empty(x.shape, dtype)
    for at in np.ndindex(*x.shape[:-1]):
        found[at] = np.searchsorted(edges[at], x[at], to)
    return without_graph(template, found)


@names_operands
def bucketize(
    input: Operand | float, boundaries: Operand, *, out_int32: bool = False, right: bool = False
) -> Any:
    """Return the bucket of each value between rising boundaries, as `searchsorted` does.

    >>> bucketize(np.array([2.0, 9.0]), np.array([1.0, 2.0, 3.0]))
    array([1, 3])
    """
    edges = values_of(boundaries)
    if edges.ndim != 1:
        raise ValueError(f"bucketize: boundaries expects a vector, got shape {edges.shape}")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


@names_operands
def histc(input: Operand, bins: int = 100, min: float = 0, max: float = 0) -> Any:
    """Count elements in bins of equal width from min to max, in the input's dtype.

    Where both limits are equal, they are the least and the greatest element. Elements outside are
    not counted.

    Raises
    ------
    ValueError
        If there is no bin, or max lies below min, or a limit is not finite.

    >>> histc(np.array([1.0, 2.0, 1.0]), bins=4, min=0.0, max=3.0)
    array([0., 2., 1., 0.])
    """
    x = values_of(input)
    if bins < 1:
        raise ValueError(f"histc: bins expects an int >= 1, got {bins}")
    low, high = float(min), float(max)
    if low == high and x.size:
        low, high = float(x.min()), float(x.max())
    if low == high:
        low, high = low - 1.0, high + 1.0
    if high < low or not math.isfinite(high - low):
        raise ValueError(f"histc: expects finite limits with max >= min, got {low} and {high}")
    inside = x[(x >= low) & (x <= high)]
    places = ((inside - low) * (bins / (high - low))).astype(np.intp)
    found = np.bincount(np.minimum(places, bins - 1), minlength=bins)
    return without_graph(input, found.astype(x.dtype))


@names_operands
def bincount(input: Operand, weights: Operand | None = None, minlength: int = 0) -> Any:
    """Count how often each integer from 0 on appears, or sum its weights; no gradient.

    Raises
    ------
    ValueError
        If an integer is negative, or the shapes differ.

    >>> bincount(np.array([0, 2, 2]))
    array([1, 0, 2])
    """
    x = values_of(input)
    if x.ndim != 1 or x.dtype.kind not in "iub" or (x.size and x.min() < 0):
        raise ValueError("bincount: expects a vector of integers >= 0")
    if weights is not None and np.shape(values_of(weights)) != x.shape:
        raise ValueError("bincount: weights expects the input's shape")
    given = None if weights is None else values_of(weights)
    return without_graph(input, np.bincount(x.astype(np.intp), given, minlength))


@numpy_words
def unique(
    input: Operand,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """Return the different elements, or parts along a dimension, in rising order; no gradient.

    With ``return_inverse`` also the place of each element's value among them, with
    ``return_counts`` how often each appears: then a tuple. They are sorted whatever ``sorted``
    says.

    Raises
    ------
    IndexError
        If the dimension does not exist.

    >>> unique(np.array([3.0, 1.0, 3.0]), return_counts=True)
    (array([1., 3.]), array([1, 2]))
    """
    del sorted
    x = values_of(input)
    axis = None if dim is None else axis_of("unique", x.ndim, dim)
    options: dict[str, Any] = {"return_inverse": return_inverse, "return_counts": return_counts}
    found: Any = np.unique(x, axis=axis, **options)
    if not (return_inverse or return_counts):
        return without_graph(input, found)
    parts = list(found)
    if return_inverse:
        parts[1] = parts[1].reshape(x.shape if axis is None else -1)
    return tuple([without_graph(input, part) for part in parts])


@numpy_words
def unique_consecutive(
    input: Operand,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """Drop elements equal to the one before them, or parts along a dimension; no gradient.

    Results and errors as for `unique`.

    >>> unique_consecutive(np.array([1.0, 1.0, 2.0, 1.0]))
    array([1., 2., 1.])
    """
    x = values_of(input)
    axis = None if dim is None else axis_of("unique_consecutive", x.ndim, dim)
    rows = x.reshape(-1) if axis is None else np.moveaxis(x, axis, 0)
    new = np.ones(len(rows), bool)
    differ = rows[1:] != rows[:-1]
    new[1:] = differ.reshape(len(differ), -1).any(1) if len(rows) > 1 else differ.reshape(-1)
    starts = np.flatnonzero(new)
    parts = [rows[starts] if axis is None else np.moveaxis(rows[starts], 0, axis)]
    if return_inverse:
        parts.append((np.cumsum(new) - 1).reshape(x.shape if axis is None else -1))
    if return_counts:
        parts.append(np.diff(starts, append=len(rows)))
    made = [without_graph(input, part) for part in parts]
    return made[0] if len(made) == 1 else tuple(made)
