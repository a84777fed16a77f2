"""`RMSprop`: gradient descent with steps divided by the gradients' recent size."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from tinygrad_cnn.graph import Array
from tinygrad_cnn.optim.averages import penalised
from tinygrad_cnn.optim.optimizer import Accepted, Optimizer, Parameters
from tinygrad_cnn.optim.slot import Slot


class RMSprop(Optimizer):
    """Divide each element's step by the root mean square of its recent gradients.

    With g the gradient plus weight_decay · p::

        s ← alpha · s + (1 − alpha) · g²
        u = g / (√s + eps)                            (centered: √(s − m²), m the mean of g)
        v ← momentum · v + u
        p ← p − lr · v                                (p − lr · u without momentum)

    Sources: Hinton's lecture 6e (2012); centered: Graves 2013; eps outside of the root as PyTorch.

    Parameters
    ----------
    params, maximize, accepted
        As for `Optimizer`.
    lr
        Learning rate.
    alpha
        How much of the mean square stays at each step.
    eps
        Added to the root.
    weight_decay
        Strength of the L2 penalty, ½ · weight_decay · |p|².
    momentum
        How much of the velocity stays at each step.
    centered
        Whether to divide by the standard deviation instead.

    Raises
    ------
    ValueError
        If an option is out of range; also as for `Optimizer`.

    >>> from tinygrad_cnn import tensor
    >>> p = tensor([1.0], requires_grad=True)
    >>> optimizer = RMSprop([p], lr=0.1, alpha=0.75)
    >>> (p * 5).sum().backward()
    >>> optimizer.step()  # 0.1 · 5 / √(0.25 · 5²)
    >>> p
    tensor([0.8], requires_grad=True)
    """

    state_names = ("square_avg", "grad_avg", "momentum_buffer")
    scratch_arrays = 2

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        maximize: bool = False,
        **accepted: Unpack[Accepted],
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "maximize": maximize,
        }
        super().__init__(params, defaults, **accepted)

    def _check_options(self, options: dict[str, Any]) -> None:
        super()._check_options(options)
        if not 0 <= options["alpha"] <= 1:
            raise ValueError(f"RMSprop: alpha expects 0 to 1, got {options['alpha']}")

    def _numbers(self, slot: Slot, group: dict[str, Any]) -> dict[str, Any]:
        uses = (True, group["centered"], group["momentum"] > 0)
        slot.add_state(name for name, used in zip(self.state_names, uses, strict=True) if used)
        return group

    def _update(
        self, p: Array, g: Array, state: dict[str, Array], scratch: list[Array], numbers: Any
    ) -> None:
        s, t = scratch
        g = penalised(g, p, numbers["weight_decay"], s)
        alpha = numbers["alpha"]
        square = state["square_avg"]
        np.multiply(square, alpha, square)
        np.multiply(g, g, t)
        np.multiply(t, 1 - alpha, t)
        np.add(square, t, square)
        if numbers["centered"]:
            mean = state["grad_avg"]
            np.subtract(g, mean, t)
            np.multiply(t, 1 - alpha, t)
            np.add(mean, t, mean)
            np.multiply(mean, mean, t)
            np.subtract(square, t, t)
            np.sqrt(t, t)
        else:
            np.sqrt(square, t)
        np.add(t, numbers["eps"], t)
        np.divide(g, t, t)
        if numbers["momentum"]:
            v = state["momentum_buffer"]
            np.multiply(v, numbers["momentum"], v)
            np.add(v, t, v)
            np.multiply(v, numbers["lr"], t)
        else:
            np.multiply(t, numbers["lr"], t)
        np.subtract(p, t, p)
