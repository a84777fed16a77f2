"""Samples of quantiles, against NumPy."""

from __future__ import annotations

import numpy as np

from tests.samples.base import ErrorSample, Sample
from tests.samples.extreme import distinct
from tinygrad_cnn.ops.extreme import TakeAlong
from tinygrad_cnn.ops.ordering import quantiles as ops
from tinygrad_cnn.ops.ordering.sorting import Sort

_hole = np.array([[3.0, np.nan, 1.0, 2.0], [4.0, 2.0, 5.0, 1.0]])

SAMPLES = [
    *[
        Sample(
            (Sort, TakeAlong),
            lambda x, way=way: ops.quantile(x, [0.1, 0.5, 0.8], 1, interpolation=way),
            (distinct(2, 6),),
            lambda x, way=way: np.quantile(x, [0.1, 0.5, 0.8], 1, method=way),
            way,
        )
        for way in ("linear", "lower", "higher", "midpoint", "nearest")
    ],
    Sample(Sort, lambda x: ops.quantile(x, 0.3), (distinct(2, 3),), lambda x: np.quantile(x, 0.3)),
    Sample(
        Sort,
        lambda x: ops.quantile(x, 0.3, (0, 2), keepdim=True),
        (distinct(2, 3, 2),),
        lambda x: np.quantile(x, 0.3, (0, 2), keepdims=True),
        "two dims",
    ),
    Sample(
        Sort,
        ops.quantile,
        (distinct(5), np.array([0.3, 0.6])),
        np.quantile,
        "of shares with a gradient",
    ),
    Sample(
        Sort,
        lambda x: ops.quantile(x, 0.5, 1),
        (_hole,),
        lambda x: np.array([np.nan, 3.0]),
        "nan in nan out",
        smooth=False,
        gradients=(None,),
    ),
    Sample(
        Sort,
        lambda x: ops.nanquantile(x, 0.5, 1),
        (_hole,),
        lambda x: np.array([2.0, 3.0]),
        "without nan",
        smooth=False,
        gradients=(np.array([[0.0, 0.0, 0.0, 1.0], [0.5, 0.5, 0.0, 0.0]]),),
    ),
]

ERRORS = [
    ErrorSample(lambda: ops.quantile(_hole, 1.5), ValueError, "^quantile: q expects numbers from"),
    ErrorSample(lambda: ops.quantile(_hole, 0.5, 2), IndexError, "^quantile: dim 2 does not"),
    ErrorSample(lambda: ops.quantile(np.empty(0), 0.5), ValueError, "^quantile: expects at least"),
    ErrorSample(
        lambda: ops.nanquantile(_hole, 0.5, interpolation="cubic"),
        ValueError,
        "^nanquantile: interpolation expects",
    ),
]
