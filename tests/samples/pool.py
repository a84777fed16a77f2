"""Samples of the pools, against loops over windows; ties have their own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tests.samples.base import Array, ErrorSample, Sample
from tinygrad_cnn.kernels.runtime.window import Window
from tinygrad_cnn.ops.pool.adaptive import AdaptiveAvgPool2d, AdaptiveAvgPoolInput
from tinygrad_cnn.ops.pool.average import AvgPool2d, AvgPoolInput
from tinygrad_cnn.ops.pool.maximum import MaxPool2d, PutArgmax, TakeArgmax

_rng = np.random.default_rng(13)


def _distinct(*shape: int) -> Array:
    """Numbers at least 0.1 apart, so that no maximum changes hands within a step."""
    return (_rng.permutation(int(np.prod(shape))) * 0.1 - 1.0).reshape(shape)


def _normal(*shape: int) -> Array:
    return _rng.standard_normal(shape)


def _windows(
    size: int, kernel: int, stride: int, padding: int, dilation: int = 1
) -> Iterator[list[int]]:
    """The positions of each window along an axis, those in the padding left out."""
    for start in range(-padding, size + padding - dilation * (kernel - 1), stride):
        taps = [start + tap * dilation for tap in range(kernel)]
        yield [i for i in taps if 0 <= i < size]


def _max_by_loops(x: Array, k: int, s: int | None = None, p: int = 0, d: int = 1) -> Array:
    rows = list(_windows(x.shape[2], k, s or k, p, d))
    columns = list(_windows(x.shape[3], k, s or k, p, d))
    return np.array(
        [
            [
                [[max(plane[i, j] for i in r for j in c) for c in columns] for r in rows]
                for plane in im
            ]
            for im in x
        ]
    )


def _mean_by_loops(
    x: Array, k: int, s: int | None = None, p: int = 0, include: bool = True
) -> Array:
    rows = list(_windows(x.shape[2], k, s or k, p))
    columns = list(_windows(x.shape[3], k, s or k, p))

    def mean(plane: Array, r: list[int], c: list[int]) -> Any:
        return sum(plane[i, j] for i in r for j in c) / (k * k if include else len(r) * len(c))

    return np.array(
        [[[[mean(plane, r, c) for c in columns] for r in rows] for plane in im] for im in x]
    )


def _regions(size: int, count: int) -> list[range]:
    return [range(i * size // count, math.ceil((i + 1) * size / count)) for i in range(count)]


def _adaptive_by_loops(x: Array, size: tuple[int, int]) -> Array:
    rows, columns = (_regions(n, m) for n, m in zip(x.shape[2:], size, strict=True))
    return np.array(
        [
            [
                [
                    [sum(p[i, j] for i in r for j in c) / (len(r) * len(c)) for c in columns]
                    for r in rows
                ]
                for p in im
            ]
            for im in x
        ]
    )


def _max(note: str, x: Array, *settings: Any) -> Sample:
    names = ("kernel_size", "stride", "padding", "dilation")
    return Sample(
        MaxPool2d,
        partial(F.max_pool2d, **dict(zip(names, settings, strict=False))),
        (x,),
        lambda x: _max_by_loops(x, *settings),
        note,
    )


_taps = np.array([[[[0, 3], [2, 1]]]], np.uint8)
_BLOCKS = Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
_tap_settings = ((1, 1, 4, 4), _BLOCKS)
_put = np.zeros((4, 4))
_put[0, 0], _put[1, 3], _put[3, 0], _put[2, 3] = 1.0, 2.0, 3.0, 4.0

_overlap = np.zeros((1, 1, 3, 3))
_overlap[0, 0, 1, 1] = 5.0
_gradient_of_overlap = np.zeros((1, 1, 3, 3))
_gradient_of_overlap[0, 0, 1, 1] = 4.0

SAMPLES = [
    _max("2x2", _distinct(2, 3, 4, 6), 2),
    _max("rest is left", _distinct(1, 2, 5, 7), 2),
    _max("overlapping", _distinct(1, 2, 5, 5), 3, 1),
    _max("stride over kernel", _distinct(1, 1, 7, 7), 2, 3),
    _max("padding", _distinct(1, 2, 4, 4), 3, 2, 1),
    _max("dilation", _distinct(1, 1, 6, 6), 2, 1, 0, 2),
    _max("1x1", _distinct(1, 2, 3, 3), 1),
    Sample(
        MaxPool2d,
        lambda x: F.max_pool2d(x, 2, ceil_mode=True),
        (_distinct(1, 2, 3, 5),),
        lambda x: _max_by_loops(np.pad(x, [(0, 0)] * 2 + [(0, 1)] * 2, constant_values=-99), 2),
        "ceil mode",
    ),
    Sample(
        MaxPool2d,
        lambda x: F.max_pool2d(x, (1, 2)),
        (_distinct(2, 2, 4),),
        lambda x: x.reshape(2, 2, 2, 2).max(axis=3),
        "one image, oblong window",
    ),
    Sample(
        MaxPool2d,
        lambda x: F.max_pool2d(x, 2),
        (np.zeros((1, 1, 2, 4)),),
        lambda x: np.zeros((1, 1, 1, 2)),
        "all tied: the first",
        smooth=False,
        gradients=(np.array([[[[1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]]]),),
    ),
    Sample(
        MaxPool2d,
        lambda x: F.max_pool2d(x, 2, 1),
        (_overlap,),
        lambda x: np.full((1, 1, 2, 2), 5.0),
        "one maximum of four windows",
        smooth=False,
        gradients=(_gradient_of_overlap,),
    ),
    Sample(
        PutArgmax,
        PutArgmax(_taps, *_tap_settings),
        (np.array([[[[1.0, 2.0], [3.0, 4.0]]]]),),
        lambda y: _put[None, None],
        "2x2",
    ),
    Sample(
        TakeArgmax,
        TakeArgmax(_taps, *_tap_settings),
        (_put[None, None],),
        lambda x: np.array([[[[1.0, 2.0], [3.0, 4.0]]]]),
        "2x2",
    ),
    Sample(
        AvgPool2d,
        lambda x: F.avg_pool2d(x, 2),
        (_normal(2, 2, 4, 5),),
        lambda x: _mean_by_loops(x, 2),
        "2x2",
    ),
    Sample(
        AvgPool2d,
        lambda x: F.avg_pool2d(x, 3, 2, 1),
        (_normal(1, 2, 5, 6),),
        lambda x: _mean_by_loops(x, 3, 2, 1),
        "overlapping with padding",
    ),
    Sample(
        AvgPool2d,
        lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
        (_normal(1, 1, 5, 5),),
        lambda x: _mean_by_loops(x, 3, 2, 1, include=False),
        "padding not counted",
    ),
    Sample(
        AvgPool2d,
        lambda x: F.avg_pool2d(x, 2, ceil_mode=True),
        (_normal(1, 3, 3),),
        lambda x: np.array(
            [
                [
                    [x[0, :2, :2].mean(), x[0, :2, 2].mean()],
                    [x[0, 2, :2].mean(), x[0, 2, 2]],
                ]
            ]
        ),
        "ceil mode, one image",
    ),
    Sample(
        AvgPoolInput,
        AvgPoolInput((1, 1, 4, 4), _BLOCKS, False, True, None),
        (_normal(1, 1, 2, 2),),
        lambda y: np.kron(y[0, 0], np.ones((2, 2)))[None, None] / 4,
        "2x2",
    ),
    Sample(
        AdaptiveAvgPool2d,
        lambda x: F.adaptive_avg_pool2d(x, 1),
        (_normal(2, 3, 3, 4),),
        lambda x: _adaptive_by_loops(x, (1, 1)),
        "global",
    ),
    Sample(
        AdaptiveAvgPool2d,
        lambda x: F.adaptive_avg_pool2d(x, (2, 3)),
        (_normal(1, 2, 5, 7),),
        lambda x: _adaptive_by_loops(x, (2, 3)),
        "overlapping regions",
    ),
    Sample(
        AdaptiveAvgPool2d,
        lambda x: F.adaptive_avg_pool2d(x, (None, 2)),
        (_normal(2, 3, 4),),
        lambda x: _adaptive_by_loops(x[None], (3, 2))[0],
        "one image, None",
    ),
    Sample(
        AdaptiveAvgPoolInput,
        AdaptiveAvgPoolInput((1, 2, 4, 2)),
        (_normal(1, 2, 2, 1),),
        lambda y: np.repeat(np.repeat(y, 2, axis=2), 2, axis=3) / 4,
        "regions",
    ),
]

_x = np.ones((2, 3, 4, 4))

ERRORS = [
    ErrorSample(
        lambda: F.max_pool2d(_x, 5), ValueError, r"max_pool2d: a window of \(5, 5\)", "too large"
    ),
    ErrorSample(
        lambda: F.max_pool2d(_x, 2, padding=2),
        ValueError,
        "padding .* must be at most half of kernel_size",
        "padding",
    ),
    ErrorSample(lambda: F.max_pool2d(_x[0, 0], 2), ValueError, "expects a non-empty", "2-d input"),
    ErrorSample(lambda: F.max_pool2d(_x.astype(int), 2), TypeError, "floating-point", "integers"),
    ErrorSample(lambda: F.max_pool2d(_x, 0), ValueError, "kernel_size expects an int", "kernel 0"),
    ErrorSample(
        lambda: F.avg_pool2d(_x, 2, stride=-1), ValueError, "avg_pool2d: stride expects", "stride"
    ),
    ErrorSample(lambda: F.adaptive_avg_pool2d(_x, 0), ValueError, "output_size expects", "size 0"),
]
