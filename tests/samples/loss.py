"""Samples of the losses and of dropout, against sums written out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tests.samples.base import Array, ErrorSample, Sample
from tinygrad_cnn.ops.activation import Softplus
from tinygrad_cnn.ops.cross_entropy import CrossEntropy
from tinygrad_cnn.ops.dropout import Dropout
from tinygrad_cnn.ops.elementwise import Log, Pow
from tinygrad_cnn.ops.index import Gather
from tinygrad_cnn.ops.piecewise import Abs, Clip
from tinygrad_cnn.ops.softmax import LogSoftmax

_rng = np.random.default_rng(14)


def _normal(*shape: int) -> Array:
    return _rng.standard_normal(shape)


def _entropy_by_loops(
    x: Array,
    t: Array,
    weight: Array | None = None,
    ignore: int = -100,
    reduction: str = "mean",
    smoothing: float = 0.0,
) -> Any:
    """Cross-entropy of logits (M, C), example by example."""
    M, C = x.shape
    w = np.ones(C) if weight is None else weight
    losses, weights = [], []
    for m in range(M):
        top = max(x[m])
        log_total = top + math.log(sum(math.exp(v - top) for v in x[m]))
        log_p = [v - log_total for v in x[m]]
        if t[m] == ignore:
            losses.append(0.0)
            continue
        hard = -w[t[m]] * log_p[t[m]]
        even = -sum(w[c] * log_p[c] for c in range(C)) / C
        losses.append((1 - smoothing) * hard + smoothing * even)
        weights.append(w[t[m]])
    if reduction == "none":
        return np.array(losses)
    return np.asarray(sum(losses) / (sum(weights) if reduction == "mean" else 1.0))


_t = np.array([2, 0, 1, 2])
_ignored = np.array([2, -100, 1, -100])
_w = np.array([0.5, 2.0, 1.5])
_far = np.array([[1e4, 0.0, -1e4], [-1e4, 0.0, 1e4]])

SAMPLES = [
    Sample(
        CrossEntropy,
        lambda x: F.cross_entropy(x, _t),
        (_normal(4, 3),),
        lambda x: _entropy_by_loops(x, _t),
        "mean",
    ),
    *[
        Sample(
            CrossEntropy,
            lambda x, r=reduction: F.cross_entropy(
                x, _ignored, _w, reduction=r, label_smoothing=0.2
            ),
            (_normal(4, 3),),
            lambda x, r=reduction: _entropy_by_loops(x, _ignored, _w, reduction=r, smoothing=0.2),
            f"weights, ignored and smoothing, {reduction}",
        )
        for reduction in ("mean", "sum", "none")
    ],
    Sample(
        CrossEntropy,
        lambda x: F.cross_entropy(x, _t, ignore_index=2, label_smoothing=0.5),
        (_normal(4, 3),),
        lambda x: _entropy_by_loops(x, _t, ignore=2, smoothing=0.5),
        "another class ignored",
    ),
    Sample(
        CrossEntropy,
        lambda x: F.cross_entropy(x, np.array(1)),
        (_normal(3),),
        lambda x: _entropy_by_loops(x[None], np.array([1])),
        "one example",
    ),
    Sample(
        CrossEntropy,
        lambda x: F.cross_entropy(x, np.array([[0, 2], [1, 1]]), reduction="none"),
        (_normal(2, 3, 2),),
        lambda x: _entropy_by_loops(
            x.transpose(0, 2, 1).reshape(4, 3), np.array([0, 2, 1, 1]), reduction="none"
        ).reshape(2, 2),
        "images",
    ),
    Sample(
        CrossEntropy,
        lambda x: F.cross_entropy(x, np.array([0, 0]), reduction="none"),
        (_far,),
        lambda x: np.array([0.0, 2e4]),
        "far logits",
        smooth=False,
        gradients=(np.array([[0.0, 0.0, 0.0], [-1.0, 0.0, 1.0]]),),
    ),
    Sample(
        LogSoftmax,
        lambda x, p: F.cross_entropy(x, p, label_smoothing=0.1),
        (_normal(2, 3), np.array([[0.2, 0.3, 0.5], [0.1, 0.6, 0.3]])),
        lambda x, p: np.mean(
            [
                sum(
                    (0.9 * p[m, c] + 0.1 / 3) * _entropy_by_loops(x[m : m + 1], [c])
                    for c in range(3)
                )
                for m in range(2)
            ]
        ),
        "probabilities",
    ),
    Sample(
        LogSoftmax,
        lambda x: F.cross_entropy(x, np.eye(3)[[0, 0]], _w, reduction="none"),
        (_far,),
        lambda x: np.array([0.0, 1e4]),
        "probabilities, far logits",
        smooth=False,
        gradients=(np.array([[0.0, 0.0, 0.0], [-0.5, 0.0, 0.5]]),),
    ),
    Sample(
        Gather,
        lambda x: F.nll_loss(x, _ignored, _w),
        (_normal(4, 3),),
        lambda x: np.asarray(-(1.5 * x[0, 2] + 2.0 * x[2, 1]) / 3.5),
        "nll",
    ),
    Sample(
        Gather,
        lambda x: F.nll_loss(x, np.array([[0], [1]]), reduction="none"),
        (_normal(2, 3, 1),),
        lambda x: -np.array([[x[0, 0, 0]], [x[1, 1, 0]]]),
        "nll of images",
    ),
    Sample(
        Pow,
        F.mse_loss,
        (_normal(2, 3), _normal(2, 3)),
        lambda x, t: np.asarray(sum((x - t).ravel() ** 2) / 6),
        "mse",
    ),
    Sample(
        Abs,
        lambda x, t: F.l1_loss(x, t, reduction="sum"),
        (np.array([1.0, -2.0]), np.array([3.0, 1.0])),
        lambda x, t: np.asarray(5.0),
        "l1",
    ),
    Sample(
        Clip,
        lambda x, t: F.huber_loss(x, t, reduction="none", delta=0.5),
        (np.array([0.1, -0.3, 2.0, -3.0]), np.zeros(4)),
        lambda x, t: np.array([0.005, 0.045, 0.5 * 1.75, 0.5 * 2.75]),
        "huber",
    ),
    Sample(
        Clip,
        lambda x: F.huber_loss(x, np.zeros(3), reduction="none"),
        (np.array([0.0, 1.0, -1e4]),),
        lambda x: np.array([0.0, 0.5, 9999.5]),
        "huber at 0, at delta and far",
        smooth=False,
        gradients=(np.array([0.0, 1.0, -1.0]),),
    ),
    Sample(
        Log,
        F.binary_cross_entropy,
        (np.array([0.2, 0.7]), np.array([0.0, 0.4])),
        lambda p, t: np.asarray(-(math.log(0.8) + 0.4 * math.log(0.7) + 0.6 * math.log(0.3)) / 2),
        "binary",
        rtol=1e-10,
    ),
    Sample(
        Log,
        lambda p: F.binary_cross_entropy(p, np.array([1.0, 1.0, 0.0]), reduction="none"),
        (np.array([0.0, 1.0, 1.0]),),
        lambda p: np.array([100.0, 0.0, 100.0]),
        "binary at 0 and 1",
        smooth=False,
        gradients=(np.array([0.0, -1.0, 0.0]),),
    ),
    Sample(
        Softplus,
        F.binary_cross_entropy_with_logits,
        (np.array([0.3, -1.2]), np.array([0.0, 0.4])),
        lambda x, t: np.mean([math.log1p(math.exp(0.3)), math.log1p(math.exp(-1.2)) + 0.4 * 1.2]),
        "binary with logits",
    ),
    Sample(
        Softplus,
        lambda x: F.binary_cross_entropy_with_logits(
            x, np.array([1.0, 0.0]), reduction="sum", pos_weight=np.array([3.0, 3.0])
        ),
        (np.array([0.3, -1.2]),),
        lambda x: np.asarray(3 * math.log1p(math.exp(-0.3)) + math.log1p(math.exp(-1.2))),
        "positive weight",
    ),
    Sample(
        Softplus,
        lambda x: F.binary_cross_entropy_with_logits(
            x, np.array([1.0, 0.0, 1.0]), reduction="none"
        ),
        (np.array([-1e4, 1e4, 1e4]),),
        lambda x: np.array([1e4, 1e4, 0.0]),
        "far logits",
        smooth=False,
        gradients=(np.array([-1.0, 1.0, 0.0]),),
    ),
    Sample(
        Dropout,
        lambda x: F.dropout(x, 0.25, generator=np.random.default_rng(3)),
        (_normal(3, 4),),
        lambda x: x * (np.random.default_rng(3).random((3, 4), np.float32) >= 0.25) / 0.75,
        "quarter",
    ),
    Sample(Dropout, lambda x: F.dropout(x, 1.0), (_normal(3),), np.zeros_like, "all"),
]

_x = np.zeros((4, 3))

ERRORS = [
    ErrorSample(
        lambda: F.cross_entropy(_x, np.array([0, 1, 2, 3])),
        ValueError,
        "cross_entropy: target expects classes 0 to 2, got 3",
        "class",
    ),
    ErrorSample(
        lambda: F.cross_entropy(_x, np.array([0, 1])),
        ValueError,
        r"target expects shape \(4,\) for input of shape \(4, 3\), got \(2,\)",
        "shape",
    ),
    ErrorSample(
        lambda: F.cross_entropy(_x, np.zeros((4, 2))),
        ValueError,
        r"probabilities expect the logits' shape \(4, 3\)",
        "probabilities",
    ),
    ErrorSample(
        lambda: F.cross_entropy(_x, _t, np.ones(2)), ValueError, r"weight expects shape \(3,\)", "w"
    ),
    ErrorSample(
        lambda: F.cross_entropy(_x, _t, reduction="avg"), ValueError, "reduction expects", "word"
    ),
    ErrorSample(
        lambda: F.cross_entropy(_x, _t, label_smoothing=2), ValueError, "label_smoothing", "share"
    ),
    ErrorSample(
        lambda: F.nll_loss(_x, np.ones(4)), TypeError, "expects integer class numbers", "floats"
    ),
    ErrorSample(
        lambda: F.mse_loss(_x, np.zeros((4, 1))),
        ValueError,
        r"mse_loss: target expects the input's shape \(4, 3\), got \(4, 1\)",
        "mse",
    ),
    ErrorSample(
        lambda: F.huber_loss(_x, _x, delta=0.0), ValueError, "delta expects a positive", "huber"
    ),
    ErrorSample(
        lambda: F.binary_cross_entropy(_x + 2, _x),
        ValueError,
        r"expects probabilities in \[0, 1\]",
        "binary",
    ),
    ErrorSample(
        lambda: F.dropout(_x, 1.5), ValueError, "dropout: p expects a probability", "dropout"
    ),
]
