"""Softmax of the rows of a matrix: of logits, where often there are many rows of few classes."""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.threads import parallel, part_size
from tinygrad_cnn.types import Array

__all__ = ["softmax_rows"]


def softmax_rows(x: Array) -> tuple[Array, Array, Array]:
    """Return ``exp(x) / Σ exp(x)`` along each row, the rows' maxima, and the logarithms of sums.

    With ``m = max(x)`` of a row, the sum is that of ``exp(x − m)``, and the logarithm of an
    element of softmax is ``(x − m) − ln Σ``. Shapes (M, C), (M,) and (M,) for x (M, C).

    >>> softmax_rows(np.array([[1000.0, 1000.0]]))
    (array([[0.5, 0.5]]), array([1000.]), array([0.69314718]))
    """
    M, C = x.shape
    if C > tuning.FEW_CLASSES or x.size < tuning.FEW_VALUES:
        return _by_rows(x)
    p, greatest, logarithm = np.empty((M, C), x.dtype), np.empty(M, x.dtype), np.empty(M, x.dtype)

    def work(start: int, stop: int) -> None:
        rows = part_size(stop - start, tuning.SOFTMAX_BLOCK / C)
        for i in range(start, stop, rows):
            part = slice(i, min(i + rows, stop))
            _by_columns(x[part], p[part], greatest[part], logarithm[part])

    parallel(work, M, grain=-(-tuning.STRIDED_GRAIN // C))
    return p, greatest, logarithm


def _by_rows(x: Array) -> tuple[Array, Array, Array]:
    greatest = np.maximum.reduce(x, axis=1)
    p = x - greatest[:, None]
    np.exp(p, out=p)
    total = np.add.reduce(p, axis=1)
    p /= total[:, None]
    return p, greatest, np.log(total)


def _by_columns(x: Array, p: Array, greatest: Array, logarithm: Array) -> None:
    columns = np.array(x.T, order="C")
    np.maximum.reduce(columns, axis=0, out=greatest)
    columns -= greatest
    np.exp(columns, out=columns)
    total = np.add.reduce(columns, axis=0)
    np.log(total, out=logarithm)
    columns /= total
    p[...] = columns.T
