"""Losses, softmax, and a density."""

# A rule takes every input, whether it reads it or not.

from __future__ import annotations

from typing import Any

import numpy as np

from exhibits import Array, exhibit, logits


def softmax(x: Array) -> Array:
    """Return the softmax of each row."""
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def log_softmax(x: Array) -> Array:
    """Return the logarithm of the softmax of each row."""
    x = x - x.max(1, keepdims=True)
    return x - np.log(np.exp(x).sum(1, keepdims=True))


@exhibit(
    "softmax: only the Jacobian's diagonal",
    "Apiquet/DeepLearningFrameworkFromScratchCpp/issues/1",
    softmax,
    lambda rng: [logits(rng, 5, 6)[0]],
    "diagonal",
    "sum missing",
    "mean term",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    s = softmax(x)
    return (g * s * (1 - s) if wrong else s * (g - (g * s).sum(1, keepdims=True)),)


@exhibit(
    "softmax: the product's sum left out",
    "HomericIntelligence/Odyssey/issues/2134",
    softmax,
    lambda rng: [logits(rng, 5, 6)[0]],
    "term missing",
    "sum missing",
    "diagonal",
    "mean term",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    s = softmax(x)
    return (s * (g - (0 if wrong else (g * s).sum(1, keepdims=True))),)


@exhibit(
    "log-softmax: softmax added, not its share subtracted",
    "mlpack/mlpack/issues/2360",
    log_softmax,
    lambda rng: [logits(rng, 5, 6)[0]],
    "linearity",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    s = softmax(x)
    return (g + s if wrong else g - s * g.sum(1, keepdims=True),)


IGNORED = 1


def cross_entropy(x: Array, labels: Array) -> Any:
    """Return the mean of −log softmax at the labels that are not ignored."""
    rows = np.arange(len(x))
    kept = labels != IGNORED
    return -(log_softmax(x)[rows, labels] * kept).sum() / max(kept.sum(), 1)


def cross_entropy_gradient(g: Any, x: Array, labels: Array, count: int, every: bool) -> Array:
    """Return the gradient, divided by a count, for every row or those that are not ignored."""
    gx = softmax(x)
    gx[np.arange(len(x)), labels] -= 1
    kept = np.ones(len(x)) if every else (labels != IGNORED).astype(float)
    return g * gx * kept[:, None] / count


def draw_labels(rng: np.random.Generator) -> list[Any]:
    """Scores and labels, two of which are to be ignored."""
    x, labels = logits(rng, 8, 5)
    labels[:2], labels[2:] = IGNORED, np.where(labels[2:] == IGNORED, 0, labels[2:])
    return [x, labels]


@exhibit(
    "cross entropy: ignored targets have a gradient",
    "PaddlePaddle/Paddle/pull/28622",
    cross_entropy,
    draw_labels,
    "mask missing",
    "wrong mask",
)
def _(g: Any, x: Any, labels: Any, wrong: bool) -> Any:
    count = int((labels != IGNORED).sum())
    return cross_entropy_gradient(g, x, labels, count, every=wrong), None


@exhibit(
    "cross entropy: divided by all targets, ignored ones too",
    "flagos-ai/FlagGems/pull/73",
    cross_entropy,
    draw_labels,
    "factor",
    "times 1/N",
)
def _(g: Any, x: Any, labels: Any, wrong: bool) -> Any:
    count = len(x) if wrong else int((labels != IGNORED).sum())
    return cross_entropy_gradient(g, x, labels, count, every=False), None


def huber(x: Array, t: Array) -> Array:
    """Return ½ d² where |d| ≤ 1, else |d| − ½; d is the difference."""
    d = np.abs(x - t)
    return np.where(d <= 1, 0.5 * d * d, d - 0.5)


def draw_pair(rng: np.random.Generator) -> list[Any]:
    """Answers and targets, some far apart in both directions."""
    return [2 * rng.standard_normal((6, 5)), rng.standard_normal((6, 5))]


@exhibit(
    "Huber loss: the gradient of the result ignored",
    "chainer/chainer/issues/1175",
    huber,
    draw_pair,
    "linearity",
    "ratios",
    "earlier call",
)
def _(g: Any, x: Any, t: Any, wrong: bool) -> Any:
    slope = np.clip(x - t, -1, 1) * (1 if wrong else g)
    return slope, -slope


@exhibit(
    "Huber loss: the threshold on the signed difference",
    "BobMcDear/attorch/issues/13",
    huber,
    draw_pair,
    "slope",
    "mask missing",
    "wrong mask",
)
def _(g: Any, x: Any, t: Any, wrong: bool) -> Any:
    d = x - t
    slope = g * (np.where(d <= 1, d, 1.0) if wrong else np.clip(d, -1, 1))
    return slope, -slope


def log_density(x: Array, cov: Array) -> Any:
    """Return the sum of the log densities of rows under a normal distribution of mean 0."""
    cov = (cov + cov.T) / 2
    forms = np.einsum("ni,ij,nj->n", x, np.linalg.inv(cov), x)
    return -0.5 * (forms.sum() + len(x) * np.linalg.slogdet(cov)[1])


def draw_density(rng: np.random.Generator) -> list[Any]:
    """Rows and a covariance."""
    a = rng.standard_normal((4, 4))
    return [rng.standard_normal((5, 4)), a @ a.T + 2 * np.eye(4)]


@exhibit(
    "normal density: the covariance's sign",
    "HIPS/autograd/pull/412",
    log_density,
    draw_density,
    "sign",
)
def _(g: Any, x: Any, cov: Any, wrong: bool) -> Any:
    inverse = np.linalg.inv((cov + cov.T) / 2)
    y = x @ inverse
    slope = 0.5 * (y.T @ y - len(x) * inverse)
    return -g * y, -g * slope if wrong else g * slope
