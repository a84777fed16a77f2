"""`SGD`: gradient descent, with momentum."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from tinygrad_cnn.graph import Array
from tinygrad_cnn.optim.averages import penalised
from tinygrad_cnn.optim.optimizer import Accepted, Optimizer, Parameters
from tinygrad_cnn.optim.slot import Slot


class SGD(Optimizer):
    """Gradient descent on batches, with momentum and Nesterov's variant of it.

    With g the gradient plus weight_decay · p::

        v ← momentum · v + (1 − dampening) · g        (v ← g at the first step)
        p ← p − lr · v                                (Nesterov: p − lr · (g + momentum · v))

    Without momentum, p ← p − lr · g. The velocity multiplies the gradients' average, never the
    weight itself. Source: Sutskever et al. 2013, in the form that PyTorch gave it.

    Parameters
    ----------
    params, maximize, accepted
        As for `Optimizer`.
    lr
        Learning rate.
    momentum
        How much of the velocity stays at each step, usually 0.9.
    dampening
        How much of the gradient is kept out of the velocity.
    weight_decay
        Strength of the L2 penalty, ½ · weight_decay · |p|².
    nesterov
        Whether to look ahead along the velocity; needs momentum and no dampening.

    Raises
    ------
    ValueError
        If an option is out of range; also as for `Optimizer`.

    >>> from tinygrad_cnn import tensor
    >>> p = tensor([1.0], requires_grad=True)
    >>> optimizer = SGD([p], lr=0.1)
    >>> (p * 2).sum().backward()
    >>> optimizer.step()
    >>> p
    tensor([0.8], requires_grad=True)
    """

    state_names = ("momentum_buffer",)
    scratch_arrays = 2

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        maximize: bool = False,
        **accepted: Unpack[Accepted],
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults, **accepted)

    def _check_options(self, options: dict[str, Any]) -> None:
        super()._check_options(options)
        if options["nesterov"] and not (options["momentum"] > 0 and options["dampening"] == 0):
            raise ValueError(
                "SGD: nesterov needs momentum above 0 and dampening 0, got "
                f"{options['momentum']} and {options['dampening']}"
            )

    def _numbers(self, slot: Slot, group: dict[str, Any]) -> tuple[Any, ...]:
        momentum = group["momentum"]
        starts = momentum and not slot.state
        if starts:
            slot.add_state(self.state_names)
        lr, weight_decay, dampening = group["lr"], group["weight_decay"], group["dampening"]
        return lr, momentum, dampening, weight_decay, group["nesterov"], starts

    def _update(
        self, p: Array, g: Array, state: dict[str, Array], scratch: list[Array], numbers: Any
    ) -> None:
        lr, momentum, dampening, weight_decay, nesterov, starts = numbers
        s, t = scratch
        g = penalised(g, p, weight_decay, s)
        if momentum:
            v = state["momentum_buffer"]
            if starts:
                v[...] = g
            else:
                np.multiply(v, momentum, v)
                np.add(v, np.multiply(g, 1 - dampening, t) if dampening else g, v)
            if nesterov:
                np.multiply(v, momentum, t)
                g = np.add(g, t, s)
            else:
                g = v
        np.multiply(g, lr, t)
        np.subtract(p, t, p)
