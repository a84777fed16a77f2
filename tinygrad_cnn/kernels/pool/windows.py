"""The windows of pooling: how many there are, and which slices they touch.

Tap k = i·KW + j of every window at once is one strided view of the input, so a pool is a few
vector operations a tap. A tap that falls into the padding is left out of its view, instead of
padding the input.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.runtime.threads import parallel, part_size

__all__ = [
    "Pair",
    "Tap",
    "Windows",
    "pool_output_size",
    "sweep_images",
]

Array = npt.NDArray[Any]
Pair = tuple[int, int]
Index = tuple[slice | int, ...]

# Input elements worth a thread, about 50 µs of pooling, and elements a block: beyond 1 M the
# temporaries cost page faults; below, the interpreter's lock costs more than the cache saves.
_GRAIN = 1 << 15
_UINT8 = np.dtype(np.uint8)
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
    """One window position: its number, and the indices at which outputs and inputs meet."""

    number: int
    outputs: Index
    inputs: Index


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
        return _output_size(self)

    @property
    def tap_dtype(self) -> np.dtype[Any]:
        """Smallest unsigned integer that holds a tap."""
        taps = self.kernel_size[0] * self.kernel_size[1]
        return _UINT8 if taps <= 256 else np.min_scalar_type(taps - 1)

    @property
    def disjoint(self) -> bool:
        """Whether no two windows share an input element."""
        return _disjoint(self)

    def reach_all(self, output_size: tuple[int, ...]) -> bool:
        """Whether disjoint windows of this number reach every input element."""
        return _reach_all(self, output_size)

    def along(self, axis: int, output: int) -> tuple[tuple[slice, slice], ...]:
        """Slices of `output` positions and of the input, for each tap along one axis."""
        return _along(self, axis, output)

    def taps(self, output_size: tuple[int, ...]) -> tuple[Tap, ...]:
        """All taps in row-major order, as slices of (n, OH, OW, C) and (n, H, W, C) arrays."""
        return _taps(self, output_size)


# Slices are worked out once for each geometry: they took 8 of 33 µs that pooling (1, 8, 26, 26)
# takes, and a network asks for the same few over and over.
@lru_cache(maxsize=1024)
def _output_size(windows: Windows) -> Pair:
    axes = zip(*windows[:5], strict=True)
    height, width = (pool_output_size(*axis, windows.ceil_mode) for axis in axes)
    return height, width


@lru_cache(maxsize=1024)
def _disjoint(windows: Windows) -> bool:
    axes = zip(windows.kernel_size, windows.stride, windows.dilation, strict=True)
    return all(kernel == 1 or dilation * (kernel - 1) < stride for kernel, stride, dilation in axes)


@lru_cache(maxsize=1024)
def _reach_all(windows: Windows, output_size: tuple[int, ...]) -> bool:
    axes = zip(*windows[:5], output_size, strict=True)
    return all(
        kernel == stride and (kernel == 1 or dilation == 1) and n * stride - padding >= size
        for size, kernel, stride, padding, dilation, n in axes
    )


@lru_cache(maxsize=1024)
def _along(windows: Windows, axis: int, output: int) -> tuple[tuple[slice, slice], ...]:
    size, kernel, stride, padding, dilation = (pair[axis] for pair in windows[:5])
    slices = []
    for k in range(kernel):
        offset = k * dilation - padding
        first = max(0, -(offset // stride))
        stop = max(first, min(output, (size - 1 - offset) // stride + 1))
        start = offset + first * stride
        end = start + max(0, (stop - first - 1) * stride + 1)
        slices.append((slice(first, stop), slice(start, end if stop > first else start, stride)))
    return tuple(slices)


@lru_cache(maxsize=1024)
def _taps(windows: Windows, output_size: tuple[int, ...]) -> tuple[Tap, ...]:
    height, width = output_size
    every = slice(None)
    columns = windows.along(1, width)
    return tuple(
        Tap(i * windows.kernel_size[1] + j, (every, rows, cols), (every, in_rows, in_cols))
        for i, (rows, in_rows) in enumerate(windows.along(0, height))
        for j, (cols, in_cols) in enumerate(columns)
    )


def sweep_images(
    step: Callable[..., None], size: int, *arrays: Array, block_size: int = _BLOCK
) -> None:
    """Call `step` on blocks of images, threads side by side; `size` elements in all."""
    if size <= _GRAIN:
        step(*arrays)
        return
    images = arrays[0].shape[0]
    per_image = max(1, size // max(1, images))

    def work(start: int, stop: int) -> None:
        block = part_size(stop - start, block_size / per_image)
        for i in range(start, stop, block):
            step(*(array[i : min(i + block, stop)] for array in arrays))

    parallel(work, images, grain=-(-_GRAIN // per_image))
