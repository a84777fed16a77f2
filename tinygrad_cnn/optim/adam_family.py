"""`Adamax`, `NAdam` and `RAdam`: Adam with another norm, with Nesterov's look ahead, rectified."""

from __future__ import annotations

import math
from typing import Any, Unpack

import numpy as np

from tinygrad_cnn.graph import Array
from tinygrad_cnn.optim.adam import adam_options
from tinygrad_cnn.optim.averages import average, moments, penalised
from tinygrad_cnn.optim.optimizer import Accepted, Optimizer, Parameters
from tinygrad_cnn.optim.slot import Slot


class Adamax(Optimizer):
    """`Adam` with the greatest of recent gradients in place of the root of their mean square.

    With g the gradient plus weight_decay · p, at step t::

        m ← β₁ · m + (1 − β₁) · g
        u ← max(β₂ · u, |g| + eps)
        p ← p − lr / (1 − β₁ᵗ) · m / u

    Source: Kingma and Ba 2015, algorithm 2, with eps where PyTorch has it.

    Parameters
    ----------
    params, lr, betas, eps, weight_decay, maximize, accepted
        As for `Adam`.

    Raises
    ------
    ValueError
        If an option is out of range; also as for `Optimizer`.

    >>> from tinygrad_cnn import tensor
    >>> p = tensor([1.0], requires_grad=True)
    >>> optimizer = Adamax([p], lr=0.25)
    >>> (p * 5).sum().backward()
    >>> optimizer.step()
    >>> p
    tensor([0.75], requires_grad=True)
    """

    state_names = ("exp_avg", "exp_inf")
    scratch_arrays = 2

    def __init__(
        self,
        params: Parameters,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        **accepted: Unpack[Accepted],
    ) -> None:
        own = {"maximize": maximize}
        defaults = adam_options(lr, betas, eps, weight_decay, own)
        super().__init__(params, defaults, **accepted)

    def _numbers(self, slot: Slot, group: dict[str, Any]) -> tuple[Any, ...]:
        slot.add_state(self.state_names)
        beta1, beta2 = group["betas"]
        rate = group["lr"] / (1 - beta1**slot.step)
        return beta1, beta2, rate, group["eps"], group["weight_decay"]

    def _update(
        self, p: Array, g: Array, state: dict[str, Array], scratch: list[Array], numbers: Any
    ) -> None:
        beta1, beta2, rate, eps, weight_decay = numbers
        m, greatest = state["exp_avg"], state["exp_inf"]
        s, t = scratch
        g = penalised(g, p, weight_decay, s)
        average(m, g, beta1, t)
        np.multiply(greatest, beta2, greatest)
        np.add(np.abs(g, t), eps, t)
        np.maximum(greatest, t, out=greatest)
        np.divide(m, greatest, t)
        np.multiply(t, rate, t)
        np.subtract(p, t, p)


class NAdam(Optimizer):
    """`Adam` that looks ahead along its mean, as Nesterov's momentum does.

    With g the gradient plus weight_decay · p, m and s as in `Adam`, at step t::

        μₜ = β₁ · (1 − ½ · 0.96^(t · momentum_decay)),    Pₜ = μ₁ · … · μₜ
        p ← p − lr · ((1 − μₜ) / (1 − Pₜ) · g + μₜ₊₁ / (1 − Pₜ₊₁) · m) / (√(s / (1 − β₂ᵗ)) + eps)

    Source: Dozat 2016.

    Parameters
    ----------
    params, lr, betas, eps, weight_decay, maximize, accepted
        As for `Adam`.
    momentum_decay
        How quickly the momentum rises from half of β₁ to β₁.
    decoupled_weight_decay
        Whether weights decay by themselves as in `AdamW`.

    Raises
    ------
    ValueError
        If an option is out of range; also as for `Optimizer`.

    >>> from tinygrad_cnn import tensor
    >>> p = tensor([1.0], requires_grad=True)
    >>> optimizer = NAdam([p], lr=0.25)
    >>> (p * 5).sum().backward()
    >>> optimizer.step()
    >>> round(p.item(), 3)
    0.736
    """

    state_names = ("exp_avg", "exp_avg_sq")
    number_names = ("mu_product",)
    scratch_arrays = 3

    def __init__(
        self,
        params: Parameters,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        **accepted: Unpack[Accepted],
    ) -> None:
        own = {
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        defaults = adam_options(lr, betas, eps, weight_decay, own)
        super().__init__(params, defaults, **accepted)

    def _check_options(self, options: dict[str, Any]) -> None:
        super()._check_options(options)
        if not options["momentum_decay"] >= 0:
            raise ValueError(
                f"NAdam: momentum_decay expects at least 0, got {options['momentum_decay']}"
            )

    def _numbers(self, slot: Slot, group: dict[str, Any]) -> tuple[Any, ...]:
        slot.add_state(self.state_names)
        beta1, beta2 = group["betas"]
        t, decay, lr = slot.step, group["momentum_decay"], group["lr"]
        mu, following = (beta1 * (1 - 0.5 * 0.96 ** (n * decay)) for n in (t, t + 1))
        product = slot.numbers["mu_product"] = slot.numbers.get("mu_product", 1.0) * mu
        by_gradient = lr * (1 - mu) / (1 - product)
        by_mean = lr * following / (1 - product * following)
        return group, by_gradient, by_mean, 1 - beta2**t

    def _update(
        self, p: Array, g: Array, state: dict[str, Array], scratch: list[Array], numbers: Any
    ) -> None:
        group, by_gradient, by_mean, correction = numbers
        s, t, u = scratch
        g = _decayed(p, g, group, s)
        m, square = moments(state, g, group["betas"], t)
        np.divide(square, correction, t)
        np.sqrt(t, t)
        np.add(t, group["eps"], t)
        np.divide(g, t, u)
        np.multiply(u, by_gradient, u)
        np.subtract(p, u, p)
        np.divide(m, t, u)
        np.multiply(u, by_mean, u)
        np.subtract(p, u, p)


class RAdam(Optimizer):
    """`Adam` that does not divide by the mean square while that is known from few steps only.

    With ρ∞ = 2 / (1 − β₂) − 1 and ρₜ = ρ∞ − 2 t β₂ᵗ / (1 − β₂ᵗ), and m̂ and ŝ as in `Adam`::

        p ← p − lr · m̂                                    (ρₜ ≤ 5)
        p ← p − lr · r · m̂ / (√ŝ + eps / √(1 − β₂ᵗ))      (ρₜ > 5)
        r² = (ρₜ − 4) (ρₜ − 2) ρ∞ / ((ρ∞ − 4) (ρ∞ − 2) ρₜ)

    Source: Liu et al. 2020, algorithm 2, with eps where PyTorch has it.

    Parameters
    ----------
    params, lr, betas, eps, weight_decay, maximize, accepted
        As for `Adam`.
    decoupled_weight_decay
        Whether weights decay by themselves as in `AdamW`.

    Raises
    ------
    ValueError
        If an option is out of range; also as for `Optimizer`.

    >>> from tinygrad_cnn import tensor
    >>> p = tensor([1.0], requires_grad=True)
    >>> optimizer = RAdam([p], lr=0.25)
    >>> (p * 2).sum().backward()
    >>> optimizer.step()  # as gradient descent at first
    >>> p
    tensor([0.5], requires_grad=True)
    """

    state_names = ("exp_avg", "exp_avg_sq")
    scratch_arrays = 2

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        **accepted: Unpack[Accepted],
    ) -> None:
        own = {"decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize}
        defaults = adam_options(lr, betas, eps, weight_decay, own)
        super().__init__(params, defaults, **accepted)

    def _numbers(self, slot: Slot, group: dict[str, Any]) -> tuple[Any, ...]:
        slot.add_state(self.state_names)
        beta1, beta2 = group["betas"]
        t = slot.step
        corrected = 1 - beta2**t
        limit = 2 / (1 - beta2) - 1
        length = limit - 2 * t * beta2**t / corrected
        rate = group["lr"] / (1 - beta1**t)
        rectified = length > 5
        if rectified:
            grown = (length - 4) * (length - 2) * limit
            whole = (limit - 4) * (limit - 2) * length
            rate *= math.sqrt(grown / whole) * math.sqrt(corrected)
        return group, rate, rectified

    def _update(
        self, p: Array, g: Array, state: dict[str, Array], scratch: list[Array], numbers: Any
    ) -> None:
        group, rate, rectified = numbers
        s, t = scratch
        g = _decayed(p, g, group, s)
        m, square = moments(state, g, group["betas"], t)
        if rectified:
            np.sqrt(square, t)
            np.add(t, group["eps"], t)
            np.divide(m, t, t)
            np.multiply(t, rate, t)
        else:
            np.multiply(m, rate, t)
        np.subtract(p, t, p)


def _decayed(p: Array, g: Array, group: dict[str, Any], scratch: Array) -> Array:
    """Let the weights decay by themselves, or return the gradient with the penalty's."""
    weight_decay = group["weight_decay"]
    if not group["decoupled_weight_decay"]:
        return penalised(g, p, weight_decay, scratch)
    np.multiply(p, 1 - group["lr"] * weight_decay, p)
    return g
