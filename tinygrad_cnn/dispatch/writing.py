"""NumPy's functions that write to their first argument: copyto, put, place, fill_diagonal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.dispatch.selections import indices_along
from tinygrad_cnn.dispatch.shapes import array_of, broadcast_to, plain_of
from tinygrad_cnn.op import TensorBase


def _write(name: str, target: Any, key: Any, value: Any) -> None:
    """Write to a tensor, recorded, or to an array that takes no gradient."""
    if not isinstance(target, TensorBase) and getattr(value, "_requires_grad", False):
        raise TypeError(
            f"numpy.{name}: the first argument is a NumPy array, in which the gradient would be "
            "lost: make it a tensor with `tensor(...)`"
        )
    plain = isinstance(target, TensorBase)
    target[key] = value if plain else plain_of(value)


def copyto(dst: Any, src: Any, casting: Any = None, where: Any = True) -> None:
    """Write an array to another, as ``numpy.copyto``."""
    if where is True:
        _write("copyto", dst, ..., src)
        return
    mask = np.broadcast_to(plain_of(where), dst.shape)
    source: Any = array_of(src)
    _write("copyto", dst, mask, broadcast_to(source, dst.shape)[mask])


def _cycled(values: Any, count: int) -> Any:
    """Repeat values until there are enough of them."""
    row = array_of(values).reshape(-1)
    return row[np.arange(count) % max(int(row.shape[0]), 1)]


def _unravelled(target: Any, places: Any) -> tuple[Any, ...]:
    return tuple(np.unravel_index(places, tuple(target.shape)))


def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    """Write values to places counted through the whole array, as ``numpy.put``."""
    size = plain_of(a).size
    places = np.ravel(plain_of(ind))
    if mode == "wrap":
        places = places % size
    elif mode == "clip":
        places = np.clip(places, 0, size - 1)
    elif (places < -size).any() or (places >= size).any():
        raise IndexError(f"numpy.put: a place is out of range for {size} elements")
    _write("put", a, _unravelled(a, places % max(size, 1)), _cycled(v, len(places)))


def place(arr: Any, mask: Any, vals: Any) -> None:
    """Write values one after the other where a mask holds, as ``numpy.place``."""
    places = np.flatnonzero(plain_of(mask))
    _write("place", arr, _unravelled(arr, places), _cycled(vals, len(places)))


def putmask(a: Any, mask: Any, values: Any) -> None:
    """Write values where a mask holds, by their own places, as ``numpy.putmask``."""
    places = np.flatnonzero(plain_of(mask))
    chosen = _cycled(values, plain_of(a).size)[places]
    _write("putmask", a, _unravelled(a, places), chosen)


def put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None) -> None:
    """Write elements along an axis by their numbers, as ``numpy.put_along_axis``."""
    if axis is None:
        put(arr, indices, values)
        return
    _write("put_along_axis", arr, indices_along(arr, indices, axis), values)


def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    """Write to the main diagonal, as ``numpy.fill_diagonal``."""
    numbers = np.arange(plain_of(a).size).reshape(a.shape)
    marks = np.zeros(a.shape, bool)
    np.fill_diagonal(marks, True, wrap)
    places = numbers[marks]
    _write("fill_diagonal", a, _unravelled(a, places), _cycled(val, len(places)))


RECORDED: dict[str, Callable[..., Any]] = {
    "copyto": copyto,
    "put": put,
    "place": place,
    "putmask": putmask,
    "put_along_axis": put_along_axis,
    "fill_diagonal": fill_diagonal,
}
"""NumPy's functions that write by name."""
