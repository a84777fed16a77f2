"""NumPy's functions that move elements around: reshape, transpose, stack, split, tile."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.dispatch.out import into, typed
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.ops import elementwise, join, shape
from tinygrad_cnn.ops.arguments import axis_of, sizes_of
from tinygrad_cnn.ops.index import getitem


def array_of(x: Any) -> Any:
    """Return a tensor or an array; numbers and lists become arrays."""
    return x if isinstance(x, TensorBase) else np.asarray(x)


def plain_of(x: Any) -> Any:
    """Return the array of a tensor; anything else as it is."""
    return x._data if isinstance(x, TensorBase) else x


# ---------------------------------------------------------------------------------------------
# another shape


def reshape(a: Any, shape_: Any, order: str = "C", *, copy: bool | None = None) -> Any:
    """Give another shape, as ``numpy.reshape``; order "F" counts the first axis fastest."""
    a = array_of(a)
    sizes = sizes_of("numpy.reshape", (shape_,))
    if order == "F":
        return transpose(shape.reshape(transpose(a), *reversed(sizes)))
    if order not in ("C", "A"):
        raise ValueError(f"numpy.reshape: order expects 'C', 'F' or 'A', got {order!r}")
    result = shape.reshape(a, *sizes)
    return elementwise.clone(result) if copy else result


def ravel(a: Any, order: str = "C") -> Any:
    """Put all elements in a row, as ``numpy.ravel``."""
    return reshape(a, -1, "C" if order == "K" else order)


def squeeze(a: Any, axis: Any = None) -> Any:
    """Drop axes of size 1, as ``numpy.squeeze``: it is an error to name one of another size."""
    if axis is not None:
        for i in sizes_of("numpy.squeeze", (axis,)):
            if a.shape[axis_of("numpy.squeeze", a.ndim, i)] != 1:
                raise ValueError(f"numpy.squeeze: axis {i} of shape {tuple(a.shape)} is not 1")
    return shape.squeeze(a, axis)


def expand_dims(a: Any, axis: Any) -> Any:
    """Insert axes of size 1, as ``numpy.expand_dims``."""
    axes = sizes_of("numpy.expand_dims", (axis,))
    ndim = a.ndim + len(axes)
    new = {axis_of("numpy.expand_dims", ndim, i) for i in axes}
    if len(new) != len(axes):
        raise ValueError(f"numpy.expand_dims: an axis appears twice in {axes}")
    old = iter(a.shape)
    return shape.reshape(a, *[1 if i in new else next(old) for i in range(ndim)])


def _at_least(ndim: int, name: str, place: Callable[[Any], Any]) -> Callable[..., Any]:
    def widened(*arrays: Any) -> Any:
        wide = [a if a.ndim >= ndim else place(a) for a in map(array_of, arrays)]
        return wide[0] if len(wide) == 1 else tuple(wide)

    widened.__name__ = name
    widened.__doc__ = f"Give at least {ndim} axes, as ``numpy.{name}``."
    return widened


def _three(a: Any) -> Any:
    return shape.reshape(
        a, *((1, a.shape[0], 1) if a.ndim == 1 else (*a.shape, 1, 1)[:3]) if a.ndim else (1, 1, 1)
    )


atleast_1d = _at_least(1, "atleast_1d", lambda a: shape.reshape(a, 1))
atleast_2d = _at_least(2, "atleast_2d", lambda a: shape.reshape(a, 1, -1))
atleast_3d = _at_least(3, "atleast_3d", _three)


# ---------------------------------------------------------------------------------------------
# axes in another order


def transpose(a: Any, axes: Any = None) -> Any:
    """Put the axes into another order, as ``numpy.transpose``; they are reversed by default."""
    a = array_of(a)
    return shape.permute(a, *(reversed(range(a.ndim)) if axes is None else axes))


def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """Exchange two axes, as ``numpy.swapaxes``."""
    return shape.transpose(a, axis1, axis2)


def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    """Move axes to other places, as ``numpy.moveaxis``."""
    name = "numpy.moveaxis"
    old = [axis_of(name, a.ndim, i) for i in sizes_of(name, (source,))]
    new = [axis_of(name, a.ndim, i) for i in sizes_of(name, (destination,))]
    if len(old) != len(new):
        raise ValueError(f"{name}: {len(old)} axes do not go to {len(new)} places")
    order = [i for i in range(a.ndim) if i not in old]
    for place, axis in sorted(zip(new, old, strict=True)):
        order.insert(place, axis)
    return shape.permute(a, *order)


def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    """Move an axis before another one, as ``numpy.rollaxis``."""
    axis = axis_of("numpy.rollaxis", a.ndim, axis)
    start = start + a.ndim if start < 0 else start
    return moveaxis(a, axis, start - 1 if axis < start else start)


def matrix_transpose(x: Any) -> Any:
    """Exchange the last two axes, as ``numpy.matrix_transpose``."""
    return shape.transpose(x, -2, -1)


# ---------------------------------------------------------------------------------------------
# joining and cutting


def concatenate(
    arrays: Any, axis: int | None = 0, out: Any = None, *, dtype: Any = None, casting: Any = None
) -> Any:
    """Join along an axis, as ``numpy.concatenate``; None joins all elements in a row."""
    xs = [array_of(x) for x in arrays]
    if axis is None:
        xs, axis = [ravel(x) for x in xs], 0
    return into(out, typed(join.concatenate(xs, axis), dtype), "numpy.concatenate")


def stack(
    arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: Any = None
) -> Any:
    """Join along a new axis, as ``numpy.stack``."""
    xs = [array_of(x) for x in arrays]
    return into(out, typed(join.stack(xs, axis), dtype), "numpy.stack")


def hstack(tup: Any, *, dtype: Any = None, casting: Any = None) -> Any:
    """Join side by side, as ``numpy.hstack``."""
    xs = [atleast_1d(x) for x in tup]
    return concatenate(xs, 0 if xs and xs[0].ndim == 1 else 1, dtype=dtype)


def vstack(tup: Any, *, dtype: Any = None, casting: Any = None) -> Any:
    """Join one below the other, as ``numpy.vstack``."""
    return concatenate([atleast_2d(x) for x in tup], 0, dtype=dtype)


def dstack(tup: Any) -> Any:
    """Join along the third axis, as ``numpy.dstack``."""
    return concatenate([atleast_3d(x) for x in tup], 2)


def column_stack(tup: Any) -> Any:
    """Join vectors as columns, as ``numpy.column_stack``."""
    return concatenate([atleast_2d(x).T if array_of(x).ndim < 2 else x for x in tup], 1)


def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """Join two arrays, as ``numpy.append``."""
    return concatenate((arr, values), axis)


def block(arrays: Any) -> Any:
    """Join nested lists of blocks, innermost lists along the last axis, as ``numpy.block``."""

    def depth(x: Any) -> int:
        return 1 + max(map(depth, x), default=0) if isinstance(x, list) else 0

    def joined(x: Any, axis: int) -> Any:
        if not isinstance(x, list):
            x = array_of(x)
            return shape.reshape(x, *(1,) * (ndim - x.ndim), *x.shape)
        return concatenate([joined(part, axis + 1) for part in x], axis)

    def widest(x: Any) -> int:
        return max(map(widest, x)) if isinstance(x, list) else int(array_of(x).ndim)

    levels = depth(arrays)
    ndim = max(levels, widest(arrays))
    return joined(arrays, ndim - levels)


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Cut into pieces of about the same size, as ``numpy.array_split``."""
    total = ary.shape[axis_of("numpy.array_split", ary.ndim, axis)]
    try:
        count = operator.index(indices_or_sections)
    except TypeError:
        cuts = [0, *(_limit(int(i), total) for i in indices_or_sections), total]
        sizes = [max(b - a, 0) for a, b in itertools.pairwise(cuts)]
        return _cut(ary, cuts, sizes, axis)
    if count < 1:
        raise ValueError(f"numpy.array_split: expects at least one section, got {count}")
    each, more = divmod(total, count)
    return list(shape.split(ary, [each + (i < more) for i in range(count)], axis))


def _limit(index: int, total: int) -> int:
    return min(max(index + total if index < 0 else index, 0), total)


def _cut(ary: Any, cuts: list[int], sizes: list[int], axis: int) -> list[Any]:
    before = (slice(None),) * (axis % ary.ndim)
    return [
        getitem(ary, (*before, slice(start, start + size)))
        for start, size in zip(cuts, sizes, strict=False)
    ]


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Cut into equal pieces, or at places, as ``numpy.split``."""
    if isinstance(indices_or_sections, (int, np.integer)):
        total = ary.shape[axis_of("numpy.split", ary.ndim, axis)]
        if indices_or_sections < 1 or total % indices_or_sections:
            raise ValueError(f"numpy.split: {total} is not {indices_or_sections} equal parts")
    return array_split(ary, indices_or_sections, axis)


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """Take the parts along an axis, as ``numpy.unstack``."""
    return tuple(moveaxis(x, axis, 0))


def delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    """Leave out parts along an axis, as ``numpy.delete``."""
    if axis is None:
        arr, axis = ravel(arr), 0
    kept = np.delete(np.arange(arr.shape[axis]), plain_of(obj))
    return getitem(arr, (*(slice(None),) * (axis % arr.ndim), kept))


def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    """Put values before places along an axis, as ``numpy.insert``."""
    arr = array_of(arr)
    if axis is None:
        arr, axis = ravel(arr), 0
    axis = axis_of("numpy.insert", arr.ndim, axis)
    size = arr.shape[axis]
    places = np.insert(np.arange(size), plain_of(obj), -1)  # -1: a new one
    new = int((places < 0).sum())
    values = array_of(values)
    if np.ndim(plain_of(obj)) == 0 and values.ndim:  # one place takes parts along the first axis
        values = moveaxis(
            shape.reshape(values, *(1,) * (arr.ndim - values.ndim), *values.shape), 0, axis
        )
    wide = shape.broadcast_to(values, (*arr.shape[:axis], new, *arr.shape[axis + 1 :]))
    places[places < 0] = np.arange(size, size + new)
    both = join.concatenate([arr, typed(wide, arr.dtype)], axis)
    return getitem(both, (*(slice(None),) * axis, places))


# ---------------------------------------------------------------------------------------------
# repetition and borders


def broadcast_to(array: Any, shape_: Any, subok: bool = False) -> Any:
    """Repeat along new axes, as ``numpy.broadcast_to``."""
    return shape.broadcast_to(array_of(array), sizes_of("numpy.broadcast_to", (shape_,)))


def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    """Give all the same shape, as ``numpy.broadcast_arrays``."""
    xs = [array_of(x) for x in args]
    common = np.broadcast_shapes(*[tuple(x.shape) for x in xs])
    return tuple([shape.broadcast_to(x, common) for x in xs])


def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    """Make grids of coordinates, as ``numpy.meshgrid``."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"numpy.meshgrid: indexing expects 'xy' or 'ij', got {indexing!r}")
    ndim = len(xi)
    places = list(range(ndim))
    if indexing == "xy" and ndim > 1:
        places[:2] = [1, 0]
    grids = [
        shape.reshape(array_of(x), *(1,) * place, -1, *(1,) * (ndim - place - 1))
        for x, place in zip(xi, places, strict=True)
    ]
    made = tuple(grids) if sparse else broadcast_arrays(*grids)
    return tuple([elementwise.clone(grid) for grid in made]) if copy else made


def tile(A: Any, reps: Any) -> Any:
    """Repeat the whole, as ``numpy.tile``."""
    counts = sizes_of("numpy.tile", (reps,))
    ndim = max(A.ndim, len(counts))
    sizes = (1,) * (ndim - A.ndim) + tuple(A.shape)
    counts = (1,) * (ndim - len(counts)) + counts
    between = [n for size in sizes for n in (1, size)]
    wide = [n for pair in zip(counts, sizes, strict=True) for n in pair]
    spread = shape.broadcast_to(shape.reshape(A, *between), wide)
    tiled = shape.reshape(spread, *[c * s for c, s in zip(counts, sizes, strict=True)])
    return elementwise.copied(tiled, A)


def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    """Copy, as ``numpy.copy``; part of the graph."""
    return elementwise.clone(a)


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    """Convert to another dtype, as ``numpy.astype``; part of the graph."""
    return elementwise.cast(x, dtype)


def full_like(
    a: Any, fill_value: Any, dtype: Any = None, *_: Any, shape: Any = None, **__: Any
) -> Any:
    """Repeat a value in the shape of another array, as ``numpy.full_like``."""
    sizes = tuple(a.shape) if shape is None else sizes_of("numpy.full_like", (shape,))
    value = typed(array_of(fill_value), dtype or a.dtype)
    result = elementwise.clone(broadcast_to(value, sizes))
    return result if isinstance(result, TensorBase) else a._wrap(result, None)


RECORDED: dict[str, Callable[..., Any]] = {
    "reshape": reshape,
    "ravel": ravel,
    "squeeze": squeeze,
    "expand_dims": expand_dims,
    "atleast_1d": atleast_1d,
    "atleast_2d": atleast_2d,
    "atleast_3d": atleast_3d,
    "transpose": transpose,
    "permute_dims": transpose,
    "swapaxes": swapaxes,
    "moveaxis": moveaxis,
    "rollaxis": rollaxis,
    "matrix_transpose": matrix_transpose,
    "linalg.matrix_transpose": matrix_transpose,
    "concatenate": concatenate,
    "concat": concatenate,
    "stack": stack,
    "hstack": hstack,
    "vstack": vstack,
    "dstack": dstack,
    "column_stack": column_stack,
    "append": append,
    "block": block,
    "array_split": array_split,
    "split": split,
    "hsplit": lambda ary, parts: split(ary, parts, 1 if ary.ndim > 1 else 0),
    "vsplit": lambda ary, parts: split(ary, parts, 0),
    "dsplit": lambda ary, parts: split(ary, parts, 2),
    "unstack": unstack,
    "delete": delete,
    "insert": insert,
    "broadcast_to": broadcast_to,
    "broadcast_arrays": broadcast_arrays,
    "meshgrid": meshgrid,
    "tile": tile,
    "copy": copy,
    "astype": astype,
    "full_like": full_like,
}
"""NumPy's functions of shapes by name."""
