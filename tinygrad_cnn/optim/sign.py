"""`Lion` and `Rprop`: steps along the signs of gradients, whatever their size."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from tinygrad_cnn.graph import Array
from tinygrad_cnn.optim.optimizer import Accepted, Optimizer, Parameters
from tinygrad_cnn.optim.slot import Slot


class Lion(Optimizer):
    """Step by the sign of an average of gradients; every element moves by lr.

    ::

        p ← (1 − lr · weight_decay) · p − lr · sign(β₁ · m + (1 − β₁) · g)
        m ← β₂ · m + (1 − β₂) · g

    Source: Chen et al. 2023, algorithm 2.

    Parameters
    ----------
    params, maximize, accepted
        As for `Optimizer`.
    lr
        How far each element moves at each step; a third to a tenth of Adam's.
    betas
        (β₁, β₂): how much of the average goes into the step, and stays in the average.
    weight_decay
        The part of each weight that goes at each step, divided by the learning rate.

    Raises
    ------
    ValueError
        If an option is out of range; also as for `Optimizer`.

    >>> from tinygrad_cnn import tensor
    >>> p = tensor([1.0], requires_grad=True)
    >>> optimizer = Lion([p], lr=0.25)
    >>> (p * 5).sum().backward()
    >>> optimizer.step()
    >>> p
    tensor([0.75], requires_grad=True)
    """

    state_names = ("exp_avg",)
    scratch_arrays = 2

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        **accepted: Unpack[Accepted],
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults, **accepted)

    def _numbers(self, slot: Slot, group: dict[str, Any]) -> dict[str, Any]:
        slot.add_state(self.state_names)
        return group

    def _update(
        self, p: Array, g: Array, state: dict[str, Array], scratch: list[Array], numbers: Any
    ) -> None:
        lr, (beta1, beta2) = numbers["lr"], numbers["betas"]
        m = state["exp_avg"]
        s, t = scratch
        np.multiply(p, 1 - lr * numbers["weight_decay"], p)
        np.multiply(m, beta1, s)
        np.add(s, np.multiply(g, 1 - beta1, t), s)
        np.multiply(np.sign(s, s), lr, s)
        np.subtract(p, s, p)
        np.multiply(m, beta2, m)
        np.add(m, np.multiply(g, 1 - beta2, t), m)


class Rprop(Optimizer):
    """Step by the sign of the gradient, each element by a length of its own that learns.

    The length grows by η⁺ while the sign stays, shrinks by η⁻ where it changed, and there the
    element waits for a step. For gradients of the whole data, not of batches. Source: Riedmiller
    and Braun 1993, in the form without going back.

    Parameters
    ----------
    params, maximize, accepted
        As for `Optimizer`.
    lr
        The first length.
    etas
        (η⁻, η⁺), with 0 < η⁻ < 1 < η⁺.
    step_sizes
        The shortest and the longest length.

    Raises
    ------
    ValueError
        If an option is out of range; also as for `Optimizer`.

    >>> from tinygrad_cnn import tensor
    >>> p = tensor([1.0], requires_grad=True)
    >>> optimizer = Rprop([p], lr=0.25)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (p * 5).sum().backward()
    ...     optimizer.step()
    >>> p  # 0.25, then 1.2 · 0.25
    tensor([0.45], requires_grad=True)
    """

    state_names = ("prev", "step_size")
    scratch_arrays = 2

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
        *,
        maximize: bool = False,
        **accepted: Unpack[Accepted],
    ) -> None:
        defaults = {
            "lr": lr,
            "etas": tuple(etas),
            "step_sizes": tuple(step_sizes),
            "maximize": maximize,
        }
        super().__init__(params, defaults, **accepted)

    def _check_options(self, options: dict[str, Any]) -> None:
        super()._check_options(options)
        shrink, grow = options["etas"]
        if not 0 < shrink < 1 < grow:
            raise ValueError(f"Rprop: etas expects 0 < η⁻ < 1 < η⁺, got {options['etas']}")
        shortest, longest = options["step_sizes"]
        if not 0 <= shortest <= longest:
            raise ValueError(
                f"Rprop: step_sizes expects the shortest and the longest, got "
                f"{options['step_sizes']}"
            )

    def _numbers(self, slot: Slot, group: dict[str, Any]) -> dict[str, Any]:
        slot.add_state(("prev",))
        slot.add_state(("step_size",), group["lr"])
        return group

    def _update(
        self, p: Array, g: Array, state: dict[str, Array], scratch: list[Array], numbers: Any
    ) -> None:
        previous, length = state["prev"], state["step_size"]
        shrink, grow = numbers["etas"]
        s, t = scratch
        np.multiply(g, previous, s)
        turned = s < 0
        t.fill(1)
        np.copyto(t, grow, where=s > 0)
        np.copyto(t, shrink, where=turned)
        np.multiply(length, t, length)
        np.clip(length, *numbers["step_sizes"], out=length)
        np.copyto(previous, g)
        np.copyto(previous, 0, where=turned)
        np.multiply(np.sign(previous, s), length, s)
        np.subtract(p, s, p)
