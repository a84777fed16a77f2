"""One array, laid out in memory in many ways; the same numbers at the same indices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def channels_last(x: Array) -> Array:
    """Axis 1 innermost; a matrix has its first axis innermost."""
    if x.ndim < 3:
        return np.asfortranarray(x)
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


def channels_outermost(x: Array) -> Array:
    """Axis 1 before axis 0."""
    return np.ascontiguousarray(x.swapaxes(0, 1)).swapaxes(0, 1)


def every_other(x: Array) -> Array:
    """With other numbers between, along all axes."""
    whole = np.full([2 * n for n in x.shape], 99, x.dtype)
    view = whole[tuple(slice(None, None, 2) for _ in x.shape)]
    view[...] = x
    return view


def backwards(x: Array) -> Array:
    """Every axis with a negative stride."""
    key = tuple(slice(None, None, -1) for _ in x.shape)
    return np.ascontiguousarray(x[key])[key]


def part_of_larger(x: Array) -> Array:
    """The middle of an array that lies channels last."""
    return channels_last(np.pad(x, 1))[tuple(slice(1, -1) for _ in x.shape)]


def read_only(x: Array) -> Array:
    """A copy in the same order that cannot be written to."""
    x = x.copy(order="K")
    x.setflags(write=False)
    return x


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "contiguous": np.ascontiguousarray,
    "channels last": channels_last,
    "every other": every_other,
    "backwards": backwards,
}
