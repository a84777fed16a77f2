"""Write an operation of your own, check its rule, and see a wrong rule being caught.

The operation is the pseudo-Huber loss, δ²·(√(1 + (x/δ)²) − 1): like x²/2 near 0 and like δ·|x| far
away, but smooth. An operation is a class with `forward` on arrays and the rule `backward` beside
it. The rule is written in operators and functions that take arrays and tensors alike, so one text
also serves second derivatives.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn import Op, grad, tensor
from tinygrad_cnn.verify import GradientError, gradcheck


class PseudoHuber(Op):
    """δ²·(√(1 + (x/δ)²) − 1)."""

    __slots__ = ("delta",)  # settings live in slots: pictures of the graph show them
    saves = ("x",)  # what the rule reads; nothing else is kept in memory until the backward pass

    def __init__(self, delta: float) -> None:
        self.delta = delta

    def forward(self, x: Any) -> Any:
        """Compute the result; it gets plain arrays and never changes them."""
        return self.delta**2 * (np.sqrt(1 + (x / self.delta) ** 2) - 1)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:  # noqa: ARG002  # the protocol
        """Turn the gradient of the result into one for each input: here g · x / √(1 + (x/δ)²)."""
        return (g * x / F.sqrt(1 + (x / self.delta) ** 2),)


def pseudo_huber(x: Any, delta: float = 1.0) -> Any:
    """Apply the operation to an array or a tensor."""
    return PseudoHuber(delta)(x)


class ForgottenRoot(PseudoHuber):
    """The same operation, with a mistake in its rule."""

    __slots__ = ()

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:  # noqa: ARG002  # the protocol
        """Compute g · x / (1 + (x/δ)²): the root is missing."""
        return (g * x / (1 + (x / self.delta) ** 2),)


def main() -> None:
    """Use the operation, verify it, and verify the wrong one."""
    x = tensor([-10.0, -1.0, 0.0, 0.1, 10.0], requires_grad=True)
    y = pseudo_huber(x)
    (slope,) = grad(y.sum(), x, create_graph=True)
    (curvature,) = grad(slope.sum(), x)
    print("          x  " + "".join(f"{value:8.3f}" for value in x.tolist()))
    print("       f(x)  " + "".join(f"{value:8.3f}" for value in y.tolist()))
    print("      f'(x)  " + "".join(f"{value:8.3f}" for value in slope.tolist()))
    print("     f''(x)  " + "".join(f"{value:8.3f}" for value in curvature.tolist()))

    values = np.random.default_rng(0).standard_normal((3, 4))
    print("\nThe rule against numeric derivatives, of first and second order:")
    print(gradcheck(pseudo_huber, values, order=2))

    print("\nThe rule without its root:")
    try:
        gradcheck(ForgottenRoot(delta=1.0), values)
    except GradientError as error:
        print(error)


if __name__ == "__main__":
    main()
