"""Reductions: sums, means, norms and extremes over axes; the places of extremes; running sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn.onnx.errors import OnnxError
from tinygrad_cnn.onnx.operators.base import (
    Call,
    Run,
    array,
    integers,
    is_float,
    number,
    operator,
)

__all__: list[str] = []

Axes = tuple[int, ...] | None
Reduce = Callable[[Any, Axes, bool], Any]


def _whole(function: Any) -> Reduce:
    """Return a reduction of integers by NumPy, in their own type."""
    return lambda x, axes, keep: np.asarray(function(array(x), axis=axes, keepdims=keep), x.dtype)


def _log_sum_exp(x: Any, axes: Axes, keep: bool) -> Any:
    if 0 in x.shape:
        return F.log(F.sum(F.exp(x), axes, keep))
    return F.logsumexp(x, axes, keep)


def _extreme(function: Any, worst: float) -> Reduce:
    """Return a reduction to the extreme, which of nothing is infinite."""

    def run(x: Any, axes: Axes, keep: bool) -> Any:
        if 0 in x.shape:
            return np.min(array(x), axes, keepdims=keep, initial=worst).astype(x.dtype)
        return function(x, axes, keep)

    return run


def _integer_extreme(function: Any, least: bool) -> Reduce:
    def run(x: Any, axes: Axes, keep: bool) -> Any:
        values = array(x)
        if values.dtype.kind == "b":
            return (np.all if least else np.any)(values, axis=axes, keepdims=keep)
        limits = np.iinfo(values.dtype)
        initial = limits.max if least else limits.min
        return np.asarray(function(values, axis=axes, keepdims=keep, initial=initial))

    return run


def _square(x: Any) -> Any:
    return F.mul(x, x)


# For each operator: of floats, and of integers where that is something else.
_REDUCTIONS: dict[str, tuple[Reduce, Reduce]] = {
    "Sum": (lambda x, a, k: F.sum(x, a, k), _whole(np.sum)),
    "Mean": (lambda x, a, k: F.mean(x, a, k), _whole(np.mean)),
    "Prod": (lambda x, a, k: F.prod(x, a, k), _whole(np.prod)),
    "Max": (_extreme(F.amax, -np.inf), _integer_extreme(np.max, False)),
    "Min": (_extreme(F.amin, np.inf), _integer_extreme(np.min, True)),
    "L1": (
        lambda x, a, k: F.sum(F.abs(x), a, k),
        lambda x, a, k: _whole(np.sum)(np.abs(array(x)), a, k),
    ),
    "L2": (
        lambda x, a, k: F.vector_norm(x, 2, a, k),
        lambda x, a, k: np.sqrt(np.sum(np.square(array(x), dtype=float), a, keepdims=k)).astype(
            x.dtype
        ),
    ),
    "SumSquare": (
        lambda x, a, k: F.sum(_square(x), a, k),
        lambda x, a, k: _whole(np.sum)(np.square(array(x)), a, k),
    ),
    "LogSum": (
        lambda x, a, k: F.log(F.sum(x, a, k)),
        lambda x, a, k: np.log(np.sum(array(x), a, keepdims=k)).astype(x.dtype),
    ),
    "LogSumExp": (
        _log_sum_exp,
        lambda x, a, k: np.log(np.sum(np.exp(array(x)), a, keepdims=k)).astype(x.dtype),
    ),
}

_AXES_AS_INPUT = {"Sum": 13}  # the opset that moved the axes from the attributes; 18 for the others


def _reduction(short: str) -> Callable[[Call], Run]:
    floats, whole = _REDUCTIONS[short]

    def make(call: Call) -> Run:
        keep = bool(call.integer("keepdims", 1))
        nothing_is_nothing = bool(call.integer("noop_with_empty_axes"))
        setting: Axes = call.ints("axes")
        if call.opset >= _AXES_AS_INPUT.get(short, 18):
            setting = None

        def run(x: Any, given: Any = None) -> Any:
            axes = setting if given is None else tuple(integers(given))
            if not axes:
                if nothing_is_nothing:
                    return _each_alone(short, x)
                axes = tuple(range(x.ndim))
            if max(-min(axes), max(axes) + 1) > x.ndim:
                raise OnnxError(f"Reduce{short}: axes {axes} of an input of {x.ndim} axes")
            axes = tuple(sorted(axis % x.ndim for axis in axes))
            return floats(x, axes, keep) if is_float(x) else whole(x, axes, keep)

        return run

    return make


def _each_alone(short: str, x: Any) -> Any:
    """Reduce each element on its own: what the reduction does to one number."""
    if short in ("L1", "L2"):
        return F.abs(x)
    if short == "SumSquare":
        return _square(x)
    return F.log(x) if short == "LogSum" else x


for _short in _REDUCTIONS:
    operator(f"Reduce{_short}", sizes=(1,))(_reduction(_short))


# ------------------------------------------------------------------ places, running sums


def _place(least: bool) -> Callable[[Call], Run]:
    def make(call: Call) -> Run:
        axis, keep = call.integer("axis"), bool(call.integer("keepdims", 1))
        last = bool(call.integer("select_last_index"))
        function = np.argmin if least else np.argmax

        def run(x: Any) -> Any:
            values = array(x)
            if not last:
                return np.asarray(function(values, axis, keepdims=keep), np.int64)
            turned = function(np.flip(values, axis), axis, keepdims=keep)
            return np.asarray(values.shape[axis] - 1 - turned, np.int64)

        return run

    return make


operator("ArgMax")(_place(least=False))
operator("ArgMin")(_place(least=True))


def _running(floats: Any, whole: Any, neutral: float) -> Callable[[Call], Run]:
    def make(call: Call) -> Run:
        exclusive, backwards = bool(call.integer("exclusive")), bool(call.integer("reverse"))

        def run(x: Any, axis: Any) -> Any:
            at = int(number(axis)) % max(1, x.ndim)
            x = F.flip(x, at) if backwards else x
            y = floats(x, at) if is_float(x) else np.asarray(whole(array(x), at), x.dtype)
            if exclusive:
                length = x.shape[at]
                shape = tuple(1 if axis == at else size for axis, size in enumerate(x.shape))
                first = np.full(shape, neutral, x.dtype)
                y = F.cat((first, F.narrow(y, at, 0, length - 1)), at)
            return F.flip(y, at) if backwards else y

        return run

    return make


operator("CumSum")(_running(F.cumsum, np.cumsum, 0))
operator("CumProd")(_running(F.cumprod, np.cumprod, 1))


@operator("TopK", sizes=(1,))
def top_k(call: Call) -> Run:
    """Take the largest, or the smallest, along an axis, and say where they were."""
    axis = call.integer("axis", -1)
    largest, sorts = bool(call.integer("largest", 1)), bool(call.integer("sorted", 1))
    setting = call.integer("k", None)

    def run(x: Any, k: Any = None) -> Any:
        count = setting if k is None else int(number(k))
        if is_float(x):
            values, places = F.topk(x, count, axis, largest, sorts)
            return values, array(places)
        found = array(x)
        order = np.argsort(found if not largest else -found.astype(np.float64), axis, kind="stable")
        places = np.take(order, np.arange(count), axis)
        return np.take_along_axis(found, places, axis), places

    return run
