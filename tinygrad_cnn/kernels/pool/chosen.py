"""Elements of images by their positions: taken, put back, and where pools find them.

Positions are of elements in the last axes, the last one fastest, and int64. Whatever a window is
the maximum of, the first of equal ones is chosen, or the first NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.kernels.pool.avg_pool import regions
from tinygrad_cnn.kernels.reduce.scatter import add_along, take_along
from tinygrad_cnn.kernels.runtime.window import Sizes
from tinygrad_cnn.types import Array

__all__ = [
    "adaptive_max_pool",
    "fractional_max_pool",
    "fractional_starts",
    "last_writers",
    "put_at",
    "take_at",
]


def _flat(x: Array) -> Array:
    return x.reshape(*x.shape[:2], math.prod(x.shape[2:]))


def take_at(x: Array, indices: Array) -> Array:
    """Pick elements of the last axes: ``out[n, c, i] = x[n, c].flat[indices[n, c, i]]``.

    >>> take_at(np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), np.array([[[3, 0]]]))
    array([[[4., 1.]]])
    """
    return take_along(_flat(x), 2, _flat(indices)).reshape(indices.shape)


def put_at(y: Array, indices: Array, sizes: Sizes) -> Array:
    """Add elements up where their positions are, the transpose of `take_at`: (N, C, *sizes).

    >>> put_at(np.array([[[1.0, 2.0, 4.0]]]), np.array([[[3, 0, 3]]]), (4,))
    array([[[2., 0., 0., 5.]]])
    """
    out = np.zeros((*y.shape[:2], *sizes), y.dtype)
    add_along(_flat(out), 2, _flat(indices), _flat(y))
    return out


def last_writers(indices: Array, count: int) -> Array:
    """Say which elements are the last ones with their position, of `count` positions.

    >>> last_writers(np.array([[[3, 0, 3]]]), 4)
    array([[[False,  True,  True]]])
    """
    flat = _flat(indices)
    order = np.broadcast_to(np.arange(flat.shape[2]), flat.shape)
    writer = np.full((*flat.shape[:2], count), -1)
    n, c, _ = np.ogrid[: flat.shape[0], : flat.shape[1], :1]
    np.maximum.at(writer, (n, c, flat), order)
    return np.asarray(np.take_along_axis(writer, flat, 2) == order).reshape(indices.shape)


def fractional_starts(size: int, kernel: int, outputs: int, samples: Array) -> Array:
    """Return where windows begin along an axis, at steps that vary: (*samples' shape, outputs).

    Window i of n begins at ``⌊(i + u) · a⌋ − ⌊u · a⌋`` with ``a = (size − kernel) / (n − 1)`` and u
    the sample; the last one ends with the axis. B. Graham, Fractional Max-Pooling, 2014; the
    sequence is PyTorch's.

    >>> fractional_starts(7, 2, 4, np.array([0.5]))
    array([[0, 2, 4, 5]])
    """
    starts = np.full((*samples.shape, outputs), size - kernel)
    if outputs > 1:
        step = samples.dtype.type((size - kernel) / (outputs - 1))
        i = np.arange(outputs - 1).astype(samples.dtype)
        u = samples[..., None]
        starts[..., :-1] = ((i + u) * step).astype(np.int64) - (u * step).astype(np.int64)
    return starts


def fractional_max_pool(x: Array, kernel: Sizes, starts: Sequence[Array]) -> Array:
    """Return where the maximum of each window is: (N, C, *out sizes).

    `starts` says where windows begin along each axis: (N, C, out size).
    """
    return _largest(x, [s[..., None] + np.arange(k) for s, k in zip(starts, kernel, strict=True)])


def adaptive_max_pool(x: Array, output_size: Sizes) -> Array:
    """Return where the maximum of each region is, see `avg_pool`: (N, C, *output_size).

    >>> adaptive_max_pool(np.array([[[3.0, 1.0, 2.0, 5.0]]]), (2,))
    array([[[0, 3]]])
    """
    axes = []
    for size, outputs in zip(x.shape[2:], output_size, strict=True):
        cuts = regions(size, outputs)
        longest = max(cut.stop - cut.start for cut in cuts)
        # Where a region is shorter its last element comes twice.
        places = [np.minimum(np.arange(longest) + cut.start, cut.stop - 1) for cut in cuts]
        axes.append(np.array(places)[None, None])
    return _largest(x, axes)


def _largest(x: Array, axes: Sequence[Array]) -> Array:
    """Return the position of the largest element of windows, given the places along each axis.

    These have shape (N, C, out size, elements of a window), or 1 for N and C.
    """
    dims = len(axes)
    places: Any = 0  # (N, C, *out sizes, *elements)
    for axis, along in enumerate(axes):
        shape = [1] * (2 * dims)
        shape[axis], shape[dims + axis] = along.shape[2:]
        places = places * x.shape[2 + axis] + along.reshape(*along.shape[:2], *shape)
    places = places.reshape(*places.shape[: 2 + dims], -1)
    flat = places.reshape(*places.shape[:2], -1)
    values = np.take_along_axis(_flat(x), flat, 2).reshape(*x.shape[:2], *places.shape[2:])
    first = np.argmax(values, axis=-1)[..., None]
    return np.asarray(np.take_along_axis(places, first, -1)[..., 0])
