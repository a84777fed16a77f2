"""Quantiles: sorted values, and between two of them a straight line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.ops.arguments import axes_of, numpy_words, values_of
from tinygrad_cnn.ops.elementwise import cast, mul
from tinygrad_cnn.ops.extreme import TakeAlong
from tinygrad_cnn.ops.ordering.sorting import Sort
from tinygrad_cnn.ops.pointwise.combining import lerp
from tinygrad_cnn.ops.rearranging.cutting import movedim
from tinygrad_cnn.ops.shape import reshape
from tinygrad_cnn.types import Array, Dim, Operand

__all__ = ["nanquantile", "quantile"]

_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


@numpy_words
def quantile(
    input: Operand,
    q: Operand | float | Sequence[float],
    dim: Dim = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Any:
    """Quantiles over dimensions: the value that a share q of the elements does not exceed.

    Parameters
    ----------
    input
        Any shape; a NaN among the elements makes their quantiles NaN.
    q
        A number from 0 to 1, or a vector of them; a tensor gets a gradient if lines are drawn.
    dim
        A dimension, several, or None for all of them.
    keepdim
        Leave the reduced dimensions in the result with size 1.
    interpolation
        What to do between the values of rank i and i + 1: "linear" draws a line, "lower",
        "higher" and "nearest" take one of them, "midpoint" their mean.

    Returns
    -------
    The shape of a reduction; for a vector q, with its dimension in front.

    Raises
    ------
    ValueError
        If q does not lie in [0, 1] or has several dimensions, if there is no element, or if the
        interpolation is another.
    IndexError
        If a dimension does not exist.

    >>> quantile(np.array([1.0, 2.0, 4.0]), 0.75)
    array(3.)
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation)


@numpy_words
def nanquantile(
    input: Operand,
    q: Operand | float | Sequence[float],
    dim: Dim = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Any:
    """Quantiles of what is not NaN; NaN if there is nothing else. Arguments as for `quantile`.

    >>> nanquantile(np.array([1.0, np.nan, 2.0]), 0.5)
    array(1.5)
    """
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation)


def _quantile(
    function: str, input: Any, q: Any, dim: Any, keepdim: bool, interpolation: str
) -> Any:
    if interpolation not in _INTERPOLATIONS:
        raise ValueError(
            f"{function}: interpolation expects one of {_INTERPOLATIONS}, got {interpolation!r}"
        )
    shares = np.asarray(values_of(q), np.float64)
    if shares.ndim > 1 or not ((shares >= 0) & (shares <= 1)).all():
        raise ValueError(f"{function}: q expects numbers from 0 to 1, got {q}")
    axes = axes_of(function, input.ndim, dim)
    kept = [n for axis, n in enumerate(input.shape) if axis not in axes]
    rows = movedim(input, axes, tuple(range(-len(axes), 0))) if axes else input
    rows = reshape(rows, (*kept, -1)) if 0 not in kept else reshape(rows, (*kept, 1))
    if not rows.shape[-1]:
        raise ValueError(f"{function}: expects at least one element, got {tuple(input.shape)}")
    ordered = Sort(rows.ndim - 1, descending=False)(rows)  # (kept…, n), NaN last
    ranks, count = _ranks(values_of(ordered), shares.reshape(-1), function.startswith("nan"))
    below = np.floor(ranks)
    if interpolation == "linear" and isinstance(q, TensorBase):
        weight = mul(reshape(q, -1), count - 1.0) - below
        found = _between(ordered, below, np.ceil(ranks), cast(weight, ordered.dtype))
    elif interpolation in ("linear", "midpoint"):
        weight = ranks - below if interpolation == "linear" else np.where(ranks == below, 0.0, 0.5)
        found = _between(ordered, below, np.ceil(ranks), weight.astype(ordered.dtype))
    else:
        one = {"nearest": np.rint, "lower": np.floor, "higher": np.ceil}[interpolation](ranks)
        found = TakeAlong(ordered.ndim - 1)(ordered, one.astype(np.intp))  # (kept…, q)
    result = movedim(found, -1, 0)
    if keepdim:
        kept = [1 if axis in axes else n for axis, n in enumerate(input.shape)]
    return reshape(result, (*shares.shape, *kept))


def _ranks(ordered: Array, shares: Array, ignore: bool) -> tuple[Array, Array]:
    """Return the rank of each quantile, and of how many elements it is one.

    The rank is the last one, a NaN, where there is one that is not to be ignored.
    """
    size = ordered.shape[-1]
    absent = np.zeros((*ordered.shape[:-1], 1), np.intp)
    if ordered.dtype.kind == "f":
        absent = np.isnan(ordered).sum(-1, keepdims=True)
    count = np.maximum(size - absent, 1) if ignore else np.full_like(absent, size)
    ranks = shares * (count - 1.0)
    return ranks if ignore else np.where(absent > 0, size - 1.0, ranks), count


def _between(ordered: Any, below: Array, above: Array, weight: Any) -> Any:
    take = TakeAlong(ordered.ndim - 1)
    low, high = (take(ordered, rank.astype(np.intp)) for rank in (below, above))
    return lerp(low, high, weight)
