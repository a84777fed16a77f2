"""`Adam` and `AdamW`."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Unpack

import numpy as np

from tinygrad_cnn.graph import Array
from tinygrad_cnn.optim.averages import moments, penalised
from tinygrad_cnn.optim.optimizer import Accepted, Optimizer, Parameters
from tinygrad_cnn.optim.slot import Slot


def adam_options(
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    own: dict[str, Any],
) -> dict[str, Any]:
    """Return the options that all of Adam's family have, then an optimiser's own."""
    return {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay, **own}


class Adam(Optimizer):
    """Follow the mean of recent gradients, divided by the root of their mean square.

    With g the gradient plus weight_decay · p, at step t::

        m ← β₁ · m + (1 − β₁) · g
        s ← β₂ · s + (1 − β₂) · g²
        p ← p − lr · m̂ / (√ŝ + eps)                   m̂ = m / (1 − β₁ᵗ), ŝ = s / (1 − β₂ᵗ)

    Source: Kingma and Ba 2015, algorithm 1.

    Parameters
    ----------
    params, maximize, accepted
        As for `Optimizer`.
    lr
        Learning rate.
    betas
        (β₁, β₂): how much of the mean and of the mean square stays at each step.
    eps
        Added to the root.
    weight_decay
        Strength of the L2 penalty, ½ · weight_decay · |p|².
    amsgrad
        Whether to divide by the greatest ŝ so far instead, so that steps do not grow again where
        gradients get rare. Source: Reddi, Kale and Kumar 2018, algorithm 2.

    Raises
    ------
    ValueError
        If an option is out of range; also as for `Optimizer`.

    >>> from tinygrad_cnn import tensor
    >>> p = tensor([1.0], requires_grad=True)
    >>> optimizer = Adam([p], lr=0.25)
    >>> (p * 5).sum().backward()
    >>> optimizer.step()
    >>> p
    tensor([0.75], requires_grad=True)
    """

    state_names = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    scratch_arrays = 2
    decoupled: ClassVar[bool] = False  # whether weights decay by themselves, not by the gradient

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        maximize: bool = False,
        **accepted: Unpack[Accepted],
    ) -> None:
        own = {"amsgrad": amsgrad, "maximize": maximize}
        defaults = adam_options(lr, betas, eps, weight_decay, own)
        super().__init__(params, defaults, **accepted)

    def _numbers(self, slot: Slot, group: dict[str, Any]) -> tuple[Any, ...]:
        slot.add_state(self.state_names if group["amsgrad"] else self.state_names[:2])
        beta1, beta2 = group["betas"]
        # lr · m̂ / (√ŝ + eps) = (lr · c / (1 − β₁ᵗ)) · m / (√s + eps · c) with c = √(1 − β₂ᵗ)
        c = math.sqrt(1 - beta2**slot.step)
        rate = group["lr"] * c / (1 - beta1**slot.step)
        decay = group["weight_decay"]
        return (beta1, beta2), rate, group["eps"] * c, decay, group["lr"], group["amsgrad"]

    def _update(
        self, p: Array, g: Array, state: dict[str, Array], scratch: list[Array], numbers: Any
    ) -> None:
        betas, rate, eps, weight_decay, lr, amsgrad = numbers
        s, t = scratch
        if weight_decay and self.decoupled:
            np.multiply(p, 1 - lr * weight_decay, p)
        else:
            g = penalised(g, p, weight_decay, s)
        m, square = moments(state, g, betas, t)
        if amsgrad:
            square = np.maximum(square, state["max_exp_avg_sq"], out=state["max_exp_avg_sq"])
        np.sqrt(square, t)
        np.add(t, eps, t)
        np.divide(m, t, t)
        np.multiply(t, rate, t)
        np.subtract(p, t, p)


class AdamW(Adam):
    """`Adam` whose weights decay by themselves: p ← (1 − lr · weight_decay) · p before the step.

    The decay is thus not divided by the gradients' size. Source: Loshchilov and Hutter 2019.

    Parameters
    ----------
    params, lr, betas, eps, amsgrad, maximize, accepted
        As for `Adam`.
    weight_decay
        The part of each weight that goes at each step, divided by the learning rate.

    Raises
    ------
    ValueError
        If an option is out of range; also as for `Optimizer`.

    >>> from tinygrad_cnn import tensor
    >>> p = tensor([1.0], requires_grad=True)
    >>> optimizer = AdamW([p], lr=0.25, weight_decay=1.0)
    >>> (p * 5).sum().backward()
    >>> optimizer.step()
    >>> p
    tensor([0.5], requires_grad=True)
    """

    decoupled = True

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        maximize: bool = False,
        **accepted: Unpack[Accepted],
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize, **accepted)
