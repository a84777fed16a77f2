"""NumPy's functions that choose elements: where, clip, take and their kin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.dispatch.out import into
from tinygrad_cnn.dispatch.shapes import array_of
from tinygrad_cnn.dispatch.without import without_graph
from tinygrad_cnn.ops import piecewise, rounding
from tinygrad_cnn.ops.index import getitem


def where(condition: Any, *choices: Any) -> Any:
    """Choose element by element, as ``numpy.where``; a condition alone gives its places."""
    if not choices:
        return without_graph(np.nonzero, (condition,), {})
    return piecewise.where(condition, *choices)


def clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, **words: Any) -> Any:
    """Limit to a range, as ``numpy.clip``."""
    low, high = words.pop("min", a_min), words.pop("max", a_max)
    if words.keys() - {"casting", "order", "subok"}:
        raise TypeError(f"numpy.clip: {', '.join(words)} is not known with tensors, leave it away")
    if low is None and high is None:
        return into(out, +array_of(a), "numpy.clip")
    return into(out, piecewise.clip(a, low, high), "numpy.clip")


def round(a: Any, decimals: int = 0, out: Any = None) -> Any:
    """Round to decimals, as ``numpy.round``; the gradient is 0."""
    return into(out, rounding.round(a, decimals), "numpy.round")


def take(
    a: Any, indices: Any, axis: int | None = None, out: Any = None, mode: str = "raise"
) -> Any:
    """Take elements or parts by their numbers, as ``numpy.take``."""
    a = array_of(a)
    if axis is None:
        a, axis = a.reshape(-1), 0
    places = np.asarray(array_of(indices) if not hasattr(indices, "_data") else indices._data)
    size = a.shape[axis]
    if mode == "wrap":
        places = places % size
    elif mode == "clip":
        places = np.clip(places, 0, size - 1)
    elif mode != "raise":
        raise ValueError(f"numpy.take: mode expects 'raise', 'wrap' or 'clip', got {mode!r}")
    return into(out, getitem(a, (*(slice(None),) * (axis % a.ndim), places)), "numpy.take")


RECORDED: dict[str, Callable[..., Any]] = {
    "where": where,
    "clip": clip,
    "round": round,
    "around": round,
    "fix": lambda x, out=None: into(out, rounding.trunc(x), "numpy.fix"),
    "take": take,
}
"""NumPy's functions that choose by name."""
