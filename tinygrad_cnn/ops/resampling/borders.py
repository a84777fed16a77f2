"""Borders that are made of the input's own elements: mirrored, repeated or taken round."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.kernels.resample.taps import Along
from tinygrad_cnn.ops.resampling.resample import Resample
from tinygrad_cnn.types import Operand, Pair, Shape

__all__: list[str] = []

MODES = ("reflect", "replicate", "circular")


def bordered(input: Operand, widths: tuple[Pair, ...], shape: Shape, mode: str) -> Any:
    """Add borders of elements of the input, so many before and after each dimension.

    A negative width cuts. What is cut is still mirrored or repeated at the other end, but not
    taken round, as in PyTorch.

    >>> import numpy as np
    >>> bordered(np.array([1.0, 2.0, 3.0]), ((2, 1),), (3,), "reflect")
    array([3., 2., 1., 2., 3., 2.])
    """
    first = len(shape)
    for dim, ((before, after), size) in enumerate(zip(widths, shape, strict=True)):
        if before == after == 0:
            continue
        first = min(first, dim)
        most = {"reflect": size - 1, "circular": size}.get(mode, max(before, after))
        if size == 0 or max(before, after) > most:
            raise ValueError(
                f"pad: mode {mode!r} makes borders of at most {max(most, 0)} elements in dimension "
                f"{dim} of shape {shape}, got {(before, after)}"
            )
    axes = [
        Along(mode, size, size + before + after, before)
        for (before, after), size in zip(widths[first:], shape[first:], strict=True)
    ]
    return Resample(tuple(axes))(input) if axes else input
