"""Why a result or a gradient is not finite, in words: a small function for each operation.

Each looks at the numbers that met in one element. Where none knows better, the sum or the product
is too large for the type of its floats.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.anomaly.values import named, value_of
from tinygrad_cnn.graph import Node
from tinygrad_cnn.op import Op
from tinygrad_cnn.types import Array

Index = tuple[int, ...]
At = list[Any]
"""What each input has at the element in question; None where that cannot be said."""


def why_forward(op: Op, arrays: Sequence[Any], edges: Sequence[Any], out: Array, at: Index) -> str:
    """Say why an operation's result is not finite at an element."""
    name = op.name.lstrip("_")
    values = [_value_at(a, out.shape, at) for a in arrays]
    if name == "pow" and len(values) == 1:
        values.append(op.settings()["exponent"])
    place = f" at {list(at)}" if at else ""
    if name in _FORWARD and values and None not in values:
        said = _FORWARD[name](values, out.dtype, place)
        if said:
            return said + _whence(edges[0] if len(edges) == 1 else None, at)
    if name in ("var", "std", "mean") and isinstance(arrays[0], np.ndarray):
        said = _too_few(op, arrays[0], out)
        if said:
            return said
    if name in ("softmax", "log_softmax") and np.isneginf(arrays[0]).any():
        return f"every logit of a row is −∞{place}: there is nothing to divide by"
    return _too_large(name, arrays, out) + place


def why_backward(
    op: Op, arrays: Sequence[Any], g: Array, found: Array, position: int, at: Index
) -> str:
    """Say why the gradient of an input is not finite at an element."""
    name = op.name.lstrip("_")
    place = f" at {list(at)}" if at else ""
    same = g.shape == found.shape
    values = [_value_at(a, found.shape, at) for a in arrays]
    cotangent = g[at] if same else None
    if name in _BACKWARD and values and values[position] is not None:
        said = _BACKWARD[name](op, values, position)
        if said:
            times = ""
            if cotangent is not None:
                zero = cotangent == 0
                times = f", times a gradient of {named(cotangent)}{': 0 · ∞' if zero else ''}"
            return f"{said}{place}{times}"
    if name in ("std", "vector_norm"):
        what = "the values are all the same" if name == "std" else "the vector is 0"
        return f"the derivative of {name} where {what}: 0 / 0{place}"
    if values and values[position] is not None and cotangent is not None:
        return (
            f"the derivative of {name} at {named(values[position])}, times a gradient of "
            f"{named(cotangent)}{place}"
        )
    return _too_large(f"the rule of {name}", [*arrays, g], found) + place


def _value_at(array: Any, shape: tuple[int, ...], at: Index) -> Any:
    """Return what an input has at an element of the result, None if it is not spread like it."""
    if isinstance(array, (bool, int, float)):
        return array
    if not isinstance(array, np.ndarray):
        return None
    try:
        return np.broadcast_to(array, shape)[at]
    except ValueError:
        return None


def _largest(dtype: Any) -> str:
    return f"{dtype.name} ends at {np.finfo(dtype).max:.2g}"


def _too_large(name: str, arrays: Sequence[Any], out: Array) -> str:
    parts = [a for a in arrays if isinstance(a, np.ndarray) and a.dtype.kind == "f" and a.size]
    with np.errstate(all="ignore"):
        sizes = [float(np.nanmax(np.abs(a))) for a in parts]
    if sizes and max(sizes) > float(np.finfo(out.dtype).max) ** 0.25:
        reach = " and ".join(named(size) for size in sizes)
        return f"{name} of numbers up to {reach} is too large: {_largest(out.dtype)}"
    return f"{name} of numbers up to {' and '.join(named(s) for s in sizes) or 'nothing'}"


def _too_few(op: Op, x: Array, out: Array) -> str:
    count = x.size // max(out.size, 1)
    correction = getattr(op, "correction", 0)
    if count - correction > 0:
        return ""
    name = {"var": "variance", "std": "standard deviation"}.get(op.name, op.name)
    many = "one value" if count == 1 else f"{count} values"
    less = f" with a correction of {correction:g}" if correction else ""
    return f"{name} of {many}{less}: divided by {named(count - correction)}"


def _whence(edge: Any, at: Index) -> str:
    """Say where an operation's only input came from, if that is the reason."""
    if type(edge) is not Node or edge.op.name not in ("softmax", "sigmoid", "exp"):
        return ""
    if not edge.inputs or edge.released:
        return ""
    before = edge.inputs[0]
    logits = before if isinstance(before, np.ndarray) else value_of(edge.edges[0])
    if logits is None:
        return ""
    if edge.op.name == "softmax":
        axis = edge.op.settings()["axis"]
        row = logits[tuple(slice(None) if i == axis % logits.ndim else k for i, k in enumerate(at))]
        return (
            f", the result of a softmax whose logits span {named(row.max() - row.min())}: write "
            "log_softmax, or cross_entropy of the logits"
        )
    instead = {
        "sigmoid": "logsigmoid, or binary_cross_entropy_with_logits",
        "exp": "the exponent itself",
    }[edge.op.name]
    return f", the {edge.op.name} of {named(logits[at])}: write {instead}"


# ------------------------------------------------------------------ results, by operation


def _log(values: At, _: Any, at: str) -> str:
    return f"log of {named(values[0])}{at}" if values[0] <= 0 else ""


def _log1p(values: At, _: Any, at: str) -> str:
    return f"log1p of {named(values[0])}{at}, the log of {named(1 + values[0])}"


def _sqrt(values: At, _: Any, at: str) -> str:
    return f"square root of {named(values[0])}{at}" if values[0] < 0 else ""


def _div(values: At, dtype: Any, at: str) -> str:
    a, b = values
    quotient = f"{named(a)} / {named(b)}{at}"
    return quotient if b == 0 else f"{quotient} is too large: {_largest(dtype)}"


def _reciprocal(values: At, _: Any, at: str) -> str:
    return f"1 / {named(values[0])}{at}"


def _rsqrt(values: At, _: Any, at: str) -> str:
    return f"1 / √{named(values[0])}{at}"


def _exponential(name: str, base: float) -> Callable[[At, Any, str], str]:
    def say(values: At, dtype: Any, at: str) -> str:
        end = np.log(float(np.finfo(dtype).max)) / np.log(base)
        return f"{name} of {named(values[0])}{at}: {dtype.name}'s {name} ends at {named(end)}"

    return say


def _pow(values: At, dtype: Any, at: str) -> str:
    a, b = values
    text = f"{named(a)} to the power {named(b)}{at}"
    infinite = a == 0 or (a < 0 and b != int(b))
    return text if infinite else f"{text} is too large: {_largest(dtype)}"


def _binary(sign: str) -> Callable[[At, Any, str], str]:
    def say(values: At, dtype: Any, at: str) -> str:
        a, b = values
        text = f"{named(a)} {sign} {named(b)}{at}"
        finite = bool(np.isfinite(a) and np.isfinite(b))
        return f"{text} is too large: {_largest(dtype)}" if finite else text

    return say


def _outside(name: str, domain: str) -> Callable[[At, Any, str], str]:
    return lambda values, _, at: f"{name} of {named(values[0])}{at}: it is defined {domain}"


def _cast(values: At, dtype: Any, at: str) -> str:
    return f"{named(values[0])}{at} is too large: {_largest(dtype)}"


_FORWARD: dict[str, Callable[[At, Any, str], str]] = {
    "log": _log,
    "log2": _log,
    "log10": _log,
    "log1p": _log1p,
    "sqrt": _sqrt,
    "rsqrt": _rsqrt,
    "div": _div,
    "reciprocal": _reciprocal,
    "pow": _pow,
    "add": _binary("+"),
    "sub": _binary("−"),
    "mul": _binary("·"),
    "exp": _exponential("exp", np.e),
    "expm1": _exponential("expm1", np.e),
    "exp2": _exponential("exp2", 2.0),
    "sinh": _exponential("sinh", np.e),
    "cosh": _exponential("cosh", np.e),
    "acos": _outside("acos", "from −1 to 1"),
    "asin": _outside("asin", "from −1 to 1"),
    "acosh": _outside("acosh", "from 1 on"),
    "atanh": _outside("atanh", "between −1 and 1"),
    "erfinv": _outside("erfinv", "between −1 and 1"),
    "cast": _cast,
}


# ------------------------------------------------------------------ gradients, by operation


def _root_rule(op: Op, values: At, _: int) -> str:
    x = values[0]
    return f"the derivative of {op.name} at {named(x)} is infinite" if x == 0 else ""


def _div_rule(_: Op, values: At, position: int) -> str:
    b = values[1]
    if b != 0:
        return f"the derivative of {named(values[0])} / {named(b)}" if values[0] is not None else ""
    power = "1 / b" if position == 0 else "−a / b²"
    return f"the derivative {power} where b is 0"


def _pow_rule(op: Op, values: At, _: int) -> str:
    exponent = values[1] if len(values) > 1 else getattr(op, "exponent", None)
    if values[0] != 0 or exponent is None:
        return ""
    return f"the derivative of x to the power {named(exponent)} at 0 is infinite"


def _edge_rule(op: Op, values: At, _: int) -> str:
    x = values[0]
    return f"the derivative of {op.name} at {named(x)} is infinite" if abs(x) == 1 else ""


_BACKWARD: dict[str, Callable[[Op, At, int], str]] = {
    **dict.fromkeys(("sqrt", "rsqrt", "reciprocal", "log", "log2", "log10", "cbrt"), _root_rule),
    **dict.fromkeys(("asin", "acos", "acosh", "atanh", "erfinv"), _edge_rule),
    "div": _div_rule,
    "pow": _pow_rule,
}
