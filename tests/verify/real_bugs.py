"""Mistakes in gradients as public projects had them, each written afresh as a NumPy pair.

A rule takes ``wrong`` as a keyword: False gives the right gradients. Every other mistake of the
list (`HELD_BACK`) was not looked at while the hints were written.
"""

# A rule takes every input, whether it reads it or not.
# ruff: noqa: ARG001

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Draw = Callable[..., list[Any]]


@dataclass(frozen=True)
class Bug:
    """A forward pass, a rule that can be wrong, inputs, and the hints that would be true of it."""

    name: str
    forward: Callable[..., Any]
    rule: Callable[..., tuple[Any, ...]]
    draw: Draw
    true: frozenset[str]


BUGS: list[Bug] = []


def bug(name: str, forward: Any, draw: Draw, *true: str) -> Callable[[Any], Any]:
    def add(rule: Any) -> Any:
        BUGS.append(Bug(name, forward, rule, draw, frozenset(true)))
        return rule

    return add


def draws(*shapes: tuple[int, ...]) -> Draw:
    """Arrays of these shapes; ``images(shape)`` draws the first."""
    return lambda rng, images: [
        images(rng, s) if i == 0 else rng.standard_normal(s) for i, s in enumerate(shapes)
    ]


# ------------------------------------------------------------------------------- convolution


def views(x: Array, K: int, s: int = 1) -> Array:
    """x (N, C, H, W) as windows (N, C, OH, OW, K, K)."""
    return np.lib.stride_tricks.sliding_window_view(x, (K, K), (2, 3))[:, :, ::s, ::s]


def conv(x: Array, w: Array, b: Array) -> Array:
    return np.einsum("ncijab,fcab->nfij", views(x, w.shape[2]), w) + b[:, None, None]


def conv_input(g: Array, x: Array, w: Array, assign: bool = False) -> Array:
    gx, K = np.zeros_like(x), w.shape[2]
    for i in range(g.shape[2]):
        for j in range(g.shape[3]):
            part = np.einsum("nf,fcab->ncab", g[:, :, i, j], w)
            gx[:, :, i : i + K, j : j + K] = part + (
                0 if assign else gx[:, :, i : i + K, j : j + K]
            )
    return gx


def conv_weight(g: Array, x: Array, w: Array) -> Array:
    return np.einsum("ncijab,nfij->fcab", views(x, w.shape[2]), g)


CONV = draws((2, 2, 6, 6), (3, 2, 3, 3), (3,))


@bug("weight gradient reversed", conv, CONV, "flipped")
def _(g: Any, x: Any, w: Any, b: Any, wrong: bool) -> Any:
    gw = conv_weight(g, x, w)
    return conv_input(g, x, w), gw[:, :, ::-1, ::-1] if wrong else gw, g.sum((0, 2, 3))


@bug("filter not rotated in the input gradient", conv, CONV, "operand")
def _(g: Any, x: Any, w: Any, b: Any, wrong: bool) -> Any:
    turned = w[:, :, ::-1, ::-1] if wrong else w
    return conv_input(g, x, turned), conv_weight(g, x, w), g.sum((0, 2, 3))


@bug("overlapping windows assigned", conv, CONV, "overlap", "last window")
def _(g: Any, x: Any, w: Any, b: Any, wrong: bool) -> Any:
    return conv_input(g, x, w, assign=wrong), conv_weight(g, x, w), g.sum((0, 2, 3))


@bug(
    "filters written to the wrong channel",
    conv,
    draws((2, 3, 5, 5), (3, 3, 3, 3), (3,)),
    "overlap",
    "last window",
    "transposed",
    "operand",
    "wrong axis",
)
def _(g: Any, x: Any, w: Any, b: Any, wrong: bool) -> Any:
    other = np.swapaxes(w, 0, 1) if wrong else w
    return conv_input(g, x, other), conv_weight(g, x, w), g.sum((0, 2, 3))


@bug("bias gradient averaged", conv, CONV, "times 1/N")
def _(g: Any, x: Any, w: Any, b: Any, wrong: bool) -> Any:
    gb = g.mean((0, 2, 3)) if wrong else g.sum((0, 2, 3))
    return conv_input(g, x, w), conv_weight(g, x, w), gb


@bug("only the last image's weight gradient", conv, CONV, "last image", "last window")
def _(g: Any, x: Any, w: Any, b: Any, wrong: bool) -> Any:
    gw = conv_weight(g[-1:], x[-1:], w) if wrong else conv_weight(g, x, w)
    return conv_input(g, x, w), gw, g.sum((0, 2, 3))


# ------------------------------------------------------------------------------- pooling


def overlapping_max(x: Array) -> Array:
    return views(x, 3, 2).max((4, 5))


POOL = draws((2, 2, 7, 7))


@bug("overlapping maxima assigned", overlapping_max, POOL, "overlap", "last window")
def _(g: Any, x: Any, wrong: bool) -> Any:
    gx, W = np.zeros_like(x), views(x, 3, 2)
    for n, c, i, j in np.ndindex(g.shape):
        a, b = np.unravel_index(np.argmax(W[n, c, i, j]), (3, 3))
        at = n, c, 2 * i + a, 2 * j + b
        gx[at] = g[n, c, i, j] + (0 if wrong else gx[at])
    return (gx,)


def max2(x: Array) -> Array:
    N, C, H, W = x.shape
    return x.reshape(N, C, H // 2, 2, W // 2, 2).max((3, 5))


def spread2(g: Array) -> Array:
    return g.repeat(2, 2).repeat(2, 3)


@bug("every maximum of a tie", max2, draws((2, 2, 6, 6)), "ties")
def _(g: Any, x: Any, wrong: bool) -> Any:
    hit = (x == spread2(max2(x))).astype(float)
    share = 1.0 if wrong else spread2(hit.reshape(2, 2, 3, 2, 3, 2).sum((3, 5)))
    return (spread2(g) * hit / share,)


@bug("average not divided", lambda x: views(x, 2, 2).mean((4, 5)), draws((2, 2, 6, 6)), "times N")
def _(g: Any, x: Any, wrong: bool) -> Any:
    return (spread2(g) / (1 if wrong else 4),)


def padded_average(x: Array) -> Array:
    ones = views(np.pad(np.ones_like(x), ((0, 0), (0, 0), (1, 1), (1, 1))), 3, 1).sum((4, 5))
    return views(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), 3, 1).sum((4, 5)) / ones


@bug("average that counts the padding", padded_average, draws((1, 2, 5, 5)), "ratios", "operand")
def _(g: Any, x: Any, wrong: bool) -> Any:
    ones = views(np.pad(np.ones_like(x), ((0, 0), (0, 0), (1, 1), (1, 1))), 3, 1).sum((4, 5))
    h = g / (9 if wrong else ones)
    gx = np.zeros((1, 2, 7, 7))
    for i in range(5):
        for j in range(5):
            gx[:, :, i : i + 3, j : j + 3] += h[:, :, i : i + 1, j : j + 1]
    return (gx[:, :, 1:-1, 1:-1],)


# ------------------------------------------------------------------------------- normalisation


def norm_parts(x: Array, axes: Any) -> tuple[Array, Array]:
    c = x - x.mean(axes, keepdims=True)
    s = np.sqrt((c**2).mean(axes, keepdims=True) + 1e-5)
    return c / s, s


def batch_norm(x: Array, w: Array, b: Array) -> Array:
    return norm_parts(x, (0,))[0] * w + b


BN = draws((8, 4), (4,), (4,))


def bn_rule(g: Any, x: Any, w: Any, mean: float = 1.0, var: float = 1.0, gamma: bool = True) -> Any:
    n, s = norm_parts(x, (0,))
    h = g * w if gamma else g
    gx = (h - mean * h.mean(0) - var * n * (h * n).mean(0)) / s
    return gx, (g * n).sum(0), g.sum(0)


@bug("batch norm without the mean's term", batch_norm, BN, "mean term")
def _(g: Any, x: Any, w: Any, b: Any, wrong: bool) -> Any:
    return bn_rule(g, x, w, mean=0.0 if wrong else 1.0)


@bug("batch norm without the variance's term", batch_norm, BN, "variance term")
def _(g: Any, x: Any, w: Any, b: Any, wrong: bool) -> Any:
    return bn_rule(g, x, w, var=0.0 if wrong else 1.0)


@bug("batch norm with the unbiased variance", batch_norm, BN, "variance term")
def _(g: Any, x: Any, w: Any, b: Any, wrong: bool) -> Any:
    return bn_rule(g, x, w, var=8 / 7 if wrong else 1.0)


@bug("batch norm without gamma", batch_norm, BN, "operand")
def _(g: Any, x: Any, w: Any, b: Any, wrong: bool) -> Any:
    return bn_rule(g, x, w, gamma=not wrong)


@bug("batch norm with the mean's term N times", batch_norm, BN, "mean term")
def _(g: Any, x: Any, w: Any, b: Any, wrong: bool) -> Any:
    return bn_rule(g, x, w, mean=8.0 if wrong else 1.0)


@bug(
    "layer norm's weight summed over features",
    lambda x, w: norm_parts(x, (1,))[0] * w,
    draws((5, 5), (5,)),
    "wrong axis",
    "transposed",
)
def _(g: Any, x: Any, w: Any, wrong: bool) -> Any:
    n, s = norm_parts(x, (1,))
    h = g * w
    gx = (h - h.mean(1, keepdims=True) - n * (h * n).mean(1, keepdims=True)) / s
    return gx, (g * n).sum(1 if wrong else 0)


# ------------------------------------------------------------------------------- softmax, losses


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(1, keepdims=True))
    return np.asarray(e / e.sum(1, keepdims=True))


@bug("softmax by its diagonal", softmax, draws((4, 5)), "diagonal")
def _(g: Any, z: Any, wrong: bool) -> Any:
    p = softmax(z)
    return (g * p * (1 - p) if wrong else p * (g - (g * p).sum(1, keepdims=True)),)


def cross_entropy(z: Array, t: Array) -> Any:
    return -(np.log(softmax(z)) * t).sum(1).mean()


def labelled(rng: Any, images: Any) -> list[Any]:
    return [images(rng, (6, 4)) * 2, np.eye(4)[rng.integers(0, 4, 6)].astype(int)]


@bug("cross-entropy without the target", cross_entropy, labelled, "term missing")
def _(g: Any, z: Any, t: Any, wrong: bool) -> Any:
    return g * (softmax(z) - (0 if wrong else t)) / len(z), None


@bug("cross-entropy not divided by the batch", cross_entropy, labelled, "times N")
def _(g: Any, z: Any, t: Any, wrong: bool) -> Any:
    return g * (softmax(z) - t) / (1 if wrong else len(z)), None


def with_ignored(rng: Any, images: Any) -> list[Any]:
    t = np.eye(4)[rng.integers(0, 4, 6)].astype(int)
    t[1::3] = 0
    return [images(rng, (6, 4)) * 2, t]


def ignoring(z: Array, t: Array) -> Any:
    return -(np.log(softmax(z)) * t).sum() / t.sum()


@bug("ignored targets counted in the mean", ignoring, with_ignored, "factor")
def _(g: Any, z: Any, t: Any, wrong: bool) -> Any:
    there = t.sum(1, keepdims=True)
    return g * (softmax(z) - t) * there / (len(z) if wrong else t.sum()), None


@bug(
    "squared error without the 2",
    lambda x, t: ((x - t) ** 2).mean(),
    draws((7,), (7,)),
    "times 1/2",
)
def _(g: Any, x: Any, t: Any, wrong: bool) -> Any:
    r = (1 if wrong else 2) * g * (x - t) / 7
    return r, -r


@bug(
    "squared error towards 0",
    lambda x, t: ((x - t) ** 2).mean(),
    draws((7,), (7,)),
    "term missing",
    "operand",
)
def _(g: Any, x: Any, t: Any, wrong: bool) -> Any:
    return 2 * g * (x - (0 if wrong else t)) / 7, -2 * g * (x - t) / 7


def log_softmax(z: Array) -> Array:
    return z - np.log(np.exp(z).sum(1, keepdims=True))


@bug("log-softmax summed over the batch", log_softmax, draws((4, 4)), "wrong axis")
def _(g: Any, z: Any, wrong: bool) -> Any:
    return (g - softmax(z) * g.sum(0 if wrong else 1, keepdims=True),)


def hinge(z: Array, t: Array) -> Any:
    margins = np.maximum(z - (z * t).sum(1, keepdims=True) + 1, 0) * (1 - t)
    return margins.sum() / len(z)


@bug("hinge without the right class's term", hinge, labelled, "term missing", "ratios")
def _(g: Any, z: Any, t: Any, wrong: bool) -> Any:
    m = (z - (z * t).sum(1, keepdims=True) + 1 > 0) * (1 - t)
    return g * (m - (0 if wrong else t * m.sum(1, keepdims=True))) / len(z), None


# ------------------------------------------------------------------------------- elementwise


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


@bug("sigmoid's slope at its result", sigmoid, draws((4, 5)), "operand")
def _(g: Any, x: Any, wrong: bool) -> Any:
    y = sigmoid(sigmoid(x)) if wrong else sigmoid(x)
    return (g * y * (1 - y),)


@bug("tanh's slope from its input", np.tanh, draws((4, 5)), "operand", "slope")
def _(g: Any, x: Any, wrong: bool) -> Any:
    return (g * (1 - (x if wrong else np.tanh(x)) ** 2),)


@bug("relu masked by the gradient", lambda x: np.maximum(x, 0), draws((4, 5)), "wrong mask")
def _(g: Any, x: Any, wrong: bool) -> Any:
    return (g * ((g if wrong else x) > 0),)


@bug(
    "leaky relu without its slope",
    lambda x: np.where(x > 0, x, 0.1 * x),
    draws((4, 5)),
    "ratios",
    "mask missing",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    return (np.where(x > 0, g, 0 if wrong else 0.1 * g),)


def dropout(x: Array, m: Array) -> Array:
    return x * m / 0.7


def dropped(rng: Any, images: Any) -> list[Any]:
    return [images(rng, (5, 6)), (rng.random((5, 6)) < 0.7).astype(int)]


@bug("dropout not scaled back", dropout, dropped, "factor")
def _(g: Any, x: Any, m: Any, wrong: bool) -> Any:
    return g * m / (1 if wrong else 0.7), None


@bug("dropout without its mask", dropout, dropped, "mask missing", "ratios")
def _(g: Any, x: Any, m: Any, wrong: bool) -> Any:
    return g * (1 if wrong else m) / 0.7, None


@bug("power not lowered", lambda x: x**3, draws((4, 5)), "slope", "operand")
def _(g: Any, x: Any, wrong: bool) -> Any:
    return (3 * g * x ** (3 if wrong else 2),)


@bug(
    "quotient's denominator not squared",
    lambda a, b: a / b,
    lambda rng, images: [images(rng, (4, 5)), rng.uniform(1, 2, (4, 5))],
    "slope",
    "operand",
)
def _(g: Any, a: Any, b: Any, wrong: bool) -> Any:
    return g / b, -g * a / (b if wrong else b**2)


@bug("product with its own factor", lambda a, b: a * b, draws((4, 5), (4, 5)), "operand", "slope")
def _(g: Any, a: Any, b: Any, wrong: bool) -> Any:
    return g * (a if wrong else b), g * a


@bug("product over by division", lambda x: x.prod(1), draws((4, 3)), "finite")
def _(g: Any, x: Any, wrong: bool) -> Any:
    with np.errstate(all="ignore"):
        if wrong:
            return ((g * x.prod(1))[:, None] / x,)
    rest = np.stack([np.delete(x, k, 1).prod(1) for k in range(3)], 1)
    return (g[:, None] * rest,)


@bug(
    "where with the mask of the other",
    lambda a, b, m: np.where(m, a, b),
    lambda rng, images: [
        images(rng, (4, 5)),
        rng.standard_normal((4, 5)),
        rng.integers(0, 2, (4, 5)),
    ],
    "wrong mask",
    "operand",
)
def _(g: Any, a: Any, b: Any, m: Any, wrong: bool) -> Any:
    return g * m, g * (m if wrong else 1 - m), None


# ------------------------------------------------------------------------------- shapes, sums


@bug(
    "transpose by the same permutation",
    lambda x: x.transpose(1, 2, 0),
    draws((3, 3, 3)),
    "permuted",
    "transposed",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    return (g.transpose((1, 2, 0) if wrong else (2, 0, 1)),)


@bug("reshape for a transpose", lambda x: x.T, draws((3, 4)), "permuted")
def _(g: Any, x: Any, wrong: bool) -> Any:
    return (g.reshape(3, 4) if wrong else g.T,)


@bug("running sum not turned round", lambda x: x.cumsum(1), draws((3, 5)), "flipped", "reversed")
def _(g: Any, x: Any, wrong: bool) -> Any:
    return (g.cumsum(1) if wrong else g[:, ::-1].cumsum(1)[:, ::-1],)


@bug(
    "concatenation of the first alone",
    lambda a, b: np.concatenate([a, b], 1),
    draws((3, 2), (3, 4)),
    "zero",
)
def _(g: Any, a: Any, b: Any, wrong: bool) -> Any:
    return g[:, :2], 0 * b if wrong else g[:, 2:]


@bug(
    "stack with the parts exchanged",
    lambda a, b: np.stack([a, b], 1),
    draws((3, 4), (3, 4)),
    "operand",
    "flipped",
    "other input",
)
def _(g: Any, a: Any, b: Any, wrong: bool) -> Any:
    return (g[:, 1], g[:, 0]) if wrong else (g[:, 0], g[:, 1])


def embedded(rng: Any, images: Any) -> list[Any]:
    return [images(rng, (6, 3)), np.array([4, 1, 1, 0, 4, 1])]


@bug("repeated indices assigned", lambda e, i: e[i], embedded, "overlap", "last window")
def _(g: Any, e: Any, i: Any, wrong: bool) -> Any:
    ge = np.zeros_like(e)
    if wrong:
        ge[i] = g
    else:
        np.add.at(ge, i, g)
    return ge, None


@bug(
    "a skip connection's gradient lost",
    lambda x, w: x + np.tanh(x @ w),
    draws((4, 5), (5, 5)),
    "term missing",
)
def _(g: Any, x: Any, w: Any, wrong: bool) -> Any:
    h = g * (1 - np.tanh(x @ w) ** 2)
    return h @ w.T + (0 if wrong else g), x.T @ h


@bug(
    "matmul without the transpose",
    lambda x, w: x @ w,
    draws((4, 5), (5, 5)),
    "operand",
    "transposed",
)
def _(g: Any, x: Any, w: Any, wrong: bool) -> Any:
    return g @ (w if wrong else w.T), x.T @ g


@bug("weight gradient transposed", lambda x, w: x @ w, draws((4, 5), (5, 5)), "transposed")
def _(g: Any, x: Any, w: Any, wrong: bool) -> Any:
    gw = x.T @ g
    return g @ w.T, gw.T if wrong else gw


def attention(q: Array, k: Array) -> Array:
    return softmax(q @ k.T / np.sqrt(q.shape[1]))


@bug("attention not scaled in its gradient", attention, draws((4, 3), (5, 3)), "factor")
def _(g: Any, q: Any, k: Any, wrong: bool) -> Any:
    p = attention(q, k)
    h = p * (g - (g * p).sum(1, keepdims=True)) / (1 if wrong else np.sqrt(3))
    return h @ k, h.T @ q


@bug("mean without its count", lambda x: x.mean(1), draws((4, 6)), "times N")
def _(g: Any, x: Any, wrong: bool) -> Any:
    return (np.repeat(g[:, None], 6, 1) / (1 if wrong else 6),)


@bug(
    "the norm's gradient not divided by it",
    lambda x: np.sqrt((x**2).sum(1)),
    draws((4, 6)),
    "slope",
    "ratios",
    "factor by row",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    return (g[:, None] * x / (1 if wrong else np.sqrt((x**2).sum(1))[:, None]),)


@bug(
    "only the last row and column",
    lambda x, w: x * w,
    draws((5, 5), (5, 5)),
    "last window",
    "ratios",
    "border",
)
def _(g: Any, x: Any, w: Any, wrong: bool) -> Any:
    gx = g * w
    if wrong:
        gx[:-1, :-1] = 0
    return gx, g * x


@bug("upsampling averaged back", spread2, draws((2, 2, 3, 3)), "times 1/N")
def _(g: Any, x: Any, wrong: bool) -> Any:
    parts = g.reshape(2, 2, 3, 2, 3, 2)
    return (parts.mean((3, 5)) if wrong else parts.sum((3, 5)),)


@bug("a roll that goes on", lambda x: np.roll(x, 1, 1), draws((3, 6)), "shifted", "permuted")
def _(g: Any, x: Any, wrong: bool) -> Any:
    return (np.roll(g, 1 if wrong else -1, 1),)


@bug("rounding passed straight through", np.round, draws((4, 5)), "straight through")
def _(g: Any, x: Any, wrong: bool) -> Any:
    return (g if wrong else 0 * g,)


@bug(
    "the running product's own",
    lambda x: x.cumprod(1),
    lambda rng, images: [rng.uniform(0.5, 2, (3, 4))],
    "slope",
    "ratios",
    "diagonal",
)
def _(g: Any, x: Any, wrong: bool) -> Any:
    y = x.cumprod(1)
    if wrong:
        return (g * y / x,)
    gx = np.zeros_like(x)
    for i in range(x.shape[1]):
        others = np.delete(x, i, 1)
        for k in range(i, x.shape[1]):
            gx[:, i] += g[:, k] * others[:, :k].prod(1)
    return (gx,)


def gru(h: Array, z: Array, c: Array) -> Array:
    s = sigmoid(z)
    return s * h + (1 - s) * np.tanh(c)


@bug(
    "a gate that forgets the old state",
    gru,
    draws((3, 4), (3, 4), (3, 4)),
    "term missing",
    "operand",
)
def _(g: Any, h: Any, z: Any, c: Any, wrong: bool) -> Any:
    s, t = sigmoid(z), np.tanh(c)
    slope = (h if not wrong else 0) - t
    return g * s, g * slope * s * (1 - s), g * (1 - s) * (1 - t**2)


TUNED, HELD_BACK = BUGS[::2], BUGS[1::2]
