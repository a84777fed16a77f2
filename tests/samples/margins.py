"""Samples of the losses of distributions, margins, pairs and sequences, against loops of floats."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tests.samples.base import Array, ErrorSample, Sample
from tests.samples.elementwise import by_hand
from tinygrad_cnn.ops.activation import Relu, Softplus
from tinygrad_cnn.ops.elementwise import Div, Exp, Log, Mul, Sub
from tinygrad_cnn.ops.losses.ctc import Ctc
from tinygrad_cnn.ops.matrices.norms import VectorNorm
from tinygrad_cnn.ops.piecewise import Abs, Clip
from tinygrad_cnn.ops.pointwise.combining import Xlogy
from tinygrad_cnn.ops.softmax import LogSoftmax

_rng = np.random.default_rng(41)


def _normal(*shape: int) -> Array:
    return _rng.standard_normal(shape)


def _positive(*shape: int) -> Array:
    return _rng.uniform(0.5, 2.0, shape)


def _each(f: Callable[..., float], reduction: str = "none") -> Callable[..., Any]:
    """A loss element by element."""
    make: dict[str, Callable[[Array], Any]] = {"mean": np.mean, "sum": np.sum, "none": np.asarray}
    return lambda *arrays: make[reduction](by_hand(f)(*arrays))


def _smooth_l1(x: float, t: float, beta: float = 0.75) -> float:
    d = abs(x - t)
    return 0.5 * d * d / beta if d < beta else d - 0.5 * beta


def _gaussian(x: float, t: float, v: float) -> float:
    return 0.5 * (math.log(v) + (x - t) ** 2 / v)


def _focal(x: float, t: float, alpha: float = 0.25, gamma: float = 2.0) -> float:
    p = 1 / (1 + math.exp(-x))
    right = p * t + (1 - p) * (1 - t)
    entropy = -t * math.log(p) - (1 - t) * math.log(1 - p)
    return (alpha * t + (1 - alpha) * (1 - t)) * (1 - right) ** gamma * entropy


def _multi_margin(x: Array, t: Array, p: int, margin: float, w: Array | None) -> Array:
    return np.array(
        [
            sum(
                (1.0 if w is None else w[k]) * max(0.0, margin - row[k] + v) ** p
                for i, v in enumerate(row)
                if i != k
            )
            / len(row)
            for row, k in zip(x, t, strict=True)
        ]
    )


def _multilabel(x: Array, t: Array) -> Array:
    losses = []
    for row, marks in zip(x, t, strict=True):
        right = list(itertools.takewhile(lambda k: k >= 0, marks))
        others = [i for i in range(len(row)) if i not in right]
        losses.append(sum(max(0.0, 1 - row[k] + row[i]) for k in right for i in others) / len(row))
    return np.array(losses)


def _cosine(a: Array, b: Array) -> float:
    return float(sum(a * b) / math.sqrt(sum(a * a)) / math.sqrt(sum(b * b)))


def _cosine_embedding(a: Array, b: Array) -> Array:
    cosines = [_cosine(u, v) for u, v in zip(a, b, strict=True)]
    return np.array(
        [1 - c if s == 1 else max(0.0, c - 0.1) for c, s in zip(cosines, _pairs, strict=True)]
    )


def _distance(a: Array, b: Array, p: float = 2.0) -> Array:
    differences = [[abs(v + 1e-6) ** p for v in row] for row in a - b]
    return np.array([sum(row) ** (1 / p) for row in differences])


def _triplet(a: Array, p: Array, n: Array, swap: bool) -> Any:
    far = _distance(a, n)
    far = np.minimum(far, _distance(p, n)) if swap else far
    return np.mean(np.maximum(_distance(a, p) - far + 3.0, 0))


def _ctc(p: Array, labels: list[int], blank: int) -> float:
    """All paths one by one, their repeated classes and blanks taken out."""
    total = 0.0
    for path in itertools.product(range(p.shape[1]), repeat=len(p)):
        merged = [k for i, k in enumerate(path) if i == 0 or k != path[i - 1]]
        if [k for k in merged if k != blank] == labels:
            total += math.exp(sum(p[t, k] for t, k in enumerate(path)))
    return -math.log(total) if total else math.inf


def _ctc_call(x: Any, reduction: Any = "none", **settings: Any) -> Any:
    t = np.array([[1, 1], [2, 9]])
    return F.ctc_loss(
        F.log_softmax(x, 2), t, [4, 3], np.array([2, 1]), reduction=reduction, **settings
    )


def _ctc_paths(x: Array) -> Array:
    p = np.log(np.exp(x) / np.exp(x).sum(2, keepdims=True))
    return np.array([_ctc(p[:, 0], [1, 1], 0), _ctc(p[:3, 1], [2], 0)])


_pairs = np.array([1, -1, -1, 1])
_classes = np.array([2, 0, 1])
_marks = np.array([[2, 0, -1, 1], [1, -1, 2, 0], [-1, 0, 1, 2], [0, 1, 2, 3]])
_signs = np.array([[1.0, -1.0, -1.0], [-1.0, 1.0, 1.0]])
_counts = np.array([[0, 1, 3], [2, 5, 0]])
_sides = np.array([0.2, -0.6, 1.4, -2.0]), np.zeros(4)
_labels = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]])

SAMPLES = [
    *[
        Sample(
            Clip,
            lambda x, t, r=r: F.smooth_l1_loss(x, t, r, 0.75),
            _sides,
            _each(_smooth_l1, r),
            f"smooth l1, {r}",
        )
        for r in ("mean", "sum", "none")
    ],
    Sample(
        Abs,
        lambda x, t: F.smooth_l1_loss(x, t, beta=0.0),
        _sides,
        lambda x, t: np.mean(abs(x)),
        "smooth l1 of beta 0",
    ),
    Sample(
        Xlogy,
        lambda x, t: F.kl_div(x, t, "batchmean"),
        (_normal(2, 3), _positive(2, 3)),
        lambda x, t: np.sum(t * (np.log(t) - x)) / 2,
        "kl div",
    ),
    Sample(
        Mul,
        lambda x: F.kl_div(x, np.array([0.0, 1.0]), "none"),
        (_normal(2),),
        lambda x: np.array([0.0, -x[1]]),
        "kl div of nothing",
    ),
    Sample(
        Exp,
        lambda x, t: F.kl_div(x, t, "sum", log_target=True),
        (_normal(2, 3), _normal(2, 3)),
        lambda x, t: np.sum(np.exp(t) * (t - x)),
        "kl div of logarithms",
    ),
    Sample(
        Exp,
        lambda x: F.poisson_nll_loss(x, _counts),
        (_normal(2, 3),),
        lambda x: np.mean(np.exp(x) - _counts * x),
        "poisson",
    ),
    Sample(
        Log,
        lambda x: F.poisson_nll_loss(x, _counts, log_input=False, full=True, reduction="none"),
        (_positive(2, 3),),
        lambda x: _each(
            lambda v, t: (
                v
                - t * math.log(v + 1e-8)
                + (t * math.log(t) - t + 0.5 * math.log(2 * math.pi * t) if t > 1 else 0.0)
            )
        )(x, _counts),
        "poisson in full",
    ),
    Sample(
        Log,
        lambda x, t, v: F.gaussian_nll_loss(x, t, v, reduction="none"),
        (_normal(2, 3), _normal(2, 3), _positive(2, 3)),
        _each(_gaussian),
        "gaussian",
    ),
    Sample(
        Log,
        lambda x, t, v: F.gaussian_nll_loss(x, t, v, full=True),
        (_normal(2, 3), _normal(2, 3), _positive(2)),
        lambda x, t, v: _each(_gaussian, "mean")(x, t, v[:, None]) + 0.5 * math.log(2 * math.pi),
        "gaussian, a variance a row",
    ),
    Sample(
        Log,
        lambda x, v: F.gaussian_nll_loss(x, x, v, eps=0.5, reduction="none"),
        (np.ones(1), np.array([0.0])),
        lambda x, v: np.array([0.5 * math.log(0.5)]),
        "gaussian, least variance",
        smooth=False,
        gradients=(np.zeros(1), np.array([1.0])),
    ),
    Sample(Softplus, F.sigmoid_focal_loss, (_normal(2, 3), _labels), _each(_focal), "focal"),
    Sample(
        Softplus,
        lambda x: F.sigmoid_focal_loss(x, np.full((2, 3), 0.3), 0.6, 3.0, "mean"),
        (_normal(2, 3),),
        lambda x: _each(lambda v: _focal(v, 0.3, 0.6, 3.0), "mean")(x),
        "focal, soft targets",
    ),
    Sample(
        Softplus,
        F.soft_margin_loss,
        (_normal(2, 3), _signs),
        _each(lambda x, t: math.log1p(math.exp(-t * x)), "mean"),
        "soft margin",
    ),
    Sample(
        Clip,
        lambda x: F.hinge_embedding_loss(x, _signs.astype(int), 0.8, "none"),
        (_normal(2, 3),),
        lambda x: _each(lambda v, t: v if t == 1 else max(0.0, 0.8 - v))(x, _signs),
        "hinge embedding",
    ),
    Sample(
        Clip,
        lambda a, b: F.margin_ranking_loss(a, b, _signs, 0.3, "none"),
        (_normal(2, 3), _normal(2, 3)),
        lambda a, b: _each(lambda u, v, t: max(0.0, 0.3 - t * (u - v)))(a, b, _signs),
        "margin ranking",
    ),
    Sample(
        Clip,
        lambda a, b: F.margin_ranking_loss(a, b, np.ones(1)),
        (np.ones(1), np.ones(1)),
        lambda a, b: np.asarray(0.0),
        "margin ranking at the margin",
        smooth=False,
        gradients=(-np.ones(1), np.ones(1)),
    ),
    *[
        Sample(
            Relu,
            lambda x, p=p, w=w: F.multi_margin_loss(x, _classes, p, 1.5, w, "none"),
            (_normal(3, 4),),
            lambda x, p=p, w=w: _multi_margin(x, _classes, p, 1.5, w),
            f"multi margin, p {p}",
        )
        for p, w in [(1, None), (2, np.array([0.5, 1.0, 2.0, 3.0]))]
    ],
    Sample(
        Relu,
        lambda x: F.multi_margin_loss(x, np.array(1)),
        (np.array([1.0, 2.0]),),
        lambda x: np.asarray(0.0),
        "multi margin at the margin",
        smooth=False,
        gradients=(np.zeros(2),),
    ),
    Sample(
        Relu,
        lambda x: F.multilabel_margin_loss(x, _marks, "none"),
        (_normal(4, 4),),
        lambda x: _multilabel(x, _marks),
        "multilabel margin",
    ),
    Sample(
        Relu,
        lambda x: F.multilabel_margin_loss(x, _marks[0]),
        (_normal(4),),
        lambda x: _multilabel(x[None], _marks[:1])[0],
        "multilabel margin of one",
    ),
    Sample(
        Softplus,
        lambda x, w: F.multilabel_soft_margin_loss(x, _labels, w, "none"),
        (_normal(2, 3), _positive(3)),
        lambda x, w: _each(
            lambda v, t, u: u * (t * math.log1p(math.exp(-v)) + (1 - t) * math.log1p(math.exp(v)))
        )(x, _labels, w).mean(1),
        "multilabel soft margin",
    ),
    Sample(
        Div,
        lambda a, b: F.cosine_embedding_loss(a, b, _pairs, 0.1, "none"),
        (_normal(4, 3), _normal(4, 3)),
        _cosine_embedding,
        "cosine embedding",
        atol=1e-9,
    ),
    Sample(
        VectorNorm,
        lambda a, b, n: F.triplet_margin_loss(a, b, n, 3.0),
        (_normal(3, 2), _normal(3, 2), _normal(3, 2)),
        lambda a, b, n: _triplet(a, b, n, False),
        "triplet margin",
    ),
    Sample(
        VectorNorm,
        lambda a, b, n: F.triplet_margin_with_distance_loss(a, b, n, margin=3.0, swap=True),
        (_normal(3, 2), _normal(3, 2), _normal(3, 2)),
        lambda a, b, n: _triplet(a, b, n, True),
        "triplet margin, swapped",
    ),
    Sample(
        (VectorNorm, Mul),
        F.cosine_similarity,
        (_normal(4, 3), _normal(4, 3)),
        lambda a, b: np.array([_cosine(u, v) for u, v in zip(a, b, strict=True)]),
        "cosine similarity",
    ),
    Sample(
        VectorNorm,
        lambda a, b: F.cosine_similarity(a, b, 0),
        (_normal(3, 1), _normal(3, 2)),
        lambda a, b: np.array([_cosine(a[:, 0], b[:, j]) for j in (0, 1)]),
        "cosine similarity, broadcast",
    ),
    Sample(
        VectorNorm,
        lambda a, b: F.cosine_similarity(a, b, 0, 0.5),
        (np.zeros(2), np.array([3.0, 4.0])),
        lambda a, b: np.asarray(0.0),
        "cosine similarity of nothing",
        smooth=False,
        gradients=(np.array([1.2, 1.6]), np.zeros(2)),
    ),
    Sample(
        (VectorNorm, Sub),
        F.pairwise_distance,
        (_normal(4, 3), _normal(4, 3)),
        _distance,
        "pairwise distance",
    ),
    Sample(
        VectorNorm,
        lambda a, b: F.pairwise_distance(a, b, 3.0, keepdim=True),
        (_normal(4, 3), _normal(4, 3)),
        lambda a, b: _distance(a, b, 3.0)[:, None],
        "pairwise distance, p 3",
    ),
    Sample((Ctc, LogSoftmax), _ctc_call, (_normal(4, 2, 3),), _ctc_paths, "ctc", atol=1e-9),
    Sample(
        Ctc,
        lambda x: _ctc_call(x, "mean"),
        (_normal(4, 2, 3),),
        lambda x: np.mean(_ctc_paths(x) / [2, 1]),
        "ctc, mean",
        atol=1e-9,
    ),
    Sample(
        Ctc,
        lambda x: F.ctc_loss(x, np.array([0]), [2], [1], blank=1),
        (_normal(2, 2),),
        lambda x: np.asarray(_ctc(x, [0], 1)),
        "ctc of one, another blank",
        atol=1e-9,
    ),
    Sample(
        Ctc,
        lambda x: F.ctc_loss(x, np.array([[1, 1]]), [2], [2], zero_infinity=True),
        (_normal(2, 1, 2),),
        lambda x: np.asarray(0.0),
        "ctc, no path",
        smooth=False,
        gradients=(np.zeros((2, 1, 2)),),
    ),
]

_x = np.ones((2, 3))

ERRORS = [
    ErrorSample(call, ValueError, message)
    for call, message in [
        (lambda: F.smooth_l1_loss(_x, _x, beta=-1), "^smooth_l1_loss: beta expects a number >= 0"),
        (lambda: F.kl_div(_x, _x, "max"), "^kl_div: reduction expects .* got 'max'"),  # type: ignore[arg-type]
        (lambda: F.gaussian_nll_loss(_x, _x, -_x), "^gaussian_nll_loss: var expects numbers >= 0"),
        (lambda: F.gaussian_nll_loss(_x, _x, np.ones(5)), "^gaussian_nll_loss: var expects the"),
        (lambda: F.gaussian_nll_loss(_x, _x, _x, eps=0), "^gaussian_nll_loss: eps expects"),
        (lambda: F.sigmoid_focal_loss(_x, _x, 2.0), "^sigmoid_focal_loss: alpha expects a share"),
        (lambda: F.multi_margin_loss(_x, np.array([0, 1]), 3), "^multi_margin_loss: p expects 1"),
        (lambda: F.multi_margin_loss(_x, np.array([0, 3])), "expects classes 0 to 2, got 3"),
        (lambda: F.multi_margin_loss(np.ones((1, 1, 1)), 0), "expects scores .N, C. or .C,."),
        (lambda: F.multilabel_margin_loss(_x, np.full((2, 3), 3)), "classes 0 to 2, and -1 after"),
        (lambda: F.cosine_embedding_loss(_x, _x, np.ones(3)), r"target expects shape \(2,\)"),
        (lambda: F.cosine_embedding_loss(_x, _x[0], np.ones(2)), "expects two inputs"),
        (lambda: F.triplet_margin_loss(_x, _x, _x, 0.0), "margin expects a positive number"),
        (lambda: F.triplet_margin_loss(_x, _x, _x[0]), "expects inputs of as many dimensions"),
        (lambda: F.ctc_loss(_x, np.array([0]), [2], [1]), "other than the blank 0, got 0"),
        (
            lambda: F.ctc_loss(_x, np.array([1]), [3], [1]),
            "input_lengths expects numbers from 0 to",
        ),
        (lambda: F.ctc_loss(_x, np.array([1]), [2], [1, 1]), "target_lengths expects 1 integers"),
        (lambda: F.ctc_loss(_x, np.array([1, 2]), [2], [3]), r"targets expects \(1, 3 or more\)"),
        (lambda: F.ctc_loss(_x, np.array([1]), [2], [1], blank=3), "blank expects a class 0 to 2"),
        (lambda: F.ctc_loss(np.ones(2), np.array([1]), [2], [1]), r"expects \(T, N, C\)"),
    ]
]
