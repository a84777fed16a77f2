"""Running averages, moved on in place, and the L2 penalty: what most optimisers are made of.

Each takes a `scratch` array of the parameter's size, whose numbers are overwritten.
"""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.graph import Array


def penalised(g: Array, p: Array, weight_decay: float, scratch: Array) -> Array:
    """Return g + weight_decay · p, the gradient with that of the L2 penalty, in `scratch`."""
    if not weight_decay:
        return g
    np.multiply(p, weight_decay, scratch)
    return np.add(g, scratch, scratch)


def average(mean: Array, x: Array, beta: float, scratch: Array) -> None:
    """Move a running mean on: β · mean + (1 − β) · x, as mean + (1 − β) · (x − mean)."""
    np.subtract(x, mean, scratch)
    np.multiply(scratch, 1 - beta, scratch)
    np.add(mean, scratch, mean)


def average_square(mean: Array, x: Array, beta: float, scratch: Array) -> None:
    """Move a running mean square on: β · mean + (1 − β) · x²."""
    np.multiply(x, x, scratch)
    np.multiply(scratch, 1 - beta, scratch)
    np.multiply(mean, beta, mean)
    np.add(mean, scratch, mean)


def moments(
    state: dict[str, Array], g: Array, betas: tuple[float, float], scratch: Array
) -> tuple[Array, Array]:
    """Move the running mean and mean square of the gradients on, and return them."""
    m, square = state["exp_avg"], state["exp_avg_sq"]
    average(m, g, betas[0], scratch)
    average_square(square, g, betas[1], scratch)
    return m, square
