"""A whole engine on one page: tensor, graph, backward pass, a dozen operations, a trained CNN.

It needs NumPy alone; the package lends only its digits.
"""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view as view

from tinygrad_cnn import data

Array = np.ndarray[Any, np.dtype[Any]]
numbers = count()


class Tensor:
    """An array, the tensors it was computed from, and the rule that hands gradients to them."""

    def __init__(self, value: Any, parents: tuple[Tensor, ...] = (), rule: Any = None) -> None:
        self.data, self.parents, self.rule = np.asarray(value), parents, rule
        self.grad: Any = None
        self.number = next(numbers)  # a result's is higher than those of its parents

    def backward(self) -> None:
        """Put d(self)/d(t) into `t.grad` of every tensor t that this number was computed from."""
        seen, stack = {self}, [self]
        while stack:
            found = set(stack.pop().parents) - seen
            seen |= found
            stack += found
        self.grad = np.ones_like(self.data)
        for t in sorted(seen, key=lambda t: -t.number):  # handed on only when it is complete
            for p, g in zip(t.parents, t.rule(t.grad) if t.rule else (), strict=True):
                g = unbroadcast(g, p.data.shape)
                p.grad = g if p.grad is None else p.grad + g  # used twice: the sum

    # Each operation: the result, what it was computed from, and the rule.
    def __add__(self, other: Any) -> Tensor:
        b = wrap(other)
        return Tensor(self.data + b.data, (self, b), lambda g: (g, g))

    def __mul__(self, other: Any) -> Tensor:
        a, b = self, wrap(other)
        return Tensor(a.data * b.data, (a, b), lambda g: (g * b.data, g * a.data))

    def __matmul__(self, b: Tensor) -> Tensor:
        a = self
        return Tensor(a.data @ b.data, (a, b), lambda g: (g @ b.data.T, a.data.T @ g))

    def __getitem__(self, key: Any) -> Tensor:
        def rule(g: Array) -> tuple[Array]:
            np.add.at(full := np.zeros_like(self.data), key, g)  # what was read twice gets both
            return (full,)

        return Tensor(self.data[key], (self,), rule)

    def exp(self) -> Tensor:
        return Tensor(y := np.exp(self.data), (self,), lambda g: (g * y,))

    def log(self) -> Tensor:
        return Tensor(np.log(self.data), (self,), lambda g: (g / self.data,))

    def relu(self) -> Tensor:
        return Tensor(np.maximum(self.data, 0), (self,), lambda g: (g * (self.data > 0),))

    def sum(self, axis: int | None = None) -> Tensor:
        y = self.data.sum(axis, keepdims=axis is not None)
        return Tensor(y, (self,), lambda g: (np.broadcast_to(g, self.data.shape),))

    def reshape(self, *shape: int) -> Tensor:
        return Tensor(self.data.reshape(shape), (self,), lambda g: (g.reshape(self.data.shape),))


def wrap(x: Any) -> Tensor:
    """Make a tensor of a number or an array."""
    return x if isinstance(x, Tensor) else Tensor(x)


def unbroadcast(g: Array, shape: tuple[int, ...]) -> Array:
    """Sum a gradient over what broadcasting had repeated."""
    g = g.sum(tuple(range(g.ndim - len(shape))))
    return g.sum(tuple(i for i, n in enumerate(shape) if n == 1 != g.shape[i]), keepdims=True)


def correlate(x: Array, w: Array) -> tuple[Array, Array]:
    """Slide w (O, C, K, K) over x (N, C, H, W): the sums (N, O, …) and the windows of x."""
    windows = view(x, w.shape[2:], axis=(2, 3))  # (N, C, H', W', K, K)
    return np.tensordot(windows, w, ([1, 4, 5], [1, 2, 3])).transpose(0, 3, 1, 2), windows


def conv2d(x: Tensor, w: Tensor) -> Tensor:
    """Convolve as networks do, without padding: out[n,o,i,j] = Σ x[n,c,i+u,j+v] · w[o,c,u,v]."""
    y, windows = correlate(x.data, w.data)

    def rule(g: Array) -> tuple[Array, Array]:
        k = w.data.shape[2] - 1  # pixel i was read at i - u: so the filter is turned round
        turned = w.data[:, :, ::-1, ::-1].swapaxes(0, 1)
        dx, _ = correlate(np.pad(g, ((0, 0), (0, 0), (k, k), (k, k))), turned)
        return dx, np.tensordot(g, windows, ([0, 2, 3], [0, 2, 3]))

    return Tensor(y, (x, w), rule)


def max_pool2d(x: Tensor) -> Tensor:
    """Take the maximum of each 2×2 window; of equal ones the first gets the gradient."""
    n, c, h, w = x.data.shape
    windows = x.data.reshape(n, c, h // 2, 2, w // 2, 2).swapaxes(3, 4)
    windows = windows.reshape(n, c, h // 2, w // 2, 4)
    winner = windows.argmax(-1)[..., None] == np.arange(4)

    def rule(g: Array) -> tuple[Array]:
        parts = (g[..., None] * winner).reshape(n, c, h // 2, w // 2, 2, 2)
        return (parts.swapaxes(3, 4).reshape(n, c, h, w),)

    return Tensor(windows.max(-1), (x,), rule)


def cross_entropy(logits: Tensor, labels: Array) -> Tensor:
    """Mean of -log softmax(logits)[label]; the maximum, a constant, keeps exp from overflowing."""
    z = logits + -logits.data.max(1, keepdims=True)
    chosen = (z + z.exp().sum(1).log() * -1)[np.arange(len(labels)), labels]
    return chosen.sum() * (-1 / len(labels))


def main() -> None:
    """Train a convolutional network on 5,000 digits; test it on 1,000 that it has not seen."""
    (train, test), rng = data.digits(), np.random.default_rng(0)
    w1, b1 = Tensor(rng.normal(0, 0.2, (8, 1, 5, 5))), Tensor(np.zeros((8, 1, 1)))
    w2, b2 = Tensor(rng.normal(0, 0.03, (1152, 10))), Tensor(np.zeros(10))

    def model(images: Array) -> Tensor:
        x = max_pool2d((conv2d(Tensor((images[:, None] - 33.0) / 79), w1) + b1).relu())
        return x.reshape(len(images), -1) @ w2 + b2

    for epoch in range(6):
        for chosen in rng.permutation(len(train)).reshape(-1, 50):
            (loss := cross_entropy(model(train.images[chosen]), train.labels[chosen])).backward()
            for p in (w1, b1, w2, b2):
                p.data = p.data - 0.02 * (1 - epoch / 6) * p.grad
                p.grad = 0.9 * p.grad  # the next gradient is added to it: that is momentum
        right = (model(test.images).data.argmax(1) == test.labels).mean()
        print(f"epoch {epoch + 1}: loss {loss.data:.3f}, test accuracy {right:.1%}")


if __name__ == "__main__":
    main()
