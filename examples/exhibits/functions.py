"""Activations, products, indexing, and what an engine does with gradients."""

# A rule takes every input, whether it reads it or not.
# ruff: noqa: ARG001

from __future__ import annotations

from typing import Any

import numpy as np

from exhibits import Array, digits, exhibit, features

# ------------------------------------------------------------------------------- activations


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(−x))."""
    return 1 / (1 + np.exp(-x))


def centred(rng: np.random.Generator) -> list[Any]:
    """Scores of digits, a few of them exactly 0, as padded and masked ones are."""
    x = features(rng, 6, 12) - 0.3
    x[::2, ::3] = 0.0
    return [x]


def signed(rng: np.random.Generator) -> list[Any]:
    """Scores of both signs."""
    return [3 * rng.standard_normal((6, 12))]


@exhibit(
    "log-sigmoid: 0 at 0, by the derivative of abs(x)",
    "jax-ml/jax/issues/2140",
    lambda x: -np.logaddexp(0, -x),
    centred,
    "only where the input is 0",
    "term missing",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    return (g * (np.where(x == 0, 0.0, sigmoid(-x)) if wrong else sigmoid(-x)),)


@exhibit(
    "asinh: 0 at 0, by sign(x) · f(abs(x))",
    "tinygrad/tinygrad/pull/17758",
    np.arcsinh,
    centred,
    "only where the input is 0",
    "term missing",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    slope = 1 / np.sqrt(x * x + 1)
    return (g * (np.sign(x) ** 2 * slope if wrong else slope),)


@exhibit(
    "log-sigmoid: the rule takes the input for the result",
    "apache/mxnet/pull/20372",
    lambda x: -np.logaddexp(0, -x),
    signed,
    "operand",
    "slope",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    y = x if wrong else -np.logaddexp(0, -x)
    return (g * (1 - np.exp(y)),)


@exhibit(
    "GELU: one approximation forward, the other backward",
    "harvard-edge/cs249r_book/pull/1399",
    lambda x: x * sigmoid(1.702 * x),
    signed,
    "slope",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    if not wrong:
        s = sigmoid(1.702 * x)
        return (g * (s + 1.702 * x * s * (1 - s)),)
    c = np.sqrt(2 / np.pi)
    t = np.tanh(c * (x + 0.044715 * x**3))
    return (g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x)),)


@exhibit(
    "leaky ReLU: the derivative of ReLU",
    "scientific-computing/FKB/issues/15",
    lambda x: np.where(x > 0, x, 0.3 * x),
    signed,
    "only where the input is negative",
    "slope",
    "term missing",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    return (g * np.where(x > 0, 1.0, 0.0 if wrong else 0.3),)


@exhibit(
    "leaky ReLU: everything passes at slope 0",
    "chainer/chainer/pull/5898",
    lambda x: np.where(x > 0, x, 0.0 * x),
    signed,
    "mask missing",
    "slope",
    "straight through",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    y = np.where(x > 0, x, 0.0 * x)
    return (g if wrong else g * (y > 0),)  # y >= 0 was meant to be x >= 0


@exhibit(
    "output layer: the sigmoid's derivative left out",
    "Bot-Academy/NeuralNetworkFromScratch/pull/3",
    lambda x, w: sigmoid(x @ w),
    lambda rng: [features(rng, 6, 8), rng.standard_normal((8, 4))],
    "slope",
    "operand",
    "straight through",
)
def _(g: Any, x: Any, w: Any, wrong: bool) -> Any:
    s = sigmoid(x @ w)
    d = g if wrong else g * s * (1 - s)
    return d @ w.T, x.T @ d


# ------------------------------------------------------------------------------- products


def with_a_zero(rng: np.random.Generator) -> list[Any]:
    """Rows of factors, one of them 0 in every other row."""
    x = rng.uniform(0.5, 2, (4, 5))
    x[::2, 2] = 0.0
    return [x]


def others(x: Array) -> Array:
    """Return for each factor the product of the others in its row."""
    return np.stack([np.delete(x, i, 1).prod(1) for i in range(x.shape[1])], 1)


@exhibit(
    "product: divided by a factor that is 0",
    "pytorch/pytorch/issues/773",
    lambda x: x.prod(1),
    with_a_zero,
    "finite",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    with np.errstate(all="ignore"):
        return (g[:, None] * (x.prod(1)[:, None] / x if wrong else others(x)),)


def running_gradient(g: Array, x: Array) -> Array:
    """Return the gradient of the running products of rows, without a division."""
    gx = np.zeros_like(x)
    for i in range(x.shape[1]):
        for k in range(i, x.shape[1]):
            gx[:, i] += g[:, k] * np.delete(x, i, 1)[:, :k].prod(1)
    return gx


@exhibit(
    "running product: 0 where a factor is 0",
    "tensorflow/tensorflow/issues/119430",
    lambda x: x.cumprod(1),
    with_a_zero,
    "wrong mask",
    "term missing",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    gx = running_gradient(g, x)
    return (np.where(x == 0, 0.0, gx) if wrong else gx,)


# ------------------------------------------------------------------------------- indexing


INDEX = np.array([0, 2, 2, 1, 2])


@exhibit(
    "indexing: of repeated indices only the last counts",
    "HIPS/autograd/issues/39",
    lambda table: table[INDEX],
    lambda rng: [rng.standard_normal((4, 5))],
    "overlap",
    "last window",
    "ratios",
)
def _(g: Any, table: Any, wrong: bool) -> Any:
    gt = np.zeros_like(table)
    if wrong:
        gt[INDEX] += g
    else:
        np.add.at(gt, INDEX, g)
    return (gt,)


@exhibit(
    "concatenation: the graph breaks there",
    "dmlc/minpy/issues/154",
    lambda a, b: np.concatenate([a, b], 1),
    lambda rng: [features(rng, 4, 3), features(rng, 4, 5)],
    "zero",
)
def _(g: Any, a: Any, b: Any, wrong: bool) -> Any:
    if wrong:
        return np.zeros_like(a), np.zeros_like(b)
    return g[:, :3], g[:, 3:]


@exhibit(
    "maximum over rows: each of several gets it all",
    "apache/mxnet/issues/18563",
    lambda x: x.max(1),
    lambda rng: [digits(rng, 5, 1, 6)[:, 0].reshape(5, -1).round(1)],
    "ties",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    top = x == x.max(1, keepdims=True)
    first = np.arange(x.shape[1]) == x.argmax(1)[:, None]
    return (g[:, None] * (top if wrong else first),)


# ------------------------------------------------------------------------------- arithmetic


@exhibit(
    "engine: a value used twice keeps one gradient (= for +=)",
    "karpathy/nn-zero-to-hero/issues/52",
    lambda x: x * np.exp(x),
    signed,
    "term missing",
    "slope",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    e = np.exp(x)
    return (g * x * e if wrong else g * (e + x * e),)


@exhibit(
    "subtraction: the second sign",
    "KhawajaAbaid/micrograd_c/issues/1",
    lambda a, b: a - b,
    lambda rng: [features(rng, 4, 6), features(rng, 4, 6)],
    "sign",
)
def _(g: Any, a: Any, b: Any, wrong: bool) -> Any:
    return g, g if wrong else -g


@exhibit(
    "bias: the mean over the batch for the sum",
    "jimfleming/differentiation/issues/1",
    lambda x, b: x + b,
    lambda rng: [features(rng, 8, 6), rng.standard_normal(6)],
    "times 1/N",
)
def _(g: Any, x: Any, b: Any, wrong: bool) -> Any:
    return g, g.mean(0) if wrong else g.sum(0)


@exhibit(
    "broadcast: the gradient keeps the result's shape",
    "deeplearning4j/nd4j/issues/2424",
    lambda x, row: x + row,
    lambda rng: [features(rng, 3, 4), rng.standard_normal((1, 4))],
    "shape",
)
def _(g: Any, x: Any, row: Any, wrong: bool) -> Any:
    return g, g if wrong else g.sum(0, keepdims=True)


@exhibit(
    "standard deviation of equal pixels: 0 / 0",
    "pytorch/pytorch/pull/9238",
    lambda x: np.sqrt(x.var(1) + 1e-5),
    lambda rng: [np.vstack([digits(rng, 3, 1, 4).reshape(3, -1), np.zeros((1, 16))])],
    "finite",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    with np.errstate(all="ignore"):
        std = np.sqrt(x.var(1) + 1e-5)
        if wrong:
            std[x.std(1) == 0] = 0.0
        return (g[:, None] * (x - x.mean(1, keepdims=True)) / x.shape[1] / std[:, None],)
