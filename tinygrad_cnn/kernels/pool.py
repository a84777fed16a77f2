"""The windows of pooling: how many there are, and which slices they touch.

Tap k = i·KW + j of every window at once is one strided view of the input, so a pool is a few
vector operations a tap. A tap that falls into the padding is left out of its view, instead of
padding the input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.threads import parallel

__all__ = [
    "Pair",
    "Tap",
    "Windows",
    "channels_first",
    "channels_last",
    "pool_output_size",
    "sweep_images",
]

Array = npt.NDArray[Any]
Pair = tuple[int, int]

# Input elements worth a thread, about 50 µs of pooling, and elements a block: beyond 1 M the
# temporaries cost page faults; below, the interpreter's lock costs more than the cache saves.
_GRAIN = 1 << 15
_BLOCK = 1 << 20


def pool_output_size(
    size: int, kernel: int, stride: int, padding: int, dilation: int = 1, ceil_mode: bool = False
) -> int:
    """Count the windows along one axis.

    ``(size + 2·padding − dilation·(kernel − 1) − 1) / stride + 1``, rounded down, or with
    `ceil_mode` up, but then the last window must start inside the input or its left padding:
    PyTorch's rule.

    Examples
    --------
    >>> pool_output_size(5, kernel=2, stride=2, padding=0)
    2
    >>> pool_output_size(5, kernel=2, stride=2, padding=0, ceil_mode=True)
    3
    """
    span = size + 2 * padding - dilation * (kernel - 1) - 1
    if not ceil_mode:
        return span // stride + 1
    count = -(-span // stride) + 1
    return count - 1 if (count - 1) * stride >= size + padding else count


class Tap(NamedTuple):
    """One window position: its number, and the slices in which outputs and inputs meet."""

    number: int
    outputs: tuple[slice, slice, slice]
    inputs: tuple[slice, slice, slice]


class Windows(NamedTuple):
    """The windows of a pool over (H, W) images; every field a (height, width) pair."""

    input_size: Pair
    kernel_size: Pair
    stride: Pair
    padding: Pair
    dilation: Pair = (1, 1)
    ceil_mode: bool = False

    @property
    def output_size(self) -> Pair:
        """(OH, OW)."""
        axes = zip(*self[:5], strict=True)
        height, width = (pool_output_size(*axis, self.ceil_mode) for axis in axes)
        return height, width

    @property
    def tap_dtype(self) -> np.dtype[Any]:
        """Smallest unsigned integer that holds a tap."""
        return np.min_scalar_type(self.kernel_size[0] * self.kernel_size[1] - 1)

    @property
    def disjoint(self) -> bool:
        """Whether no two windows share an input element."""
        axes = zip(self.kernel_size, self.stride, self.dilation, strict=True)
        return all(
            kernel == 1 or dilation * (kernel - 1) < stride for kernel, stride, dilation in axes
        )

    def reach_all(self, output_size: tuple[int, ...]) -> bool:
        """Whether disjoint windows of this number reach every input element."""
        axes = zip(*self[:5], output_size, strict=True)
        return all(
            kernel == stride and (kernel == 1 or dilation == 1) and n * stride - padding >= size
            for size, kernel, stride, padding, dilation, n in axes
        )

    def along(self, axis: int, output: int) -> list[tuple[slice, slice]]:
        """Slices of `output` positions and of the input, for each tap along one axis."""
        size, kernel, stride, padding, dilation = (pair[axis] for pair in self[:5])
        slices = []
        for k in range(kernel):
            offset = k * dilation - padding
            first = max(0, -(offset // stride))
            stop = max(first, min(output, (size - 1 - offset) // stride + 1))
            start = offset + first * stride
            end = start + max(0, (stop - first - 1) * stride + 1)
            slices.append(
                (slice(first, stop), slice(start, end if stop > first else start, stride))
            )
        return slices

    def taps(self, output_size: tuple[int, ...]) -> list[Tap]:
        """All taps in row-major order, as slices of (n, OH, OW, C) and (n, H, W, C) arrays."""
        height, width = output_size
        every = slice(None)
        columns = self.along(1, width)
        return [
            Tap(i * self.kernel_size[1] + j, (every, rows, cols), (every, in_rows, in_cols))
            for i, (rows, in_rows) in enumerate(self.along(0, height))
            for j, (cols, in_cols) in enumerate(columns)
        ]


def channels_last(x: Array) -> Array:
    """View (N, C, H, W) as (N, H, W, C)."""
    return x.transpose(0, 2, 3, 1)


def channels_first(x: Array) -> Array:
    """View (N, H, W, C) as (N, C, H, W)."""
    return x.transpose(0, 3, 1, 2)


def sweep_images(step: Callable[..., None], size: int, *arrays: Array) -> None:
    """Call `step` on blocks of images, threads side by side; `size` elements in all."""
    images = arrays[0].shape[0]
    per_image = max(1, size // max(1, images))
    block = max(1, _BLOCK // per_image)

    def work(start: int, stop: int) -> None:
        for i in range(start, stop, block):
            step(*(array[i : min(i + block, stop)] for array in arrays))

    parallel(work, images, grain=-(-_GRAIN // per_image))
