"""Shapes and types: what is the same numbers in another form, and numbers made of shapes."""

from __future__ import annotations

from math import prod
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
    simple,
)
from tinygrad_cnn.onnx.tensors import BFLOAT16, SMALL, dtype_of, nearest_bfloat16, wrapped

__all__: list[str] = []

simple("Identity", lambda x: x, passes=True)
simple("Size", lambda x: np.asarray(array(x).size, np.int64), reads_shape=True)


@operator("Shape", reads_shape=True)
def shape(call: Call) -> Run:
    """Return the sizes of the dimensions, or of some of them."""
    start, end = call.integer("start"), call.integer("end", None)
    return lambda x: np.array(tuple(x.shape)[start:end], np.int64)


@operator("Reshape", sizes=(1,), passes=True)
def reshape(call: Call) -> Run:
    """Give another shape: 0 keeps a size, -1 is what is left."""
    keeps = not call.integer("allowzero")

    def run(x: Any, sizes: Any) -> Any:
        wanted = integers(sizes)
        before = tuple(x.shape)
        if keeps:
            if any(not size and at >= len(before) for at, size in enumerate(wanted)):
                raise OnnxError(f"Reshape: shape {wanted} keeps sizes that {before} has not")
            wanted = [size or before[at] for at, size in enumerate(wanted)]
        if wanted.count(-1) > 1 or min(wanted, default=1) < -1:
            raise OnnxError(f"Reshape: expects at most one -1, got {wanted}")
        if -1 in wanted:
            others = -prod(wanted)
            left = array(x).size // others if others else 0
            wanted[wanted.index(-1)] = left
        return F.reshape(x, tuple(wanted))

    return run


@operator("Transpose", passes=True)
def transpose(call: Call) -> Run:
    """Put the dimensions in another order; without one, in reverse."""
    order = call.ints("perm")

    def run(x: Any) -> Any:
        return F.permute(x, *(order if order is not None else reversed(range(x.ndim))))

    return run


@operator("Flatten", passes=True)
def flatten(call: Call) -> Run:
    """Make a matrix: the dimensions before an axis, and those from it on."""
    axis = call.integer("axis", 1)

    def run(x: Any) -> Any:
        sizes = tuple(x.shape)
        at = axis + x.ndim if axis < 0 else axis
        return F.reshape(x, prod(sizes[:at]), prod(sizes[at:]))

    return run


@operator("Squeeze", sizes=(1,), passes=True)
def squeeze(call: Call) -> Run:
    """Take away dimensions of size 1."""
    setting = call.ints("axes")

    def run(x: Any, given: Any = None) -> Any:
        sizes = tuple(x.shape)
        axes = setting if given is None else integers(given)
        if axes is None:
            axes = [at for at, size in enumerate(sizes) if size == 1]
        gone = {at % max(1, len(sizes)) for at in axes}
        if any(sizes[at] != 1 for at in gone):
            raise OnnxError(f"Squeeze: the dimensions {sorted(gone)} of {sizes} are not all 1")
        return F.reshape(x, tuple(size for at, size in enumerate(sizes) if at not in gone))

    return run


@operator("Unsqueeze", sizes=(1,), passes=True)
def unsqueeze(call: Call) -> Run:
    """Put in dimensions of size 1."""
    setting = call.ints("axes")

    def run(x: Any, given: Any = None) -> Any:
        axes = setting if given is None else integers(given)
        if axes is None:
            raise OnnxError("Unsqueeze expects axes")
        rank = x.ndim + len(axes)
        new = {axis % rank for axis in axes}
        if len(new) != len(axes) or any(not -rank <= axis < rank for axis in axes):
            raise OnnxError(f"Unsqueeze: axes {list(axes)} of a result of {rank} axes")
        sizes = iter(x.shape)
        return F.reshape(x, tuple(1 if at in new else next(sizes) for at in range(rank)))

    return run


@operator("Concat", operands=True)
def concat(call: Call) -> Run:
    """Join along an axis."""
    axis = call.integer("axis")

    def run(*values: Any) -> Any:
        if any(is_float(value) for value in values):
            return F.cat(values, axis)
        return np.concatenate([array(value) for value in values], axis)

    return run


@operator("Split", sizes=(1,))
def split(call: Call) -> Run:
    """Cut along an axis, into pieces of given sizes or as many as there are outputs."""
    axis, setting = call.integer("axis"), call.ints("split")
    count = call.integer("num_outputs", None) or len(call.outputs)

    def run(x: Any, given: Any = None) -> Any:
        sizes = setting if given is None else integers(given)
        length = x.shape[axis]
        if sizes is None:
            each = -(-length // count)
            sizes = [max(0, min(each, length - each * at)) for at in range(count)]
        if sum(sizes) != length or min(sizes, default=0) < 0:
            raise OnnxError(f"Split: pieces of {list(sizes)} of an axis of {length}")
        return tuple(F.split(x, list(sizes), axis))

    return run


@operator("Expand", sizes=(1,), passes=True)
def expand(call: Call) -> Run:
    """Repeat along dimensions of size 1."""

    def run(x: Any, sizes: Any) -> Any:
        wanted = np.broadcast_shapes(tuple(x.shape), tuple(integers(sizes)))
        return F.broadcast_to(x, wanted) if is_float(x) else np.broadcast_to(array(x), wanted)

    return run


@operator("Tile", sizes=(1,), passes=True)
def tile(call: Call) -> Run:
    """Repeat along each dimension."""

    def run(x: Any, repeats: Any) -> Any:
        return F.tile(x, tuple(integers(repeats))) if x.ndim else x

    return run


_ORDERS = ("DCR", "CRD")


@operator("DepthToSpace")
def depth_to_space(call: Call) -> Run:
    """Spread channels over blocks of pixels."""
    block = call.integer("blocksize")
    depth_first = named("DepthToSpace: mode", call.text("mode", "DCR"), _ORDERS) == "DCR"

    def run(x: Any) -> Any:
        N, C, H, W = x.shape
        out = C // (block * block)
        if depth_first:
            parts = F.permute(F.reshape(x, N, block, block, out, H, W), 0, 3, 4, 1, 5, 2)
        else:
            parts = F.permute(F.reshape(x, N, out, block, block, H, W), 0, 1, 4, 2, 5, 3)
        return F.reshape(parts, N, out, H * block, W * block)

    return run


@operator("SpaceToDepth")
def space_to_depth(call: Call) -> Run:
    """Gather blocks of pixels in channels."""
    block = call.integer("blocksize")
    depth_first = named("SpaceToDepth: mode", call.text("mode", "DCR"), _ORDERS) == "DCR"
    order = (0, 3, 5, 1, 2, 4) if depth_first else (0, 1, 3, 5, 2, 4)

    def run(x: Any) -> Any:
        N, C, H, W = x.shape
        parts = F.reshape(x, N, C, H // block, block, W // block, block)
        return F.reshape(F.permute(parts, *order), N, C * block * block, H // block, W // block)

    return run


# ------------------------------------------------------------------ types


def _converted(x: Any, dtype: np.dtype[Any]) -> Any:
    if is_float(x) and dtype.kind == "f":
        return F.cast(x, dtype) if x.dtype != dtype else x
    with np.errstate(invalid="ignore", over="ignore"):
        return array(x).astype(dtype)


@operator("Cast", passes=True)
def cast(call: Call) -> Run:
    """Convert to another type."""
    to = call.integer("to")
    dtype = dtype_of(to, "Cast: the result")
    if to in SMALL:
        return lambda x: wrapped(array(x).astype(np.int64), *SMALL[to]).astype(dtype)
    if to == BFLOAT16:
        return lambda x: nearest_bfloat16(array(x).astype(np.float32))
    return lambda x: _converted(x, dtype)


simple("CastLike", lambda x, other: _converted(x, other.dtype), passes=True)


# ------------------------------------------------------------------ made of numbers


@operator("Constant")
def constant(call: Call) -> Run:
    """Give what stands in the file."""
    found = constant_value(call)
    return lambda: found


def constant_value(call: Call) -> Any:
    """Return the array that a Constant node holds."""
    kinds = {
        "value_float": np.float32,
        "value_floats": np.float32,
        "value_int": np.int64,
        "value_ints": np.int64,
    }
    for name, kind in kinds.items():
        if name in call.attributes:
            return np.asarray(call.attributes[name], kind)
    if "value" not in call.attributes or call.read is None:
        raise OnnxError(f"Constant has no value that is read: {', '.join(call.attributes)}")
    return call.read(call.attributes["value"])


@operator("ConstantOfShape", sizes=(0,))
def constant_of_shape(call: Call) -> Run:
    """Fill a shape with one number."""
    value = np.zeros(1, np.float32)
    if "value" in call.attributes and call.read is not None:
        value = call.read(call.attributes["value"])

    def run(sizes: Any) -> Any:
        return np.full(tuple(integers(sizes)), value.reshape(-1)[0], value.dtype)

    return run


@operator("Range", sizes=(0, 1, 2))
def range_(call: Call) -> Run:
    """Count from one number towards another."""

    def run(start: Any, limit: Any, delta: Any) -> Any:
        first, end, step = (number(v) for v in (start, limit, delta))
        count = max(0, int(np.ceil((end - first) / step)))
        return (first + np.arange(count) * step).astype(start.dtype)

    return run


@operator("EyeLike")
def eye_like(call: Call) -> Run:
    """Make ones on a diagonal, in the shape of the input."""
    to, offset = call.integer("dtype", None), call.integer("k")

    def run(x: Any) -> Any:
        dtype = x.dtype if to is None else dtype_of(to, "EyeLike: the result")
        rows, columns = x.shape
        return np.eye(rows, columns, offset, dtype)

    return run


@operator("OneHot", sizes=(1,))
def one_hot(call: Call) -> Run:
    """Make a vector for each index that holds one value there and another elsewhere."""
    axis = call.integer("axis", -1)

    def run(indices: Any, depth: Any, values: Any) -> Any:
        count = int(number(depth))
        off, on = array(values)
        places = array(indices).astype(np.int64)
        inside = (places >= -count) & (places < count)
        hit = (np.arange(count) == (places % count)[..., None]) & inside[..., None]
        at = axis + hit.ndim if axis < 0 else axis
        return np.moveaxis(np.where(hit, on, off), -1, at)

    return run
