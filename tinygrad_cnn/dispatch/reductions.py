"""NumPy's reductions: sum, mean, extreme values, spread; with ``where`` and ``initial``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.dispatch.out import into, typed
from tinygrad_cnn.dispatch.shapes import array_of
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.ops import elementwise, extreme, piecewise, reduce
from tinygrad_cnn.ops.arguments import axes_of
from tinygrad_cnn.ops.shape import broadcast_to, reshape

Dim = Any  # an int, a tuple of ints, or None


def _kept(a: Any, where: Any, other: float) -> Any:
    """Replace what is not reduced by what changes nothing."""
    return a if where is True else piecewise.where(where, a, other)


def sum(
    a: Any,
    axis: Dim = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Any:
    """Sum over axes, as ``numpy.sum``."""
    a = _kept(typed(array_of(a), dtype), where, 0)
    total = reduce.sum(a, axis, keepdims)
    return into(out, total if initial is None else total + initial, "numpy.sum")


def prod(
    a: Any,
    axis: Dim = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Any:
    """Product over axes, as ``numpy.prod``."""
    a = _kept(typed(array_of(a), dtype), where, 1)
    total = reduce.prod(a, axis, keepdims)
    return into(out, total if initial is None else total * initial, "numpy.prod")


def mean(
    a: Any,
    axis: Dim = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    *,
    where: Any = True,
) -> Any:
    """Mean over axes, as ``numpy.mean``."""
    a = typed(array_of(a), dtype)
    if where is True:
        return into(out, reduce.mean(a, axis, keepdims), "numpy.mean")
    total = reduce.sum(_kept(a, where, 0), axis, keepdims)
    return into(out, elementwise.div(total, _count(a, axis, keepdims, where)), "numpy.mean")


def _count(a: Any, axis: Dim, keepdims: bool, where: Any) -> Any:
    """Return how many elements are reduced."""
    if where is True:
        return math.prod([a.shape[i] for i in axes_of("numpy", a.ndim, axis)])
    mask = where._data if isinstance(where, TensorBase) else where
    mask = np.broadcast_to(mask, tuple(a.shape))
    return np.sum(mask, axis, keepdims=keepdims).astype(a.dtype if a.dtype.kind == "f" else float)


def var(
    a: Any,
    axis: Dim = None,
    dtype: Any = None,
    out: Any = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: float | None = None,
) -> Any:
    """Variance over axes, as ``numpy.var``: without Bessel's correction unless it is asked for."""
    less = ddof if correction is None else correction
    a = typed(array_of(a), dtype)
    if where is True and mean is None:
        return into(out, reduce.var(a, axis, less, keepdims), "numpy.var")
    if mean is None:
        total = reduce.sum(_kept(a, where, 0), axis, True)
        mean = elementwise.div(total, _count(a, axis, True, where))
    away = _kept(a - mean, where, 0)
    total = reduce.sum(away * away, axis, keepdims)
    result = elementwise.div(total, _count(a, axis, keepdims, where) - less)
    return into(out, result, "numpy.var")


def std(
    a: Any,
    axis: Dim = None,
    dtype: Any = None,
    out: Any = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: float | None = None,
) -> Any:
    """Take the standard deviation over axes, as ``numpy.std``."""
    if where is True and mean is None:
        less = ddof if correction is None else correction
        a = typed(array_of(a), dtype)
        return into(out, reduce.std(a, axis, less, keepdims), "numpy.std")
    spread = var(
        a, axis, dtype, None, ddof, keepdims, where=where, mean=mean, correction=correction
    )
    return into(out, elementwise.sqrt(spread), "numpy.std")


def _extreme(
    name: str, whole: Callable[..., Any], pair: Callable[..., Any], worst: float
) -> Callable[..., Any]:
    """Make ``numpy.max`` or ``numpy.min``; equals share the gradient."""

    def reduced(
        a: Any,
        axis: Dim = None,
        out: Any = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = True,
    ) -> Any:
        if where is not True and initial is None:
            raise ValueError(f"numpy.{name}: where= needs initial=, for rows that have no element")
        a = _kept(array_of(a), where, worst if initial is None else initial)
        result = whole(a, axis, keepdims)
        if initial is not None:
            result = pair(result, initial)
        return into(out, result, f"numpy.{name}")

    reduced.__name__ = name
    reduced.__doc__ = f"Reduce over axes, as ``numpy.{name}``."
    return reduced


amax = _extreme("max", extreme.amax, piecewise.maximum, -np.inf)
amin = _extreme("min", extreme.amin, piecewise.minimum, np.inf)


def ptp(a: Any, axis: Dim = None, out: Any = None, keepdims: bool = False) -> Any:
    """Greatest minus smallest, as ``numpy.ptp``."""
    return into(out, amax(a, axis, None, keepdims) - amin(a, axis, None, keepdims), "numpy.ptp")


def average(
    a: Any, axis: Dim = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False
) -> Any:
    """Weighted mean, as ``numpy.average``."""
    a = array_of(a)
    if weights is None:
        result = mean(a, axis, keepdims=keepdims)
        count = _count(a, axis, keepdims, True)
        return (result, np.full(result.shape, count, result.dtype)) if returned else result
    weights = array_of(weights)
    if weights.shape != a.shape:
        if weights.ndim != 1 or not isinstance(axis, (int, np.integer)):
            raise TypeError(
                "numpy.average: weights of another shape expect one dimension and an axis, got "
                f"shapes {tuple(weights.shape)} and {tuple(a.shape)}, axis {axis}"
            )
        sizes = [-1 if i == axis % a.ndim else 1 for i in range(a.ndim)]
        weights = broadcast_to(reshape(weights, *sizes), a.shape)
    total = reduce.sum(weights, axis, keepdims)
    result = elementwise.div(reduce.sum(a * weights, axis, keepdims), total)
    return (result, total) if returned else result


RECORDED: dict[str, Callable[..., Any]] = {
    "sum": sum,
    "prod": prod,
    "mean": mean,
    "var": var,
    "std": std,
    "max": amax,
    "amax": amax,
    "min": amin,
    "amin": amin,
    "ptp": ptp,
    "average": average,
}
