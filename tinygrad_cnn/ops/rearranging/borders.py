"""Borders that are made of the input's own elements: mirrored, repeated or taken round."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.ops.index import Gather, Key
from tinygrad_cnn.types import Operand, Pair, Shape

__all__: list[str] = []

MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
"""PyTorch's names of borders, and NumPy's."""


def bordered(input: Operand, widths: tuple[Pair, ...], shape: Shape, mode: str) -> Any:
    """Add borders of elements of the input, so many before and after each dimension.

    >>> bordered(np.array([1.0, 2.0, 3.0]), ((2, 1),), (3,), "reflect")
    array([3., 2., 1., 2., 3., 2.])
    """
    for dim, ((before, after), size) in enumerate(zip(widths, shape, strict=True)):
        if before == after == 0:
            continue
        most = {"reflect": size - 1, "circular": size}.get(mode, max(before, after))
        if size == 0 or max(before, after) > most:
            raise ValueError(
                f"pad: mode {mode!r} makes borders of at most {max(most, 0)} elements in dimension "
                f"{dim} of shape {shape}, got {(before, after)}"
            )
        kept = np.arange(size)[max(0, -before) : size - max(0, -after)]
        places = np.pad(kept, (max(0, before), max(0, after)), mode=MODES[mode])  # type: ignore[call-overload]
        input = Gather(Key((*(slice(None),) * dim, places)))(input)
    return input
