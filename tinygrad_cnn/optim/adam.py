"""`Adam` and `AdamW`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from tinygrad_cnn.graph import Array
from tinygrad_cnn.optim.optimizer import Optimizer, _Slot
from tinygrad_cnn.tensor import Tensor


class Adam(Optimizer):
    """Follow the mean of recent gradients, divided by the root of their mean square.

    With g the gradient plus weight_decay · p, at step t::

        m ← β₁ · m + (1 − β₁) · g
        s ← β₂ · s + (1 − β₂) · g²
        p ← p − lr · m̂ / (√ŝ + eps)                   m̂ = m / (1 − β₁ᵗ), ŝ = s / (1 − β₂ᵗ)

    Source: Kingma and Ba 2015, algorithm 1.

    Parameters
    ----------
    params
        Tensors, or dicts of groups with options of their own.
    lr
        Learning rate.
    betas
        (β₁, β₂): how much of the mean and of the mean square stays at each step.
    eps
        Added to the root.
    weight_decay
        Strength of the L2 penalty, ½ · weight_decay · |p|².

    Raises
    ------
    ValueError
        If an option is out of range; also as for `Optimizer`.

    >>> p = Tensor([1.0], requires_grad=True)
    >>> optimizer = Adam([p], lr=0.25)
    >>> (p * 5).sum().backward()
    >>> optimizer.step()
    >>> p
    tensor([0.75], requires_grad=True)
    """

    state_names = ("exp_avg", "exp_avg_sq")
    scratch_arrays = 2
    decoupled: ClassVar[bool] = False  # whether weights decay by themselves, not by the gradient

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    def _check_options(self, options: dict[str, Any]) -> None:
        super()._check_options(options)
        betas = options["betas"]
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(
                f"{self._name}: betas expects two numbers from 0 to less than 1, got {betas}"
            )

    def _numbers(self, slot: _Slot, group: dict[str, Any]) -> tuple[Any, ...]:
        slot.add_state(self.state_names)
        beta1, beta2 = group["betas"]
        # lr · m̂ / (√ŝ + eps) = (lr · c / (1 − β₁ᵗ)) · m / (√s + eps · c) with c = √(1 − β₂ᵗ)
        c = math.sqrt(1 - beta2**slot.step)
        rate = group["lr"] * c / (1 - beta1**slot.step)
        return beta1, beta2, rate, group["eps"] * c, group["weight_decay"], group["lr"]

    def _update(
        self, p: Array, g: Array, state: dict[str, Array], scratch: list[Array], numbers: Any
    ) -> None:
        beta1, beta2, rate, eps, weight_decay, lr = numbers
        m, square = state["exp_avg"], state["exp_avg_sq"]
        s, t = scratch
        if weight_decay and self.decoupled:
            np.multiply(p, 1 - lr * weight_decay, p)
        elif weight_decay:
            np.multiply(p, weight_decay, s)
            np.add(g, s, s)
            g = s
        np.subtract(g, m, t)
        np.multiply(t, 1 - beta1, t)
        np.add(m, t, m)
        np.multiply(g, g, t)
        np.multiply(t, 1 - beta2, t)
        np.multiply(square, beta2, square)
        np.add(square, t, square)
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
    params, lr, betas, eps
        As for `Adam`.
    weight_decay
        The part of each weight that goes at each step, divided by the learning rate.

    Raises
    ------
    ValueError
        If an option is out of range; also as for `Optimizer`.

    >>> p = Tensor([1.0], requires_grad=True)
    >>> optimizer = AdamW([p], lr=0.25, weight_decay=1.0)
    >>> (p * 5).sum().backward()
    >>> optimizer.step()
    >>> p
    tensor([0.5], requires_grad=True)
    """

    decoupled = True

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)
