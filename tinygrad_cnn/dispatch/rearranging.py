"""NumPy's functions that turn, repeat and pad, and those along diagonals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.dispatch.out import into, typed
from tinygrad_cnn.dispatch.shapes import array_of, plain_of, ravel
from tinygrad_cnn.ops import piecewise
from tinygrad_cnn.ops.arguments import axes_of
from tinygrad_cnn.ops.index import getitem
from tinygrad_cnn.ops.rearranging import diagonal as lines
from tinygrad_cnn.ops.rearranging import repeat as turns


def flip(m: Any, axis: Any = None) -> Any:
    """Turn the order of axes round, all by default, as ``numpy.flip``."""
    return turns.flipped("numpy.flip", m, axes_of("numpy.flip", m.ndim, axis))


def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """Shift elements round, as ``numpy.roll``; without an axis through the whole array."""
    if isinstance(axis, tuple) and isinstance(shift, (int, np.integer)):
        shift = (shift,) * len(axis)
    if isinstance(axis, (int, np.integer)) and isinstance(shift, tuple):
        axis = (axis,) * len(shift)
    return turns.roll(a, shift, axis)


def repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    """Repeat every element, as ``numpy.repeat``."""
    a = array_of(a)
    if axis is None:
        a, axis = ravel(a), 0
    size = a.shape[axis]
    places = np.repeat(np.arange(size), plain_of(repeats))
    return getitem(a, (*(slice(None),) * (axis % a.ndim), places))


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Take a diagonal, as ``numpy.diagonal``."""
    return lines.diagonal(a, offset, axis1, axis2)


def trace(
    a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None
) -> Any:
    """Sum a diagonal, as ``numpy.trace``."""
    line = typed(lines.diagonal(a, offset, axis1, axis2), dtype)
    return into(out, line.sum(-1), "numpy.trace")


_BY_PLACE = ("edge", "reflect", "symmetric", "wrap")  # borders that repeat elements


def pad(array: Any, pad_width: Any, mode: Any = "constant", **words: Any) -> Any:
    """Add borders, as ``numpy.pad``: numbers, or elements repeated."""
    array = array_of(array)
    # What stands where: NumPy pads the places of the elements, and they are then picked.
    marks = np.arange(plain_of(array).size).reshape(array.shape)
    if mode in _BY_PLACE and words.get("reflect_type", "even") == "even":
        return getitem(ravel(array), np.pad(marks, pad_width, mode, **words))
    if mode != "constant":
        raise ValueError(
            f"numpy.pad: mode expects 'constant', {', '.join(map(repr, _BY_PLACE))} with tensors, "
            f"got {mode!r}"
        )
    values = words.get("constant_values", 0)
    border = np.pad(np.zeros(array.shape, array.dtype), pad_width, constant_values=values)
    places = np.pad(marks + 1, pad_width)
    if not marks.size:
        return border
    inside = getitem(ravel(array), np.maximum(places - 1, 0))
    return piecewise.where(places > 0, inside, border)


def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    """Take every window, as ``numpy.lib.stride_tricks.sliding_window_view``; a copy."""
    x = array_of(x)
    marks = np.arange(plain_of(x).size).reshape(x.shape)
    return getitem(ravel(x), np.lib.stride_tricks.sliding_window_view(marks, window_shape, axis))


def fftshift(x: Any, axes: Any = None, sign: int = 1) -> Any:
    """Move the middle to the front of axes or back, as ``numpy.fft.fftshift``."""
    named = axes_of("numpy.fft.fftshift", x.ndim, axes)
    shifts = [(x.shape[i] if sign > 0 else x.shape[i] + 1) // 2 for i in named]
    return turns.roll(x, tuple(shifts), named)


RECORDED: dict[str, Callable[..., Any]] = {
    "flip": flip,
    "fliplr": lambda m: turns.flipped_in("numpy.fliplr", m, 1),
    "flipud": lambda m: turns.flipped_in("numpy.flipud", m, 0),
    "roll": roll,
    "rot90": lambda m, k=1, axes=(0, 1): turns.turned("numpy.rot90", m, k, axes),
    "fft.fftshift": fftshift,
    "fft.ifftshift": lambda x, axes=None: fftshift(x, axes, -1),
    "lib.stride_tricks.sliding_window_view": sliding_window_view,
    "repeat": repeat,
    "tril": lambda m, k=0: lines.tril(m, k),
    "triu": lambda m, k=0: lines.triu(m, k),
    "diag": lambda v, k=0: lines.diag(v, k),
    "diagflat": lambda v, k=0: lines.diagflat(v, k),
    "diagonal": diagonal,
    "trace": trace,
    "linalg.diagonal": lambda x, offset=0: lines.diagonal(x, offset, -2, -1),
    "linalg.trace": lambda x, offset=0, dtype=None: trace(x, offset, -2, -1, dtype),
    "pad": pad,
}
"""NumPy's functions that rearrange by name."""
