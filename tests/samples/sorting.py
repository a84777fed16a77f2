"""Samples of sorting and ranks, with ties, NaN and the first and last k."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.samples.base import Array, ErrorSample, Sample
from tests.samples.elementwise import signed
from tests.samples.extreme import distinct
from tests.samples.reduce import row_by_row
from tinygrad_cnn.ops.ordering import sorting as ops

_tied = np.array([[2.0, 1.0, 2.0, 1.0], [3.0, 3.0, 0.0, 3.0]])
_hole = np.array([3.0, np.nan, 1.0, 2.0, np.nan])
_many = np.random.default_rng(8).permutation(60).reshape(2, 30) / 5.0
_ties = np.array([1.0, 5.0, 1.5, 0.0, 0.5, 2.0, 2.0, 1.0, 0.0, 1.2])


def _top(k: int, axis: int, largest: bool = True) -> Callable[[Array], Array]:
    def oracle(x: Array) -> Array:
        ordered = np.moveaxis(np.sort(x, axis), axis, 0)
        return np.moveaxis(ordered[::-1][:k] if largest else ordered[:k], 0, axis)

    return oracle


def _kth(k: int) -> Callable[[list[float]], float]:
    return lambda values: sorted(values)[k - 1]


SAMPLES = [
    Sample(ops.Sort, lambda x: ops.sort(x).values, (distinct(2, 5),), np.sort),
    Sample(
        ops.Sort,
        lambda x: ops.sort(x, 1, descending=True).values,
        (distinct(2, 4, 3),),
        lambda x: -np.sort(-x, 1),
        "falling",
    ),
    Sample(ops.Sort, lambda x: ops.sort(x, axis=0)[0], (distinct(3, 2),), lambda x: np.sort(x, 0)),
    Sample(ops.Sort, lambda x: ops.sort(x).values, (signed(),), np.asarray, "0-d"),
    Sample(ops.Sort, lambda x: ops.sort(x, 1).values, (np.empty((2, 0)),), np.asarray, "nothing"),
    Sample(ops.Sort, ops.msort, (distinct(3, 2),), lambda x: np.sort(x, 0), "msort"),
    Sample(
        ops.Sort,
        lambda x: ops.sort(x, descending=True).values,
        (_hole,),
        lambda x: np.array([np.nan, np.nan, 3.0, 2.0, 1.0]),
        "nan is the greatest",
        smooth=False,
        gradients=(np.ones(5),),
    ),
    Sample(ops.Topk, lambda x: ops.topk(x, 2).values, (distinct(3, 4),), _top(2, 1)),
    Sample(ops.Topk, lambda x: ops.topk(x, 3, 0).values, (distinct(4, 2),), _top(3, 0), "dim 0"),
    Sample(ops.Topk, lambda x: ops.topk(x, 3).values, (_many,), _top(3, 1), "few of many"),
    Sample(
        ops.Topk,
        lambda x: ops.topk(x, 3, largest=False).values,
        (_many,),
        _top(3, 1, largest=False),
        "smallest of many",
    ),
    Sample(ops.Topk, lambda x: ops.topk(x, 1).values, (signed(),), np.asarray, "0-d"),
    Sample(ops.Topk, lambda x: ops.topk(x, 0).values, (_many,), lambda x: np.empty((2, 0)), "none"),
    Sample(
        ops.Topk,
        lambda x: ops.topk(x, 2).values,
        (_ties,),
        lambda x: np.array([5.0, 2.0]),
        "the first of equals",
        smooth=False,
        gradients=(np.array([0.0, 1.0, 0.0, 0.0, 0.0, 1.0, *[0.0] * 4]),),
    ),
    Sample(
        ops.Topk,
        lambda x: ops.topk(x, 2, largest=False).values,
        (np.concatenate([_hole, _hole, [0.5]]),),
        lambda x: np.array([0.5, 1.0]),
        "smallest beside nan",
        smooth=False,
        gradients=(np.array([0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1.0]),),
    ),
    Sample(
        ops.Topk,
        lambda x: ops.topk(x, 2).values,
        (np.concatenate([_hole, _hole, [0.5]]),),
        lambda x: np.array([np.nan, np.nan]),
        "nan is the greatest",
        smooth=False,
        gradients=(np.array([0, 1, 0, 0, 1.0, 0, 0, 0, 0, 0, 0]),),
    ),
    Sample(
        ops.Kthvalue,
        lambda x: ops.kthvalue(x, 2).values,
        (distinct(3, 4),),
        row_by_row(_kth(2), (1,)),
    ),
    Sample(
        ops.Kthvalue,
        lambda x: ops.kthvalue(x, 1, 0, keepdim=True).values,
        (distinct(3, 4),),
        row_by_row(_kth(1), (0,), True),
        "keepdim",
    ),
    Sample(ops.Kthvalue, lambda x: ops.kthvalue(x, 1).values, (signed(),), np.asarray, "0-d"),
    Sample(
        ops.Kthvalue,
        lambda x: ops.kthvalue(x, 2).values,
        (_tied,),
        lambda x: np.array([1.0, 3.0]),
        "the first of equals takes the gradient",
        smooth=False,
        gradients=(np.array([[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]]),),
    ),
    Sample(
        ops.Median,
        lambda x: ops.median(x, 1).values,
        (distinct(3, 4),),
        row_by_row(statistics.median_low, (1,)),
    ),
    Sample(
        ops.Median,
        lambda x: ops.median(x, 0, keepdim=True)[0],
        (distinct(3, 4),),
        row_by_row(statistics.median_low, (0,), True),
        "keepdim",
    ),
    Sample(
        ops.Median,
        lambda x: ops.median(x, 0).values,
        (_hole,),
        lambda x: np.array(np.nan),
        "nan in nan out",
        smooth=False,
        gradients=(np.array([0.0, 1.0, 0.0, 0.0, 0.0]),),
    ),
    Sample(
        ops.MedianOfAll, ops.median, (distinct(3, 4),), row_by_row(statistics.median_low), "all"
    ),
    Sample(
        ops.MedianOfAll,
        ops.median,
        (np.array([1.0, 2.0, 2.0, 5.0]),),
        row_by_row(statistics.median_low),
        "equals share the gradient",
        smooth=False,
        gradients=(np.array([0.0, 0.5, 0.5, 0.0]),),
    ),
    Sample(
        ops.MedianOfAll,
        ops.median,
        (_hole,),
        lambda x: np.array(np.nan),
        "nan in nan out",
        smooth=False,
        gradients=(np.array([0.0, 0.5, 0.0, 0.0, 0.5]),),
    ),
    Sample(
        ops.Nanmedian,
        lambda x: ops.nanmedian(x, 0).values,
        (_hole,),
        lambda x: np.array(2.0),
        "along a dimension",
        smooth=False,
        gradients=(np.array([0.0, 0.0, 0.0, 1.0, 0.0]),),
    ),
    Sample(
        ops.Nanmedian,
        ops.nanmedian,
        (distinct(2, 3),),
        row_by_row(statistics.median_low),
        "all",
    ),
]


def _along(f: Any, *args: Any) -> ErrorSample:
    return ErrorSample(
        lambda: f(np.ones((2, 3)), *args, 2), IndexError, f"^{f.__name__}: dim 2 does not exist"
    )


ERRORS = [
    *[_along(f) for f in (ops.sort, ops.argsort, ops.median, ops.nanmedian, ops.mode)],
    *[_along(f, 1) for f in (ops.topk, ops.kthvalue)],
    ErrorSample(lambda: ops.topk(_tied, 5), ValueError, "^topk: k expects an int from 0 to 4"),
    ErrorSample(lambda: ops.topk(np.float64(1.0), 0), ValueError, "^topk: k expects 1"),
    ErrorSample(lambda: ops.kthvalue(_tied, 0), ValueError, "^kthvalue: k expects .* 1 to 4"),
    *[
        ErrorSample(
            lambda f=f: f(np.empty((2, 0)), 1),
            ValueError,
            f"^{f.__name__}: expects at least one element",
        )
        for f in (ops.median, ops.nanmedian, ops.mode)
    ],
    ErrorSample(lambda: ops.median(np.empty(0)), ValueError, "^median: expects at least one"),
]
