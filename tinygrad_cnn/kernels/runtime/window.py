"""Windows: how the kernel of a convolution or of a pool lies over its input, in any dimensions."""

from __future__ import annotations

import math
from typing import NamedTuple

from tinygrad_cnn.types import Pair

__all__ = ["Pair", "Sizes", "Window"]

Sizes = tuple[int, ...]
"""A number for each spatial axis."""


class Window(NamedTuple):
    """How windows lie over an input's spatial axes: one number of each kind an axis.

    Along each axis, element k of the window of output o is the input's at
    ``o · stride + k · dilation − before``. What lies outside of the input is the padding: elements
    added before and after it; negative numbers take elements away.

    Examples
    --------
    >>> window = Window((3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1))
    >>> window.out_size((32, 32))
    (16, 16)
    """

    kernel: Sizes
    stride: Sizes
    padding: tuple[Pair, ...]
    dilation: Sizes

    @property
    def taps(self) -> int:
        """How many elements a window has."""
        return math.prod(self.kernel)

    def extent(self, axis: int, outputs: int = 1) -> int:
        """Return how many elements so many outputs read along an axis, gaps between included."""
        reach = (self.kernel[axis] - 1) * self.dilation[axis]
        return (outputs - 1) * self.stride[axis] + reach + 1

    def out_size(self, size: Sizes, ceil_mode: bool = False) -> Sizes:
        """Count the windows along each axis of an input of this size.

        ``(size + before + after − dilation · (kernel − 1) − 1) / stride + 1``, rounded down, or
        with `ceil_mode` up, but then the last window must start inside the input or the padding
        before it: PyTorch's rule.
        """
        counts = []
        for axis, length in enumerate(size):
            before, after = self.padding[axis]
            stride = self.stride[axis]
            rest = length + before + after - self.extent(axis)
            count = rest // stride + 1
            if ceil_mode and rest % stride and count * stride < length + before:
                count += 1
            counts.append(count)
        return tuple(counts)

    def with_leading_axis(self) -> Window:
        """Return the same windows over an input with one more axis, of length 1, in front."""
        return Window(
            (1, *self.kernel), (1, *self.stride), ((0, 0), *self.padding), (1, *self.dilation)
        )
