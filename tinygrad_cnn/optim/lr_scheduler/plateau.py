"""`ReduceLROnPlateau`: rates that fall when a measure no longer improves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from tinygrad_cnn.optim.lr_scheduler.base import LRScheduler
from tinygrad_cnn.optim.lr_scheduler.cycles import one_a_group
from tinygrad_cnn.optim.optimizer import Optimizer
from tinygrad_cnn.tensor import Tensor

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(LRScheduler):
    """Multiply the rates by a factor once a measure has not improved for some steps.

    Parameters
    ----------
    optimizer
        Its rates are where it begins.
    mode
        ``"min"`` if less is better, as of a loss, or ``"max"``.
    factor
        What the rates are multiplied by, below 1.
    patience
        How many steps without improvement are put up with.
    threshold, threshold_mode
        How much better counts: relative to the best so far (``"rel"``), or absolutely (``"abs"``).
    cooldown
        Steps after a change in which nothing is counted.
    min_lr
        The lowest rate; a number, or one for each group.
    eps
        A change of a rate below this is not made.

    Raises
    ------
    ValueError
        If a setting is out of range.

    >>> from tinygrad_cnn.optim import SGD
    >>> from tinygrad_cnn import tensor
    >>> schedule = ReduceLROnPlateau(SGD([tensor([1.0])], lr=1.0), factor=0.5, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     schedule.step(loss)
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if not factor < 1:
            raise ValueError(f"ReduceLROnPlateau: factor expects less than 1, got {factor}")
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ValueError(
                "ReduceLROnPlateau: mode expects 'min' or 'max' and threshold_mode 'rel' or "
                f"'abs', got {mode!r} and {threshold_mode!r}"
            )
        optimizer = self._checked(optimizer)
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.min_lrs = one_a_group("ReduceLROnPlateau: min_lr", min_lr, optimizer)
        self.eps = eps
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        self.current = [float(group["lr"]) for group in optimizer.param_groups]
        super().__init__(optimizer)

    def step(self, metrics: Any = None, epoch: int | None = None) -> None:  # type: ignore[override]
        """Take note of the measure, and lower the rates if it has not improved for too long.

        Raises
        ------
        TypeError
            If there is no measure.
        """
        if metrics is None:
            raise TypeError("ReduceLROnPlateau: step expects the measure, as step(loss)")
        value = float(metrics.item() if isinstance(metrics, Tensor) else metrics)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._better(value):
            self.best = value
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        self.current = [float(group["lr"]) for group in self.optimizer.param_groups]
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
            lowered = [
                max(lr * self.factor, least)
                for lr, least in zip(self.current, self.min_lrs, strict=True)
            ]
            self.current = [
                new if lr - new > self.eps else lr
                for lr, new in zip(self.current, lowered, strict=True)
            ]
        self._set()

    def _better(self, value: float) -> bool:
        margin = self.threshold * (abs(self.best) if self.threshold_mode == "rel" else 1)
        if math.isinf(self.best):
            margin = 0.0
        if self.mode == "min":
            return value < self.best - margin
        return value > self.best + margin

    def rates(self) -> list[float]:
        """Return the rates as they are now."""
        return list(self.current)
