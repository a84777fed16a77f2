"""NumPy's running sums, sorting and quantiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.dispatch.out import into, typed
from tinygrad_cnn.dispatch.selections import take_along_axis
from tinygrad_cnn.dispatch.shapes import array_of, concatenate, moveaxis, plain_of, ravel
from tinygrad_cnn.ops import nans, piecewise
from tinygrad_cnn.ops.arguments import axes_of, axis_of
from tinygrad_cnn.ops.index import getitem
from tinygrad_cnn.ops.ordering import scan, sorting
from tinygrad_cnn.ops.shape import reshape


def _running(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Make ``numpy.cumsum`` or ``numpy.cumprod``; without an axis over all elements in a row."""

    def running(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
        a = typed(array_of(a), dtype)
        if axis is None:
            a, axis = ravel(a), 0
        return into(out, function(a, axis), f"numpy.{name}")

    return running


def _with_initial(function: Callable[..., Any], name: str, initial: float) -> Callable[..., Any]:
    """Make ``numpy.cumulative_sum`` or ``numpy.cumulative_prod``."""

    def running(
        x: Any,
        /,
        *,
        axis: int | None = None,
        dtype: Any = None,
        out: Any = None,
        include_initial: bool = False,
    ) -> Any:
        x = typed(array_of(x), dtype)
        if axis is None and x.ndim > 1:
            raise ValueError(f"numpy.{name}: expects an axis for more than one dimension")
        axis = axis_of(f"numpy.{name}", x.ndim, axis or 0)
        result = function(x, axis)
        if include_initial:
            sizes = [1 if i == axis else size for i, size in enumerate(x.shape)]
            result = concatenate([np.full(sizes, initial, x.dtype), result], axis)
        return into(out, result, f"numpy.{name}")

    return running


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """Differences of neighbours, as ``numpy.diff``."""
    a = array_of(a)
    sizes = [1 if i == axis % a.ndim else size for i, size in enumerate(a.shape)]

    def wide(x: Any) -> Any:
        if x is None or plain_of(array_of(x)).ndim:
            return x
        return np.full(sizes, x, a.dtype) if not hasattr(x, "_data") else x + np.zeros(sizes)

    return scan.diff(a, n, axis, prepend=wide(prepend), append=wide(append))


def sort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, **_: Any) -> Any:
    """Sort along an axis, as ``numpy.sort``; without one all elements."""
    a = array_of(a)
    if axis is None:
        a, axis = ravel(a), 0
    return sorting.sort(a, axis)[0]


def partition(a: Any, kth: Any, axis: int | None = -1, kind: str = "introselect", **_: Any) -> Any:
    """Sort partly, as ``numpy.partition``."""
    a = array_of(a)
    if axis is None:
        a, axis = ravel(a), 0
    return take_along_axis(a, np.argpartition(plain_of(a), kth, axis), axis)


def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: Any = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Any:
    """Quantiles over axes, as ``numpy.quantile``: mixtures of two of the sorted elements."""
    if weights is not None:
        raise TypeError("numpy.quantile: weights are not known with tensors, leave them away")
    a = array_of(a)
    axes = axes_of("numpy.quantile", a.ndim, axis)
    kept = [i for i in range(a.ndim) if i not in axes]
    rows = moveaxis(a, axes, tuple(range(-len(axes), 0)))
    rows = sorting.sort(reshape(rows, *[a.shape[i] for i in kept], -1), -1)[0]
    shares = np.asarray(plain_of(q), float)
    # Where in the sorted elements a quantile lies is what NumPy says of the numbers 0, 1, 2, …
    count = rows.shape[-1]
    places = np.quantile(np.arange(count, dtype=float), shares, method=method)
    low = np.floor(places).astype(int)
    share = np.asarray(places - low, rows.dtype)
    low_values = getitem(rows, (..., low))
    high_values = getitem(rows, (..., np.minimum(low + 1, count - 1)))
    result = low_values + (high_values - low_values) * share
    found = np.reshape(np.isnan(plain_of(rows)).any(-1), (*rows.shape[:-1], *(1,) * shares.ndim))
    result = piecewise.where(found, np.nan, result) if found.any() else result
    result = moveaxis(result, tuple(range(len(kept), result.ndim)), tuple(range(shares.ndim)))
    if keepdims:
        sizes = [1 if i in axes else size for i, size in enumerate(a.shape)]
        result = reshape(result, *shares.shape, *sizes)
    return into(out, result, "numpy.quantile")


def percentile(a: Any, q: Any, *args: Any, **kwargs: Any) -> Any:
    """Quantiles in per cent, as ``numpy.percentile``."""
    return quantile(a, np.asarray(plain_of(q)) / 100, *args, **kwargs)


def median(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False
) -> Any:
    """Medians over axes, as ``numpy.median``; of an even count the mean of two."""
    return quantile(a, 0.5, axis, out, keepdims=keepdims)


RECORDED: dict[str, Callable[..., Any]] = {
    "cumsum": _running(scan.cumsum, "cumsum"),
    "cumprod": _running(scan.cumprod, "cumprod"),
    "cumulative_sum": _with_initial(scan.cumsum, "cumulative_sum", 0),
    "cumulative_prod": _with_initial(scan.cumprod, "cumulative_prod", 1),
    "nancumsum": lambda a, *args, **kwargs: RECORDED["cumsum"](
        nans.filled(a, 0.0), *args, **kwargs
    ),
    "nancumprod": lambda a, *args, **kwargs: RECORDED["cumprod"](
        nans.filled(a, 1.0), *args, **kwargs
    ),
    "diff": diff,
    "sort": sort,
    "partition": partition,
    "quantile": quantile,
    "percentile": percentile,
    "median": median,
}
"""NumPy's functions of order by name."""
