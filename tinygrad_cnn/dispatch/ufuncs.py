"""NumPy's ufuncs on tensors, with their keywords and their methods (reduce, outer, at, …)."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.dispatch import ordering, reductions
from tinygrad_cnn.dispatch.out import into, typed
from tinygrad_cnn.dispatch.without import tensors_in
from tinygrad_cnn.graph import mode
from tinygrad_cnn.inplace import before_writing, changed
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.ops import activation, elementwise, linalg, piecewise, reduce, rounding
from tinygrad_cnn.ops.arguments import shape_of
from tinygrad_cnn.ops.index import plain_key
from tinygrad_cnn.ops.ordering import scan
from tinygrad_cnn.ops.pointwise import combining, powers, trigonometry
from tinygrad_cnn.ops.shape import reshape, squeeze, unsqueeze
from tinygrad_cnn.writing import add_to

RECORDED: dict[str, Callable[..., Any]] = {
    # arithmetic
    "add": elementwise.add,
    "subtract": elementwise.sub,
    "multiply": elementwise.mul,
    "divide": elementwise.div,
    "negative": elementwise.neg,
    "positive": elementwise.clone,
    "power": elementwise.pow,
    "float_power": lambda x, p: elementwise.pow(elementwise.mul(x, 1.0), p),
    "square": lambda x: elementwise.pow(x, 2),
    "sqrt": elementwise.sqrt,
    "reciprocal": lambda x: elementwise.div(1.0, x),
    "matmul": linalg.matmul,
    "vecdot": lambda a, b: reduce.sum(elementwise.mul(a, b), -1),
    "matvec": lambda a, b: squeeze(linalg.matmul(a, unsqueeze(b, -1)), -1),
    "vecmat": lambda a, b: squeeze(linalg.matmul(unsqueeze(a, -2), b), -2),
    # exponentials and logarithms
    "exp": elementwise.exp,
    "log": elementwise.log,
    "log1p": elementwise.log1p,
    "exp2": powers.exp2,
    "expm1": powers.expm1,
    "log2": powers.log2,
    "log10": powers.log10,
    "cbrt": powers.cbrt,
    "logaddexp": combining.logaddexp,
    "logaddexp2": combining.logaddexp2,
    # angles
    "sin": trigonometry.sin,
    "cos": trigonometry.cos,
    "tan": trigonometry.tan,
    "arcsin": trigonometry.asin,
    "arccos": trigonometry.acos,
    "arctan": trigonometry.atan,
    "arctan2": trigonometry.atan2,
    "hypot": trigonometry.hypot,
    "sinh": trigonometry.sinh,
    "cosh": trigonometry.cosh,
    "tanh": activation.tanh,
    "arcsinh": trigonometry.asinh,
    "arccosh": trigonometry.acosh,
    "arctanh": trigonometry.atanh,
    "deg2rad": trigonometry.deg2rad,
    "radians": trigonometry.deg2rad,
    "rad2deg": trigonometry.rad2deg,
    "degrees": trigonometry.rad2deg,
    # choices
    "absolute": piecewise.abs,
    "fabs": piecewise.abs,
    "sign": piecewise.sign,
    "maximum": piecewise.maximum,
    "minimum": piecewise.minimum,
    "fmax": combining.fmax,
    "fmin": combining.fmin,
    "copysign": rounding.copysign,
    "heaviside": rounding.heaviside,
    # steps and neighbours
    "nextafter": rounding.nextafter,
    "modf": lambda x: (rounding.frac(x), rounding.trunc(x)),
    "frexp": powers.frexp,
    "ldexp": powers.ldexp,
    "floor": rounding.floor,
    "ceil": rounding.ceil,
    "trunc": rounding.trunc,
    "rint": rounding.round,
    "floor_divide": rounding.floor_divide,
    "remainder": rounding.remainder,
    "fmod": rounding.fmod,
    "divmod": lambda a, b: (rounding.floor_divide(a, b), rounding.remainder(a, b)),
    # real numbers are their own conjugates
    "conjugate": operator.pos,
}
"""NumPy's ufuncs by name, each beside the operation that it is here."""

# A ufunc is not evaluated where its mask is False: there it gets a number that every function and
# its derivative are finite at.
_HARMLESS = {"arccosh": 2.0}

# What each method needs, where there is an operation for it.
_REDUCE: dict[np.ufunc, Callable[..., Any]] = {
    np.add: reductions.sum,
    np.multiply: reductions.prod,
    np.maximum: reductions.amax,
    np.minimum: reductions.amin,
    np.logaddexp: lambda x, axis, out=None, keepdims=False: into(
        out, reduce.logsumexp(x, axis, keepdims), "numpy.logaddexp"
    ),
}
_ACCUMULATE: dict[np.ufunc, Callable[..., Any]] = {
    np.add: ordering.RECORDED["cumsum"],
    np.multiply: ordering.RECORDED["cumprod"],
    np.maximum: lambda x, axis, out=None: into(out, scan.cummax(x, axis)[0], "numpy.maximum"),
    np.minimum: lambda x, axis, out=None: into(out, scan.cummin(x, axis)[0], "numpy.minimum"),
}

_PLACES = {"reduce": ("axis", "dtype", "out", "keepdims"), "accumulate": ("axis", "dtype", "out")}

_IGNORED = ("casting", "order", "subok")  # how NumPy makes its arrays: no tensor's business


def call(ufunc: np.ufunc, rule: Callable[..., Any], inputs: tuple[Any, ...], kwargs: Any) -> Any:
    """Call a recorded ufunc with keywords: out, where, dtype."""
    name = f"numpy.{ufunc.__name__}"
    rest = {word: x for word, x in kwargs.items() if word not in _IGNORED}
    out, mask, dtype = rest.pop("out", None), rest.pop("where", True), rest.pop("dtype", None)
    if rest:
        raise TypeError(f"{name}: {', '.join(rest)} is not known with tensors, leave it away")
    if out is not None and ufunc.nout > 1:
        raise TypeError(f"{name}: out= is not known with tensors, leave it away")
    if dtype is not None:
        inputs = tuple([typed(x, dtype) if hasattr(x, "dtype") else x for x in inputs])
    target = out[0] if isinstance(out, tuple) else out
    if isinstance(target, TensorBase):
        inputs = tuple([_kept(x, target) for x in inputs])
    if mask is True:
        return into(out, rule(*inputs), name)
    if out is None:
        raise TypeError(
            f"{name}: where= leaves the other elements undefined: give out= as well, or use "
            f"`functional.where`"
        )
    harmless = _HARMLESS.get(ufunc.__name__, 0.5)
    inputs = tuple([piecewise.where(mask, x, harmless) if _is_float(x) else x for x in inputs])
    return into(target, piecewise.where(mask, rule(*inputs), target), name)


def _kept(x: Any, target: TensorBase) -> Any:
    """Copy an input that is written over, for the rule may need what it was."""
    overlaps = isinstance(x, TensorBase) and np.may_share_memory(x._data, target._data)
    return elementwise.clone(x) if overlaps else x


def _is_float(x: Any) -> bool:
    return isinstance(x, (TensorBase, np.ndarray)) and x.dtype.kind == "f"


def call_method(
    ufunc: np.ufunc, rule: Callable[..., Any], method: str, inputs: tuple[Any, ...], kwargs: Any
) -> Any:
    """Call a method of a recorded ufunc: outer, reduce, accumulate, at."""
    if method == "outer":
        return call(ufunc, rule, _outer(ufunc, *inputs), kwargs)
    if method == "at":
        _at(ufunc, *inputs)
        return None
    table = {"reduce": _REDUCE, "accumulate": _ACCUMULATE}.get(method, {})
    if ufunc in table:
        x, *rest = inputs
        words = {"axis": 0, **dict(zip(_PLACES[method], rest, strict=False)), **kwargs}
        return table[ufunc](typed(x, words.pop("dtype", None)), **words)
    known = ", ".join(f"numpy.{f.__name__}.{method}" for f in table)
    raise TypeError(
        f"numpy.{ufunc.__name__}.{method} has no rule, the gradient would be lost: "
        f"{f'use {known} or ' if known else 'write it as '}operations on slices; `detach()` leaves "
        "the graph"
    )


def _outer(ufunc: np.ufunc, a: Any, b: Any) -> tuple[Any, Any]:
    """Give every element of a all elements of b: the shapes do not overlap."""
    name = f"numpy.{ufunc.__name__}.outer"
    before, behind = shape_of(name, a), shape_of(name, b)
    if not isinstance(a, TensorBase):
        a = np.asarray(a)
    return reshape(a, *before, *(1,) * len(behind)), b


def _at(ufunc: np.ufunc, x: Any, key: Any, *values: Any) -> None:
    """Apply a ufunc at places of a tensor, in place; places that are named twice count twice."""
    name = f"numpy.{ufunc.__name__}.at"
    wanted = mode.recording and any(t._requires_grad for t in tensors_in((x, values)))
    if not wanted:
        array = x._data if isinstance(x, TensorBase) else x
        before_writing(array)
        ufunc.at(array, plain_key(key, name), *[getattr(v, "_data", v) for v in values])
        changed(array, by=name)
        return
    if not isinstance(x, TensorBase):
        raise TypeError(
            f"{name}: the first argument is a NumPy array, in which the gradient would be lost: "
            "make it a tensor with `tensor(...)`"
        )
    if ufunc not in (np.add, np.subtract):
        raise TypeError(
            f"{name} has no rule, the gradient would be lost: write `x[key] = function(x[key], …)` "
            "for places that are named once, or `detach()` leaves the graph"
        )
    value = values[0] if ufunc is np.add else elementwise.neg(values[0])
    add_to(name, x, plain_key(key, name), value)
