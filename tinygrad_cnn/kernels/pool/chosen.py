"""Elements of images by their positions: taken, put back, and where fractional pools find them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.kernels.runtime.window import Sizes

__all__ = ["fractional_max_pool", "fractional_starts", "last_writers", "put_at", "take_at"]

Array = npt.NDArray[Any]


def _flat(x: Array) -> Array:
    return x.reshape(*x.shape[:2], math.prod(x.shape[2:]))


def take_at(x: Array, indices: Array) -> Array:
    """Pick elements of the last axes: ``out[n, c, i] = x[n, c].flat[indices[n, c, i]]``.

    Examples
    --------
    >>> take_at(np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), np.array([[[3, 0]]]))
    array([[[4., 1.]]])
    """
    return np.take_along_axis(_flat(x), _flat(indices), 2).reshape(indices.shape)


def put_at(y: Array, indices: Array, sizes: Sizes) -> Array:
    """Add elements up where their positions are, the transpose of `take_at`: (N, C, *sizes).

    Examples
    --------
    >>> put_at(np.array([[[1.0, 2.0, 4.0]]]), np.array([[[3, 0, 3]]]), (4,))
    array([[[2., 0., 0., 5.]]])
    """
    out = np.zeros((*y.shape[:2], *sizes), y.dtype)
    n, c, _ = np.ogrid[: y.shape[0], : y.shape[1], :1]
    np.add.at(_flat(out), (n, c, _flat(indices)), _flat(y))
    return out


def last_writers(indices: Array, count: int) -> Array:
    """Say which elements are the last ones with their position, of `count` positions.

    Examples
    --------
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
    """Return where windows begin along an axis, at steps that vary: (…, outputs).

    Window i of n begins at ``⌊(i + u) · a⌋ − ⌊u · a⌋`` with ``a = (size − kernel) / (n − 1)`` and u
    the sample; the last one ends with the axis. B. Graham, Fractional Max-Pooling, 2014; the
    sequence is PyTorch's.

    Examples
    --------
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


def fractional_max_pool(x: Array, kernel: Sizes, rows: Array, columns: Array) -> Array:
    """Return where the maximum of each window stands: the first of equal ones, or the first NaN.

    Parameters
    ----------
    x
        Shape (N, C, H, W).
    kernel
        Height and width of a window.
    rows, columns
        Where windows begin: (N, C, OH) and (N, C, OW).

    Returns
    -------
    array
        Positions ``row · W + column``, (N, C, OH, OW), int64.

    Examples
    --------
    >>> x, starts = np.arange(9.0).reshape(1, 1, 3, 3), np.array([[[0, 1]]])
    >>> fractional_max_pool(x, (2, 2), starts, starts)
    array([[[[4, 5],
             [7, 8]]]])
    """
    W = x.shape[3]
    rows = rows[..., None] + np.arange(kernel[0])
    columns = columns[..., None] + np.arange(kernel[1])
    # (N, C, OH, OW, KH, KW)
    places = rows[:, :, :, None, :, None] * W + columns[:, :, None, :, None, :]
    places = places.reshape(*places.shape[:4], math.prod(kernel))
    first = np.argmax(take_at(x, places), axis=-1)[..., None]
    return np.asarray(np.take_along_axis(places, first, -1)[..., 0])
