"""`ASGD`: gradient descent whose weights are averaged over the steps."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from tinygrad_cnn.graph import Array
from tinygrad_cnn.optim.averages import penalised
from tinygrad_cnn.optim.optimizer import Accepted, Optimizer, Parameters
from tinygrad_cnn.optim.slot import Slot


class ASGD(Optimizer):
    """Gradient descent with a falling rate, and the average of the weights beside it.

    With g the gradient plus weight_decay · p, η and μ of the step before (lr and 1 at first)::

        p ← (1 − lambd · η) · p − η · g
        a ← a + μ · (p − a)                           (a ← p while μ = 1)
        η ← lr / (1 + lambd · lr · t)^alpha,   μ ← 1 / max(1, t − t0)

    The average is in ``state[p]["ax"]``. Source: Polyak and Juditsky 1992, in the form of Bottou.

    Parameters
    ----------
    params, maximize, accepted
        As for `Optimizer`.
    lr
        The first rate.
    lambd
        How quickly the weights and the rate fall.
    alpha
        The power of the rate's fall.
    t0
        The step at which averaging begins.
    weight_decay
        Strength of the L2 penalty, ½ · weight_decay · |p|².

    Raises
    ------
    ValueError
        If an option is out of range; also as for `Optimizer`.

    >>> from tinygrad_cnn import tensor
    >>> p = tensor([1.0], requires_grad=True)
    >>> optimizer = ASGD([p], lr=0.25, lambd=0.0)
    >>> (p * 2).sum().backward()
    >>> optimizer.step()
    >>> p
    tensor([0.5], requires_grad=True)
    """

    state_names = ("ax",)
    number_names = ("eta", "mu")
    scratch_arrays = 2

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        **accepted: Unpack[Accepted],
    ) -> None:
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults, **accepted)

    def _numbers(self, slot: Slot, group: dict[str, Any]) -> tuple[Any, ...]:
        slot.add_state(self.state_names)
        lr, lambd, t = group["lr"], group["lambd"], slot.step
        eta, mu = slot.numbers.get("eta", lr), slot.numbers.get("mu", 1.0)
        slot.numbers["eta"] = lr / (1 + lambd * lr * t) ** group["alpha"]
        slot.numbers["mu"] = 1 / max(1.0, t - group["t0"])
        return eta, mu, lambd, group["weight_decay"]

    def _update(
        self, p: Array, g: Array, state: dict[str, Array], scratch: list[Array], numbers: Any
    ) -> None:
        eta, mu, lambd, weight_decay = numbers
        average = state["ax"]
        s, t = scratch
        g = penalised(g, p, weight_decay, s)
        np.multiply(p, 1 - lambd * eta, p)
        np.subtract(p, np.multiply(g, eta, t), p)
        if mu == 1:
            np.copyto(average, p)
        else:
            np.subtract(p, average, t)
            np.add(average, np.multiply(t, mu, t), average)
