"""Rows: an operand that is repeated along the memory of another.

NumPy's loop over a broadcast operand is as short as the operand. From `tuning.ROW` values on it
costs nothing, so per-channel numbers are repeated that far; and numbers become rows: np.maximum of
65,536 values and a number takes 25 µs, and with a row of zeros 10.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.types import Array

__all__ = ["Activation", "apply_row", "rectify", "repeated", "zeros"]

Activation = Callable[[Array, Array], None]
"""``activation(out, x)`` writes to `out`, which may be `x`, what becomes of each element of `x`."""


def repeated(values: Array, repeat: int, dtype: np.dtype[Any]) -> Array:
    """Repeat values (C,) along a row: (repeat·C,)."""
    return values.astype(dtype, copy=False)[np.newaxis].repeat(repeat, axis=0).reshape(-1)


@lru_cache(maxsize=8)
def zeros(dtype: np.dtype[Any]) -> Array:
    """Return 65,536 zeros, read-only."""
    row = np.zeros(1 << 16, dtype)
    row.flags.writeable = False
    return row


def apply_row(ufunc: np.ufunc, x: Array, row: Array, out: Array) -> None:
    """Write ``ufunc(x, row)`` to `out`, the row repeated along the memory of `x`.

    `x` and `out`, which may be `x`, are of one shape (…, C); the row has values for the last axis,
    once or again and again.
    """
    is_once = row.size == x.shape[-1]
    if is_once or not (x.flags.c_contiguous and out.flags.c_contiguous):
        ufunc(x, row[: x.shape[-1]], out=out)
        return
    flat, target = x.reshape(-1), out.reshape(-1)
    whole = flat.size // row.size * row.size
    if whole:
        rows = -1, row.size
        ufunc(flat[:whole].reshape(rows), row, out=target[:whole].reshape(rows))
    if whole < flat.size:
        ufunc(flat[whole:], row[: flat.size - whole], out=target[whole:])


def rectify(out: Array, x: Array) -> None:
    """Write ``max(x, 0)`` to `out`, which may be `x`; NaN stays NaN."""
    row = zeros(x.dtype)[: 2 * tuning.ROW]  # which stay in the first cache
    if x.size <= tuning.FEW_VALUES or (x.shape[-1] > row.size and not x.flags.c_contiguous):
        np.maximum(x, 0, out=out)
    else:
        apply_row(np.maximum, x, row, out)
