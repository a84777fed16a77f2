"""Writing what only moves numbers: shapes, slices, joins, borders, resampling."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.onnx.errors import OnnxError
from tinygrad_cnn.onnx.export.writer import Pair, Writer, writes
from tinygrad_cnn.ops import extreme, index, join, shape
from tinygrad_cnn.ops.indexing.embedding import Embedding
from tinygrad_cnn.ops.ordering.sorting import Sort, Topk
from tinygrad_cnn.ops.rearranging.diagonal import Triangle
from tinygrad_cnn.ops.rearranging.repeat import Roll
from tinygrad_cnn.ops.resampling.resample import Resample

__all__: list[str] = []

_END = np.iinfo(np.int64).max


@writes(shape.Reshape)
def _reshape(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    """Write a shape; what differs with the batch is kept (0) or left to be found (-1)."""
    one, other = tuple(pair.one.shape), tuple(pair.other.shape)
    before = pair.shapes()
    sizes = []
    for at, pairs in enumerate(zip(one, other, strict=True)):
        same = at < len(before[0]) and pairs == (before[0][at], before[1][at])
        sizes.append(pairs[0] if pairs[0] == pairs[1] else 0 if same else -1)
    if sizes.count(-1) > 1:
        return writer.emit("Reshape", *inputs, writer.sizes(one, other, "reshape"))
    if sizes.count(0) == 1 and -1 not in sizes:
        sizes[sizes.index(0)] = -1  # the batch, which is what is left
    return writer.emit("Reshape", *inputs, writer.integers(sizes))


@writes(shape.Permute)
def _permute(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    return writer.emit("Transpose", *inputs, perm=pair.op.dims)


@writes(shape.BroadcastTo)
def _broadcast_to(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    """Write a shape in which 1 stands where the input has the size already."""
    targets = tuple(pair.one.shape), tuple(pair.other.shape)
    shapes = []
    for target, given in zip(targets, pair.shapes(), strict=True):
        padded = (1,) * (len(target) - len(given)) + given
        shapes.append([1 if t == g else t for t, g in zip(target, padded, strict=True)])
    return writer.emit("Expand", *inputs, writer.sizes(shapes[0], shapes[1], "expand"))


@writes(shape.Pad)
def _pad(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    widths = pair.op.widths
    pads = writer.integers([*(before for before, _ in widths), *(after for _, after in widths)])
    return writer.emit("Pad", *inputs, pads, writer.number(pair.op.value))


@writes(join.Concatenate)
def _concatenate(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    return writer.emit("Concat", *inputs, axis=pair.op.dim)


@writes(join.Stack)
def _stack(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    axis = pair.op.dim
    at = writer.integers([axis])
    return writer.emit("Concat", *(writer.emit("Unsqueeze", x, at) for x in inputs), axis=axis)


@writes(Roll)
def _roll(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    (x,) = inputs
    for axis, shift in zip(pair.op.axes, pair.op.shifts, strict=True):
        at, end = writer.integers([axis]), writer.integers([_END])
        cut = writer.integers([-shift])
        if shift:
            tail = writer.emit("Slice", x, cut, end, at)
            head = writer.emit("Slice", x, writer.integers([0]), cut, at)
            x = writer.emit("Concat", tail, head, axis=axis)
    return x


@writes(Topk, Sort)
def _topk(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    op, axis = pair.op, pair.op.axis
    sizes = [shape[axis] for shape in pair.shapes()]
    if isinstance(op, Sort) and sizes[0] != sizes[1]:
        raise OnnxError("sorting the batch depends on its size")
    count = sizes[0] if isinstance(op, Sort) else op.k
    largest = op.descending if isinstance(op, Sort) else op.largest
    settings = {"axis": axis, "largest": int(largest), "sorted": 1}
    return writer.emit("TopK", *inputs, writer.integers([count]), unread=1, **settings)


@writes(Triangle)
def _triangle(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    diagonal = writer.constant(np.asarray(pair.op.diagonal, np.int64), "diagonal")
    return writer.emit("Trilu", *inputs, diagonal, upper=int(pair.op.upper))


@writes(Resample)
def _resample(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    (y,) = inputs
    ndim, axes = len(pair.shape), pair.op.axes
    for axis, along in enumerate(axes, ndim - len(axes)):
        if along.is_same:
            continue
        matrix = np.zeros((along.out_size, along.size))
        for i, row in enumerate(along.rows()):
            for k, weight in row:
                matrix[i, k] += weight
        y = writer.along(y, ndim, axis, matrix)
    return y


# ------------------------------------------------------------------ picking elements


@writes(index.Slice)
def _slice(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    return _picked(writer, pair, inputs[0])


@writes(index.Gather)
def _gather(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    return _picked(writer, pair, inputs[0])


def _picked(writer: Writer, pair: Pair, x: str) -> str:
    """Write a key part by part: slices at once, then numbers and one array, then new axes."""
    ops: list[Any] = [pair.one.op, pair.other.op]
    keys = [_whole(op.key, len(pair.shape)) for op in ops]
    if len([part for part in keys[0] if isinstance(part, np.ndarray)]) > 1:
        raise OnnxError("a key of several arrays is none of ONNX's")
    x = _sliced(writer, x, keys, pair.shapes())
    axis = 0
    after: list[int] = []
    for part in keys[0]:
        if part is None:
            after.append(len(after) + axis)
            continue
        if isinstance(part, np.ndarray) and part.dtype.kind == "b":
            if part.ndim != 1:
                raise OnnxError("a mask of several dimensions as a key is none of ONNX's")
            part = np.flatnonzero(part)
        if isinstance(part, (int, np.integer)):
            x = writer.emit("Gather", x, writer.constant(np.asarray(part, np.int64)), axis=axis)
            continue
        if isinstance(part, np.ndarray):
            x = writer.emit("Gather", x, writer.constant(part.astype(np.int64)), axis=axis)
            axis += part.ndim
            continue
        axis += 1
    return writer.emit("Unsqueeze", x, writer.integers(after)) if after else x


def _whole(key: Any, ndim: int) -> list[Any]:
    """Return a key with a part for each axis in the place of the ellipsis."""
    parts = list(key)
    used = sum(
        part.ndim if isinstance(part, np.ndarray) and part.dtype.kind == "b" else 1
        for part in parts
        if part is not None and part is not Ellipsis
    )
    rest = [slice(None)] * (ndim - used)
    for at, part in enumerate(parts):
        if part is Ellipsis:
            return [*parts[:at], *rest, *parts[at + 1 :]]
    return [*parts, *rest]


def _sliced(
    writer: Writer,
    x: str,
    keys: list[list[Any]],
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
) -> str:
    """Write the slices of a key."""
    found = []
    axis = 0
    for one, other in zip(*keys, strict=True):
        if one is None:
            continue
        if isinstance(one, slice) and one != slice(None):
            bounds = one.indices(shapes[0][axis])
            if shapes[0][axis] != shapes[1][axis] or one != other:
                bounds = _of_the_batch(one, other)
            start, stop, step = bounds
            found.append((start, stop if stop >= 0 or step > 0 else -_END, axis, step))
        axis += 1
    if not found:
        return x
    return writer.emit("Slice", x, *(writer.integers(part) for part in zip(*found, strict=True)))


def _of_the_batch(one: slice, other: slice) -> tuple[int, int, int]:
    """Return the bounds of a slice of the batch, as they were written."""
    if one != other:
        raise OnnxError(f"a slice is {one} or {other}, as the batch is")
    step = 1 if one.step is None else one.step
    first, last = (0, _END) if step > 0 else (_END, -_END)
    return (
        first if one.start is None else one.start,
        last if one.stop is None else one.stop,
        step,
    )


@writes(extreme.TakeAlong)
def _take_along(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    return writer.emit("GatherElements", *inputs, axis=pair.op.axis)


@writes(Embedding)
def _embedding(writer: Writer, pair: Pair, inputs: list[str]) -> str:
    return writer.emit("Gather", *inputs, axis=0)
