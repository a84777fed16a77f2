"""Mistakes of layers and losses written by hand: each explained, none by what is not so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn.verify import Report, check_backward, check_layer

Rule = Callable[..., tuple[Any, ...]]


def normal(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


LABELS = np.eye(3)[[1, 0, 2, 1]]
SMOOTH = 0.9 * LABELS + 0.1 / 3


def smoothed(x: Any) -> Any:
    return -(SMOOTH * np.log(softmax(x))).sum() / 4


def length(x: Any) -> Any:
    return np.sqrt(np.square(x).sum(-1, keepdims=True))


def upsample(x: Any) -> Any:
    return x.repeat(2, 1).repeat(2, 2)


def logistic(x: Any) -> Any:
    return np.logaddexp(0, x).mean()


def prelu(x: Any, a: Any) -> Any:
    return np.where(x > 0, x, a[:, None] * x)


def groups(x: Any, w: Any) -> Any:
    return np.einsum("ngi,gio->ngo", x, w)


def two_layers(x: Any, w: Any, v: Any) -> Any:
    return np.tanh(x @ w) @ v


def two_layers_with_relu(x: Any, w: Any, v: Any) -> Any:
    return np.maximum(x @ w, 0) @ v


def group_norm(x: Any) -> Any:
    groups = x.reshape(len(x), 2, -1)
    centred = groups - groups.mean(2, keepdims=True)
    return (centred / np.sqrt(groups.var(2, keepdims=True) + 1e-5)).reshape(x.shape)


def group_norm_rule(g: Any, x: Any) -> Any:
    """The sums are divided by the pixels, where it is by the pixels of all channels of a group."""
    groups, hat = (a.reshape(len(x), 2, -1) for a in (x, group_norm(x)))
    d, pixels = g.reshape(groups.shape), x.shape[2]
    mean, share = d.sum(2, keepdims=True) / pixels, (d * hat).sum(2, keepdims=True) / pixels
    std = np.sqrt(groups.var(2, keepdims=True) + 1e-5)
    return (((d - mean - hat * share) / std).reshape(x.shape),)


MISTAKES: dict[str, tuple[Callable[..., Any], Rule, list[Any], dict[str, str]]] = {
    "gradients in the wrong order": (
        lambda a, b: np.concatenate([a, b], 1),
        lambda g, a, b: (g[:, 3:], g[:, :3]),
        [normal(4, 3), normal(4, 3)],
        {"a": "gradient of b: are two gradients exchanged?", "b": "gradient of a"},
    ),
    "the first group's weight for all": (
        groups,
        lambda g, x, w: (np.einsum("ngo,io->ngi", g, w[0]), np.einsum("ngi,ngo->gio", x, g)),
        [normal(5, 2, 3), normal(2, 3, 4)],
        {"x": "index 0 of axis 0 of w in place of each"},
    ),
    "a slope for each channel summed over all channels": (
        prelu,
        lambda g, x, a: (
            g * np.where(x > 0, 1, a[:, None]),
            np.full(a.shape, (g * x * (x <= 0)).sum()),
        ),
        [normal(4, 3, 5), normal(3)],
        {"a": "summed over axes [0] of the input too"},
    ),
    "no projection in x / |x|": (
        lambda x: x / length(x),
        lambda g, x: (g / length(x),),
        [normal(4, 5)],
        {"x": "the term x·Σ(…) over axes [1]"},
    ),
    "label smoothing forgotten in the rule": (
        smoothed,
        lambda g, x: (g * (softmax(x) - LABELS) / 4,),
        [normal(4, 3)],
        {"x": "does not depend on this input (-0.008333 at 8, 0.01667 at 4 of 12"},
    ),
    "x in place of its sigmoid": (
        logistic,
        lambda g, x: (g * x / x.size,),
        [normal(4, 5)],
        {"x": "the slope is wrong"},
    ),
    "reshaped in another order than spread": (
        upsample,
        lambda g, x: (g.reshape(2, 3, 3, 2, 2).sum((3, 4)),),
        [normal(2, 3, 3)],
        {"x": "the incoming gradient is read in another order"},
    ),
    "the hidden layer's derivative left out": (
        two_layers,
        lambda g, x, w, v: (
            g @ v.T @ w.T,
            x.T @ (g @ v.T * (1 - np.tanh(x @ w) ** 2)),
            np.tanh(x @ w).T @ g,
        ),
        [normal(5, 4), normal(4, 3), normal(3, 2)],
        {"x": "behind the product with w each element is off by a factor of its own"},
    ),
    "the hidden layer's mask left out": (
        two_layers_with_relu,
        lambda g, x, w, v: (
            g @ v.T @ w.T,
            x.T @ (g @ v.T * (x @ w > 0)),
            np.maximum(x @ w, 0).T @ g,
        ),
        [normal(5, 4), normal(4, 3), normal(3, 2)],
        {"x": "behind the product with w the gradient passes where it must not"},
    ),
    "a group norm divided by the pixels": (
        group_norm,
        group_norm_rule,
        [normal(2, 4, 9)],
        {"x": "the mean term of a normalisation over 2 groups of channels"},
    ),
    "one gate's block of a product": (
        lambda x, w: np.tanh(x @ w),
        lambda g, x, w: (
            g * (1 - np.tanh(x @ w) ** 2) @ w.T,
            x.T @ (g * np.where(np.arange(9) < 3, 1, 1 - np.tanh(x @ w) ** 2)),
        ),
        [normal(4, 5), normal(5, 9)],
        {"w": "only column 0 to 2"},
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_it_is_explained(name: str) -> None:
    forward, rule, arrays, said = MISTAKES[name]
    report = check_backward(forward, rule, arrays, raise_exception=False)
    wrong = {r.input: r.text() for r in report.failures}
    assert len(wrong) == len(said), report.text()
    for text, expected in zip(wrong.values(), said.values(), strict=True):
        assert expected in text


class Convolution:
    """A convolution in loops, right unless something is said to be wrong."""

    def __init__(self, stride: int, padding: int, wrong: str) -> None:
        self.W = 0.3 * normal(2, 1, 3, 3)
        self.b = np.zeros(2)
        self.stride, self.padding, self.wrong = stride, padding, wrong

    def windows(self) -> Any:
        s = self.stride
        count = (self.x.shape[2] - 3) // s + 1
        for i in range(count):
            for j in range(count):
                yield i, j, np.s_[:, :, i * s : i * s + 3, j * s : j * s + 3]

    def forward(self, x: Any) -> Any:
        p = self.padding
        self.x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        size = (self.x.shape[2] - 3) // self.stride + 1
        out = np.zeros((len(x), 2, size, size))
        for i, j, window in self.windows():
            out[:, :, i, j] = np.tensordot(self.x[window], self.W, ((1, 2, 3), (1, 2, 3))) + self.b
        return out

    def backward(self, dout: Any) -> Any:
        self.db, self.dW = dout.sum((0, 2, 3)), np.zeros_like(self.W)
        dx, p = np.zeros_like(self.x), self.padding
        for i, j, window in self.windows():
            self.dW += np.tensordot(dout[:, :, i, j], self.x[window], ((0,), (0,)))
            share = np.tensordot(dout[:, :, i, j], self.W, ((1,), (0,)))
            if self.wrong == "assigned":
                dx[window] = share
            elif self.wrong == "stride":
                dx[:, :, i : i + 3, j : j + 3] += share
            else:
                dx[window] += share
        if self.wrong == "padding":
            return dx[:, :, 2 * p :, 2 * p :]
        return dx[:, :, p : dx.shape[2] - p, p : dx.shape[3] - p]


def convolved(wrong: str, stride: int) -> Report:
    return check_layer(Convolution(stride, 1, wrong), normal(1, 1, 7, 7))


@pytest.mark.parametrize(
    ("wrong", "stride", "said"),
    [
        ("assigned", 2, "overlap"),
        pytest.param("stride", 2, "misplaced", marks=pytest.mark.slow),
        pytest.param("padding", 1, "shifted", marks=pytest.mark.slow),
    ],
)
def test_index_arithmetic_of_a_layer_is_explained(wrong: str, stride: int, said: str) -> None:
    report = convolved(wrong, stride)
    assert [(r.input, [h.code for h in r.hints]) for r in report.failures] == [("x", [said])]


def test_the_right_layer_raises_no_alarm() -> None:
    assert convolved("", 2)


class MaxPool:
    """Windows of 3 with stride 2, which overlap."""

    def forward(self, x: Any) -> Any:
        self.windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (2, 3))[:, :, ::2, ::2]
        self.shape = x.shape
        return self.windows.max((4, 5))

    def backward(self, dout: Any) -> Any:
        dx = np.zeros(self.shape)
        for n, c, i, j in np.ndindex(dout.shape):
            a, b = np.unravel_index(self.windows[n, c, i, j].argmax(), (3, 3))
            dx[n, c, 2 * i + a, 2 * j + b] = dout[n, c, i, j]
        return dx


@pytest.mark.slow
def test_windows_that_overlap_in_a_large_input() -> None:
    report = check_layer(MaxPool(), normal(2, 4, 9, 9))
    assert [h.code for r in report.failures for h in r.hints] == ["overlap"]
