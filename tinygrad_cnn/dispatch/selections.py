"""NumPy's functions that choose elements: where, clip, take and their kin."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.dispatch.out import into
from tinygrad_cnn.dispatch.shapes import (
    array_of,
    expand_dims,
    moveaxis,
    plain_of,
    ravel,
    stack,
)
from tinygrad_cnn.dispatch.without import without_graph
from tinygrad_cnn.ops import piecewise, rounding
from tinygrad_cnn.ops.arguments import axis_of, sizes_of
from tinygrad_cnn.ops.index import ScatterAdd, getitem, plain_key
from tinygrad_cnn.ops.shape import reshape


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
    places = np.asarray(plain_of(indices))
    size = a.shape[axis]
    if mode == "wrap":
        places = places % size
    elif mode == "clip":
        places = np.clip(places, 0, size - 1)
    elif mode != "raise":
        raise ValueError(f"numpy.take: mode expects 'raise', 'wrap' or 'clip', got {mode!r}")
    return into(out, getitem(a, (*(slice(None),) * (axis % a.ndim), places)), "numpy.take")


def compress(condition: Any, a: Any, axis: int | None = None, out: Any = None) -> Any:
    """Take the parts where a vector holds, as ``numpy.compress``."""
    return take(a, np.flatnonzero(plain_of(condition)), axis, out)


def extract(condition: Any, arr: Any) -> Any:
    """Take the elements where a condition holds, as ``numpy.extract``."""
    return getitem(ravel(arr), np.flatnonzero(plain_of(condition)))


def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """Choose by the first condition that holds, as ``numpy.select``."""
    if len(condlist) != len(choicelist):
        raise ValueError(
            f"numpy.select: {len(condlist)} conditions do not go with {len(choicelist)} choices"
        )
    result = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        result = piecewise.where(condition, choice, result)
    return result


def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    """Choose element by element by number, as ``numpy.choose``."""
    count = len(choices)
    numbers = np.asarray(plain_of(a))
    if mode == "wrap":
        numbers = numbers % count
    elif mode == "clip":
        numbers = np.clip(numbers, 0, count - 1)
    elif mode != "raise" or (numbers < 0).any() or (numbers >= count).any():
        raise ValueError(f"numpy.choose: expects numbers from 0 to {count - 1}, or another mode")
    result = choices[0]
    for number in range(count):
        result = piecewise.where(numbers == number, choices[number], result)
    return into(out, result, "numpy.choose")


def piecewise_(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """Compute by the last condition that holds, as ``numpy.piecewise``."""
    masks = np.asarray([np.asarray(plain_of(c)) for c in condlist], bool)
    masks = masks.reshape(-1, *x.shape)
    if len(funclist) not in (len(masks), len(masks) + 1):
        raise ValueError(f"numpy.piecewise: {len(masks)} conditions, {len(funclist)} functions")
    if len(funclist) > len(masks):
        masks = np.concatenate([masks, ~masks.any(0, keepdims=True)])
    result: Any = None
    for index, function in enumerate(funclist):
        places = np.flatnonzero(masks[index] & ~masks[index + 1 :].any(0))
        part = getitem(ravel(x), places)
        value = function(part, *args, **kw) if callable(function) else part * 0.0 + function
        spread = ScatterAdd(plain_key(places), (x._data.size,))(value)
        result = spread if result is None else result + spread
    return reshape(result, *x.shape)


def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    """Take elements along an axis by their numbers, as ``numpy.take_along_axis``."""
    arr = array_of(arr)
    if axis is None:
        arr, axis = ravel(arr), 0
    return getitem(arr, indices_along(arr, indices, axis))


def indices_along(arr: Any, indices: Any, axis: int) -> tuple[Any, ...]:
    """Return the key that names an element for each number along an axis."""
    numbers = np.asarray(plain_of(indices))
    places: list[Any] = [
        np.arange(size).reshape(*(1,) * i, -1, *(1,) * (arr.ndim - i - 1))
        for i, size in enumerate(arr.shape)
    ]
    places[axis % arr.ndim] = numbers
    return tuple(places)


def unique(ar: Any, return_index: bool = False, *args: Any, **kwargs: Any) -> Any:
    """Sort and leave out what repeats, as ``numpy.unique``: the first of equals counts."""
    axis = kwargs.get("axis", args[2] if len(args) > 2 else None)
    _, first, *more = np.unique(plain_of(ar), True, *args, **kwargs)
    values = getitem(ravel(ar), first) if axis is None else take(ar, first, axis)
    rest = [ar._wrap(np.asarray(x), None) for x in ([first] if return_index else []) + more]
    return (values, *rest) if rest else values


def resize(a: Any, new_shape: Any) -> Any:
    """Repeat the elements until they fill a shape, as ``numpy.resize``."""
    sizes = sizes_of("numpy.resize", (new_shape,))
    row = ravel(a)
    places = np.arange(math.prod(sizes)) % max(row.shape[0], 1)
    return reshape(getitem(row, places), *sizes)


def trim_zeros(filt: Any, trim: str = "fb") -> Any:
    """Leave out zeros at the ends of a vector, as ``numpy.trim_zeros``."""
    found = np.flatnonzero(plain_of(filt))
    if not len(found):
        return filt[:0]
    first = found[0] if "f" in trim.lower() else 0
    last = found[-1] + 1 if "b" in trim.lower() else filt.shape[0]
    return getitem(filt, slice(int(first), int(last)))


def apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a function with every vector along an axis, as ``numpy.apply_along_axis``."""
    axis = axis_of("numpy.apply_along_axis", arr.ndim, axis)
    last = moveaxis(arr, axis, -1)
    around = tuple(last.shape[:-1])
    found = [array_of(func1d(last[place], *args, **kwargs)) for place in np.ndindex(around)]
    joined = reshape(stack(found), *around, *found[0].shape)
    behind = list(range(len(around), joined.ndim))
    return moveaxis(joined, behind, [axis + i for i in range(len(behind))])


def apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    """Call a function of (array, axis) for one axis after the other, as NumPy does."""
    for axis in sizes_of("numpy.apply_over_axes", (axes,)):
        result = func(a, axis)
        a = result if result.ndim == a.ndim else expand_dims(result, axis)
    return a


RECORDED: dict[str, Callable[..., Any]] = {
    "where": where,
    "clip": clip,
    "round": round,
    "around": round,
    "fix": lambda x, out=None: into(out, rounding.trunc(x), "numpy.fix"),
    "take": take,
    "compress": compress,
    "extract": extract,
    "select": select,
    "choose": choose,
    "piecewise": piecewise_,
    "take_along_axis": take_along_axis,
    "unique": unique,
    "unique_values": unique,
    "resize": resize,
    "trim_zeros": trim_zeros,
    "apply_along_axis": apply_along_axis,
    "apply_over_axes": apply_over_axes,
}
"""NumPy's functions that choose by name."""
