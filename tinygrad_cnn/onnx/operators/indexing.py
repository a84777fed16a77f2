"""Picking elements and putting them: slices, gathers, scatters, borders, triangles."""

from __future__ import annotations

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
    named,
    number,
    operator,
)

__all__: list[str] = []


@operator("Slice", sizes=(1, 2, 3, 4))
def slice_(call: Call) -> Run:
    """Cut out a part along some axes, with steps; before opset 10 as attributes."""
    settings = call.ints("starts"), call.ints("ends"), call.ints("axes")

    def run(x: Any, *given: Any) -> Any:
        values = [None if v is None else integers(v) for v in given] or list(settings)
        starts, ends, axes, steps = (*values, None, None)[:4]
        if starts is None or ends is None:
            raise OnnxError("Slice expects starts and ends")
        axes = list(range(len(starts))) if axes is None else axes
        steps = [1] * len(starts) if steps is None else steps
        key = [slice(None)] * x.ndim
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
            key[axis] = _bounds(start, end, step, x.shape[axis])
        return F.getitem(x, tuple(key))

    return run


def _bounds(start: int, end: int, step: int, size: int) -> slice:
    """Return a slice; a backward one that goes to the first element ends at None."""
    if step == 0:
        raise OnnxError("Slice: a step of 0")
    start = max(0, start + size) if start < 0 else start
    end = end + size if end < 0 else end
    if step > 0:
        return slice(start, max(0, end), step)
    return slice(min(start, size - 1), end if end >= 0 else None, step)


@operator("Gather", weights=(0,))
def gather(call: Call) -> Run:
    """Take along an axis what stands at some places; the places' shape takes the axis's place."""
    axis = call.integer("axis")

    def run(x: Any, places: Any) -> Any:
        at = axis % max(1, x.ndim)
        return F.getitem(x, (slice(None),) * at + (array(places),))

    return run


@operator("GatherElements")
def gather_elements(call: Call) -> Run:
    """Take for each place the element there along an axis."""
    axis = call.integer("axis")

    def run(x: Any, places: Any) -> Any:
        found = array(places)
        length = x.shape[axis]
        return F.gather(x, axis % x.ndim, np.where(found < 0, found + length, found))

    return run


@operator("GatherND")
def gather_nd(call: Call) -> Run:
    """Take what stands at places of several axes, behind some that run along."""
    along = call.integer("batch_dims")

    def run(x: Any, places: Any) -> Any:
        found = array(places)
        grids = np.ix_(*(np.arange(size) for size in found.shape[:along])) if along else ()
        spread = tuple(g.reshape(g.shape + (1,) * (found.ndim - 1 - along)) for g in grids)
        return F.getitem(x, (*spread, *np.moveaxis(found, -1, 0)))

    return run


_REDUCTIONS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}
_KNOWN = ("none", *_REDUCTIONS)


def _put(x: Any, flat: Any, updates: Any, reduction: str) -> Any:
    """Put updates at places of the flattened input."""
    shape = tuple(x.shape)
    line, values = F.reshape(x, -1), F.reshape(updates, -1)
    places = flat.ravel()
    if not is_float(x):
        out = array(line).copy()
        ufuncs = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}
        if reduction == "none":
            out[places] = array(values)
        else:
            ufuncs[reduction].at(out, places, array(values))
        return out.reshape(shape)
    if reduction == "none":
        return F.reshape(F.scatter(line, 0, places, values), shape)
    return F.reshape(F.scatter_reduce(line, 0, places, values, _REDUCTIONS[reduction]), shape)


@operator("Scatter", "ScatterElements")
def scatter_elements(call: Call) -> Run:
    """Put each update at its place along an axis."""
    axis = call.integer("axis")
    reduction = named("ScatterElements: reduction", call.text("reduction", "none"), _KNOWN)

    def run(x: Any, places: Any, updates: Any) -> Any:
        found = array(places)
        at, length = axis % x.ndim, x.shape[axis]
        grid: list[Any] = list(np.indices(found.shape, sparse=True))
        grid[at] = np.where(found < 0, found + length, found)
        flat = np.ravel_multi_index(tuple(np.broadcast_arrays(*grid)), tuple(x.shape))
        return _put(x, flat, updates, reduction)

    return run


@operator("ScatterND")
def scatter_nd(call: Call) -> Run:
    """Put slices of updates at places of several axes."""
    reduction = named("ScatterND: reduction", call.text("reduction", "none"), _KNOWN)

    def run(x: Any, places: Any, updates: Any) -> Any:
        found = array(places)
        shape = tuple(x.shape)
        depth = found.shape[-1]
        found = np.where(found < 0, found + np.array(shape[:depth]), found)
        first = np.ravel_multi_index(tuple(np.moveaxis(found, -1, 0)), shape[:depth])
        each = int(np.prod(shape[depth:], dtype=np.int64))
        flat = first[..., None] * each + np.arange(each)
        return _put(x, flat, updates, reduction)

    return run


@operator("TensorScatter")
def tensor_scatter(call: Call) -> Run:
    """Write a piece into a cache along an axis, from a place on for each of the batch."""
    axis = call.integer("axis", -2)
    around = named("TensorScatter: mode", call.text("mode", "linear"), ("linear", "circular"))

    def run(cache: Any, update: Any, starts: Any = None) -> Any:
        at, length = axis % cache.ndim, cache.shape[axis]
        first = np.zeros(cache.shape[0], np.int64) if starts is None else array(starts)
        grid = list(np.indices(tuple(update.shape), sparse=True))
        moved = grid[at] + first.reshape(-1, *(1,) * (cache.ndim - 1))
        grid[at] = moved % length if around == "circular" else moved
        flat = np.ravel_multi_index(tuple(np.broadcast_arrays(*grid)), tuple(cache.shape))
        return _put(cache, flat, update, "none")

    return run


@operator("NonZero", any_shape=True)
def non_zero(call: Call) -> Run:
    """Return the places of what is not zero, a row an axis."""
    return lambda x: np.array(np.nonzero(array(x)), np.int64)


@operator("Compress", any_shape=True)
def compress(call: Call) -> Run:
    """Keep what a condition chooses along an axis, or of all elements."""
    axis = call.integer("axis", None)

    def run(x: Any, condition: Any) -> Any:
        places = np.flatnonzero(array(condition))
        if axis is None:
            return F.getitem(F.reshape(x, -1), places)
        return F.getitem(x, (slice(None),) * (axis % x.ndim) + (places,))

    return run


@operator("Unique", any_shape=True)
def unique(call: Call) -> Run:
    """Return each value once, and where they were."""
    axis, sorts = call.integer("axis", None), bool(call.integer("sorted", 1))

    def run(x: Any) -> Any:
        values, first, inverse, counts = np.unique(
            array(x), return_index=True, return_inverse=True, return_counts=True, axis=axis
        )
        inverse = inverse.ravel()
        if not sorts:
            order = np.argsort(first)
            values = np.take(values, order, 0 if axis is None else axis)
            first, counts = first[order], counts[order]
            inverse = np.argsort(order)[inverse]
        found = values, first, inverse, counts
        return (found[0], *(f.astype(np.int64) for f in found[1:]))[: len(call.outputs)]

    return run


_MODES = {"constant": "constant", "edge": "edge", "reflect": "reflect", "wrap": "wrap"}


@operator("Pad", sizes=(1, 3))
def pad(call: Call) -> Run:
    """Add borders, or take them away; before opset 11 as attributes."""
    mode = _MODES[named("Pad: mode", call.text("mode", "constant"), _MODES)]
    setting = call.ints("pads") or call.ints("paddings")
    fill = call.real("value", 0.0)

    def run(x: Any, given: Any = None, value: Any = None, axes: Any = None) -> Any:
        pads = setting if given is None else integers(given)
        on = range(x.ndim) if axes is None else [axis % x.ndim for axis in integers(axes)]
        if pads is None or len(pads) != 2 * len(on):
            raise OnnxError(f"Pad: pads {pads} are not two for each of {len(on)} axes")
        widths = [(0, 0)] * x.ndim
        for at, axis in enumerate(on):
            widths[axis] = pads[at], pads[at + len(on)]
        constant = fill if value is None else number(value)
        return _bordered(x, widths, mode, constant)

    return run


def _bordered(x: Any, widths: list[tuple[int, int]], mode: str, value: Any) -> Any:
    """Return an input with borders; negative widths take away."""
    cut = tuple(
        slice(max(0, -before), size - max(0, -after))
        for (before, after), size in zip(widths, x.shape, strict=True)
    )
    x = F.getitem(x, cut)
    added = [(max(0, before), max(0, after)) for before, after in widths]
    if not any(before or after for before, after in added):
        return x
    if mode == "constant" and is_float(x):
        flat = [width for pair in reversed(added) for width in pair]
        return F.pad(x, flat, value=float(value))
    if mode == "constant":
        return np.pad(array(x), added, constant_values=value)
    for axis, pair in enumerate(added):  # an axis of places, taken from the input
        if any(pair):
            places = np.pad(np.arange(x.shape[axis]), pair, mode=mode)  # type: ignore[call-overload]
            x = F.getitem(x, (slice(None),) * axis + (places,))
    return x


@operator("Trilu")
def trilu(call: Call) -> Run:
    """Keep a triangle of each matrix, zeros elsewhere."""
    upper = bool(call.integer("upper", 1))

    def run(x: Any, k: Any = None) -> Any:
        diagonal = 0 if k is None else int(number(k))
        if is_float(x):
            return (F.triu if upper else F.tril)(x, diagonal)
        return (np.triu if upper else np.tril)(array(x), diagonal)

    return run


@operator("ReverseSequence")
def reverse_sequence(call: Call) -> Run:
    """Turn round the first elements of each sequence of a batch."""
    batch, time = call.integer("batch_axis", 1), call.integer("time_axis", 0)

    def run(x: Any, lengths: Any) -> Any:
        found = array(lengths)
        count = np.arange(x.shape[time])
        places = np.where(count < found[:, None], found[:, None] - 1 - count, count)
        if time < batch:
            places = places.T
        others = [1] * x.ndim
        others[batch], others[time] = x.shape[batch], x.shape[time]
        index = np.broadcast_to(places.reshape(others), tuple(x.shape))
        return F.gather(x, time, index)

    return run


@operator("CenterCropPad", sizes=(1,))
def center_crop_pad(call: Call) -> Run:
    """Cut out the middle, or add zeros around it, to a given size."""
    setting = call.ints("axes")

    def run(x: Any, sizes: Any) -> Any:
        wanted = integers(sizes)
        axes = range(x.ndim) if setting is None else [axis % x.ndim for axis in setting]
        widths = [(0, 0)] * x.ndim
        for axis, size in zip(axes, wanted, strict=True):
            missing = size - x.shape[axis]
            before = missing // 2 if missing > 0 else -(-missing // 2)
            widths[axis] = before, missing - before
        return _bordered(x, widths, "constant", 0)

    return run
