"""`Adagrad` and `Adadelta`: steps divided by the gradients of the whole past, or of the recent."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from tinygrad_cnn.graph import Array
from tinygrad_cnn.optim.averages import average_square, penalised
from tinygrad_cnn.optim.optimizer import Accepted, Optimizer, Parameters
from tinygrad_cnn.optim.slot import Slot


class Adagrad(Optimizer):
    """Divide each element's step by the root of the sum of its squared gradients so far.

    With g the gradient plus weight_decay · p, at step t::

        s ← s + g²
        p ← p − lr / (1 + (t − 1) · lr_decay) · g / (√s + eps)

    Source: Duchi, Hazan and Singer 2011.

    Parameters
    ----------
    params, maximize, accepted
        As for `Optimizer`.
    lr
        Learning rate.
    lr_decay
        How quickly the rate falls with the steps.
    weight_decay
        Strength of the L2 penalty, ½ · weight_decay · |p|².
    initial_accumulator_value
        Where the sums of squares begin.
    eps
        Added to the root.

    Raises
    ------
    ValueError
        If an option is out of range; also as for `Optimizer`.

    >>> from tinygrad_cnn import tensor
    >>> p = tensor([1.0], requires_grad=True)
    >>> optimizer = Adagrad([p], lr=0.25)
    >>> (p * 5).sum().backward()
    >>> optimizer.step()
    >>> p
    tensor([0.75], requires_grad=True)
    """

    state_names = ("sum",)
    scratch_arrays = 2

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
        **accepted: Unpack[Accepted],
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "eps": eps,
            "maximize": maximize,
        }
        super().__init__(params, defaults, **accepted)

    def _check_options(self, options: dict[str, Any]) -> None:
        super()._check_options(options)
        for name in ("lr_decay", "initial_accumulator_value"):
            if not options[name] >= 0:
                raise ValueError(f"Adagrad: {name} expects at least 0, got {options[name]}")

    def _numbers(self, slot: Slot, group: dict[str, Any]) -> tuple[Any, ...]:
        slot.add_state(self.state_names, group["initial_accumulator_value"])
        rate = group["lr"] / (1 + (slot.step - 1) * group["lr_decay"])
        return rate, group["eps"], group["weight_decay"]

    def _update(
        self, p: Array, g: Array, state: dict[str, Array], scratch: list[Array], numbers: Any
    ) -> None:
        rate, eps, weight_decay = numbers
        total = state["sum"]
        s, t = scratch
        g = penalised(g, p, weight_decay, s)
        np.multiply(g, g, t)
        np.add(total, t, total)
        np.sqrt(total, t)
        np.add(t, eps, t)
        np.divide(g, t, t)
        np.multiply(t, rate, t)
        np.subtract(p, t, p)


class Adadelta(Optimizer):
    """Make steps as large, relative to the gradient, as the recent steps were: no unit is chosen.

    With g the gradient plus weight_decay · p::

        s ← rho · s + (1 − rho) · g²
        u = √(d + eps) / √(s + eps) · g
        d ← rho · d + (1 − rho) · u²
        p ← p − lr · u

    Source: Zeiler 2012, algorithm 1.

    Parameters
    ----------
    params, maximize, accepted
        As for `Optimizer`.
    lr
        A factor of the steps, 1 in the paper.
    rho
        How much of the mean squares stays at each step.
    eps
        Added under both roots; it makes the first step possible.
    weight_decay
        Strength of the L2 penalty, ½ · weight_decay · |p|².

    Raises
    ------
    ValueError
        If an option is out of range; also as for `Optimizer`.

    >>> from tinygrad_cnn import tensor
    >>> p = tensor([1.0], requires_grad=True)
    >>> optimizer = Adadelta([p], rho=0.75, eps=1.0)
    >>> (p * 2).sum().backward()
    >>> optimizer.step()  # 2 / √(¼ · 2² + 1)
    >>> round(p.item(), 4)
    -0.4142
    """

    state_names = ("square_avg", "acc_delta")
    scratch_arrays = 3

    def __init__(
        self,
        params: Parameters,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        **accepted: Unpack[Accepted],
    ) -> None:
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults, **accepted)

    def _check_options(self, options: dict[str, Any]) -> None:
        super()._check_options(options)
        if not 0 <= options["rho"] <= 1:
            raise ValueError(f"Adadelta: rho expects 0 to 1, got {options['rho']}")

    def _numbers(self, slot: Slot, group: dict[str, Any]) -> tuple[Any, ...]:
        slot.add_state(self.state_names)
        return group["lr"], group["rho"], group["eps"], group["weight_decay"]

    def _update(
        self, p: Array, g: Array, state: dict[str, Array], scratch: list[Array], numbers: Any
    ) -> None:
        lr, rho, eps, weight_decay = numbers
        s, t, u = scratch
        g = penalised(g, p, weight_decay, s)
        average_square(state["square_avg"], g, rho, t)
        np.add(state["square_avg"], eps, t)
        np.sqrt(t, t)
        np.add(state["acc_delta"], eps, u)
        np.sqrt(u, u)
        np.divide(u, t, u)
        np.multiply(u, g, u)
        average_square(state["acc_delta"], u, rho, t)
        np.multiply(u, lr, u)
        np.subtract(p, u, p)
