"""Averages of a model's weights over training: stochastic weight averaging, and moving averages.

Averaged weights often do better than the last ones. Sources: Izmailov et al. 2018 (averages of
equal weight); Polyak and Juditsky 1992 (averages over the steps). Under PyTorch's name.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np

from tinygrad_cnn.autograd import no_grad
from tinygrad_cnn.inplace import before_writing, changed
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.optim.lr_scheduler.base import LRScheduler
from tinygrad_cnn.optim.lr_scheduler.cycles import one_a_group
from tinygrad_cnn.optim.optimizer import Optimizer
from tinygrad_cnn.tensor import Tensor

__all__ = ["SWALR", "AveragedModel", "get_ema_avg_fn", "update_bn"]

Average = Callable[[Any, Any, int], Any]


class AveragedModel(Module):
    """A copy of a model whose parameters are the average of the model's over the updates.

    Parameters
    ----------
    model
        The model to follow; it is copied.
    avg_fn
        ``avg_fn(average, value, n)`` returns the new average after n updates; by default all
        updates weigh the same: average + (value − average) / (n + 1).
    use_buffers
        Whether buffers, such as running statistics, are averaged too; otherwise they are copied.

    Attributes
    ----------
    module
        The copy.
    n_averaged
        How many updates there were.

    >>> from tinygrad_cnn import nn
    >>> model = nn.Linear(1, 1)
    >>> averaged = AveragedModel(model)
    >>> for weight in (1.0, 3.0):
    ...     _ = nn.init.constant_(model.weight, weight)
    ...     averaged.update_parameters(model)
    >>> averaged.module.weight.tolist()
    [[2.0]]
    """

    def __init__(
        self,
        model: Module,
        avg_fn: Average | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        self.module = copy.deepcopy(model)
        self.n_averaged: Tensor
        self.register_buffer("n_averaged", Tensor(np.array(0)))
        self.avg_fn = avg_fn or _equal_weights
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the copy."""
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model: Module) -> None:
        """Take the model's parameters into the average; the first ones become it.

        Raises
        ------
        ValueError
            If the model's parameters are not those of the copy.
        """
        n = self.n_averaged.item()
        pairs = _pairs(self.module.named_parameters(), model.named_parameters())
        others = _pairs(self.module.named_buffers(), model.named_buffers())
        if self.use_buffers:
            pairs, others = pairs + others, []
        for average, value in pairs:
            moves = n and average.dtype.kind == "f"
            before_writing(average)
            average[...] = self.avg_fn(average, value, n) if moves else value
            changed(average)
        for average, value in others:
            before_writing(average)
            average[...] = value
            changed(average)
        self.n_averaged.copy_(n + 1)


def _pairs(ours: Iterable[tuple[str, Any]], theirs: Iterable[tuple[str, Any]]) -> list[Any]:
    """Return the arrays of two models side by side."""
    one, two = ({n: t._data if isinstance(t, Tensor) else t for n, t in x} for x in (ours, theirs))
    if {n: a.shape for n, a in one.items()} != {n: a.shape for n, a in two.items()}:
        raise ValueError("AveragedModel: the model's names or shapes are not those of the copy")
    return [(one[name], two[name]) for name in one]


def _equal_weights(average: Any, value: Any, n: int) -> Any:
    return average + (value - average) / (n + 1)


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """Return an average that forgets: decay · average + (1 − decay) · value.

    Raises
    ------
    ValueError
        If `decay` is not in [0, 1].

    >>> get_ema_avg_fn(0.75)(4.0, 8.0, 1)
    5.0
    """
    if not 0 <= decay <= 1:
        raise ValueError(f"get_ema_avg_fn: decay expects 0 to 1, got {decay}")

    def average(average: Any, value: Any, n: int) -> Any:  # noqa: ARG001  # all weigh alike
        return decay * average + (1 - decay) * value

    return average


def update_bn(loader: Iterable[Any], model: Module) -> None:
    """Compute the running statistics of batch normalisations anew, for averaged weights.

    Parameters
    ----------
    loader
        Batches of inputs, or tuples that begin with the inputs; read once.
    model
        The model; it is left in the mode it was in.
    """
    norms: list[Any] = [m for m in model.modules() if getattr(m, "running_mean", None) is not None]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    modes = [(m, m.training) for m in model.modules()]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all batches
    model.train()
    try:
        with no_grad():
            for batch in loader:
                model(batch[0] if isinstance(batch, (tuple, list)) else batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, training in modes:
            module.training = training


class SWALR(LRScheduler):
    """Move the rates to a constant one, at which weights are then averaged.

    Parameters
    ----------
    optimizer, last_epoch
        As for `LRScheduler`.
    swa_lr
        The constant rate; a number, or one for each group.
    anneal_epochs
        How many steps it takes to get there.
    anneal_strategy
        ``"cos"`` or ``"linear"``.

    Raises
    ------
    ValueError
        If a setting is out of range.

    >>> from tinygrad_cnn.optim import SGD
    >>> from tinygrad_cnn import tensor
    >>> schedule = SWALR(SGD([tensor([1.0])], lr=1.0), 0.5, 2, "linear")
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.75]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        last_epoch: int = -1,
    ) -> None:
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"SWALR: anneal_strategy expects 'cos' or 'linear', got {anneal_strategy!r}"
            )
        if anneal_epochs < 0:
            raise ValueError(f"SWALR: anneal_epochs expects at least 0, got {anneal_epochs}")
        self.starts = [float(group["lr"]) for group in self._checked(optimizer).param_groups]
        self.swa_lrs = one_a_group("SWALR: swa_lr", swa_lr, optimizer)
        self.anneal_epochs = anneal_epochs
        self.anneal_strategy = anneal_strategy
        super().__init__(optimizer, last_epoch)

    def rates(self) -> list[float]:
        """Return the rates at this number of steps."""
        part = min(1.0, self.last_epoch / max(1, self.anneal_epochs))
        if self.anneal_strategy == "cos":
            part = (1 - math.cos(math.pi * part)) / 2
        pairs = zip(self.starts, self.swa_lrs, strict=True)
        return [start + (end - start) * part for start, end in pairs]
