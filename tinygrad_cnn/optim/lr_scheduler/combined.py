"""`SequentialLR` and `ChainedScheduler`: schedules made of schedules."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from typing import Any

from tinygrad_cnn.optim.lr_scheduler.base import LRScheduler
from tinygrad_cnn.optim.lr_scheduler.plateau import ReduceLROnPlateau
from tinygrad_cnn.optim.optimizer import Optimizer

__all__ = ["ChainedScheduler", "SequentialLR"]


class _Combined(LRScheduler):
    """A schedule that holds others, whose states go into its own."""

    _not_saved = ("optimizer", "schedulers")

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler]) -> None:
        name = type(self).__name__
        schedulers = list(schedulers)
        if not schedulers:
            raise ValueError(f"{name}: expects at least one schedule")
        for schedule in schedulers:
            if schedule.optimizer is not optimizer:
                raise ValueError(f"{name}: all schedules must be of the same optimiser")
            if isinstance(schedule, ReduceLROnPlateau):
                raise ValueError(f"{name}: ReduceLROnPlateau needs a measure and stands alone")
        self.schedulers = schedulers
        super().__init__(optimizer)

    def state_dict(self) -> dict[str, Any]:
        """Return number of steps and settings, and the states of the schedules."""
        parts = [schedule.state_dict() for schedule in self.schedulers]
        return {**super().state_dict(), "schedulers": parts}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned, and set the rates.

        Raises
        ------
        ValueError
            If it is of other schedules.
        """
        parts = state_dict.get("schedulers", ())
        if len(parts) != len(self.schedulers):
            raise ValueError(
                f"{type(self).__name__}: load_state_dict: expected the states of "
                f"{len(self.schedulers)} schedules, got {len(parts)}"
            )
        before = self.state_dict()
        try:
            for schedule, part in zip(self.schedulers, parts, strict=True):
                schedule.load_state_dict(part)
            own = {n: v for n, v in state_dict.items() if n != "schedulers"}
            if own.keys() != before.keys() - {"schedulers"}:
                raise ValueError(
                    f"{type(self).__name__}: load_state_dict: expected {sorted(before)}, "
                    f"got {sorted(state_dict)}"
                )
        except ValueError:
            for schedule, part in zip(self.schedulers, before["schedulers"], strict=True):
                schedule.load_state_dict(part)
            raise
        vars(self).update(own)
        self._set()


class SequentialLR(_Combined):
    """One schedule after the other, each from its own beginning.

    Parameters
    ----------
    optimizer
        The optimiser of all schedules.
    schedulers
        The schedules, in order.
    milestones
        The steps at which the second, the third, … begin.

    Raises
    ------
    ValueError
        If there is not one milestone less than schedules, or they are of several optimisers.

    >>> from tinygrad_cnn.optim import SGD
    >>> from tinygrad_cnn import tensor
    >>> from tinygrad_cnn.optim.lr_scheduler import ConstantLR, ExponentialLR
    >>> optimizer = SGD([tensor([1.0])], lr=1.0)
    >>> warm_up, decay = ConstantLR(optimizer, 0.1, 9), ExponentialLR(optimizer, 0.5)
    >>> schedule = SequentialLR(optimizer, [warm_up, decay], milestones=[2])
    >>> rates = []
    >>> for _ in range(4):
    ...     rates += schedule.get_last_lr()
    ...     schedule.step()
    >>> rates
    [0.1, 0.1, 1.0, 0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        if len(milestones) != len(schedulers) - 1 or sorted(milestones) != list(milestones):
            raise ValueError(
                f"SequentialLR: {len(schedulers)} schedules need {len(schedulers) - 1} milestones "
                f"in order, got {list(milestones)}"
            )
        self.milestones = list(milestones)
        super().__init__(optimizer, schedulers)
        for _ in range(last_epoch + 1):
            self.step()

    def step(self, epoch: int | None = None) -> None:
        """Go one step on and set the rates.

        Raises
        ------
        ValueError
            If a number of steps is given: the schedules go on one by one.
        """
        if epoch is not None:
            raise ValueError(f"{type(self).__name__}: step takes no number of steps")
        self.last_epoch += 1
        turn = bisect.bisect_right(self.milestones, self.last_epoch)
        if turn and self.milestones[turn - 1] == self.last_epoch:
            self.schedulers[turn].restart()
        else:
            self.schedulers[turn].step()

    def rates(self) -> list[float]:
        """Return the rates at this number of steps."""
        turn = bisect.bisect_right(self.milestones, self.last_epoch)
        return self.schedulers[turn].rates()

    def _set(self) -> None:
        turn = bisect.bisect_right(self.milestones, self.last_epoch)
        self.schedulers[turn]._set()


class ChainedScheduler(_Combined):
    """Several schedules at the same time: their factors of the base rates are multiplied.

    Parameters
    ----------
    schedulers
        The schedules, of one optimiser.
    optimizer
        That optimiser; the schedules' own if None.

    Raises
    ------
    ValueError
        If there are no schedules, or they are of several optimisers.

    >>> from tinygrad_cnn.optim import SGD
    >>> from tinygrad_cnn import tensor
    >>> from tinygrad_cnn.optim.lr_scheduler import ConstantLR, ExponentialLR
    >>> optimizer = SGD([tensor([1.0])], lr=1.0)
    >>> both = [ConstantLR(optimizer, 0.5, 9), ExponentialLR(optimizer, 0.5)]
    >>> schedule = ChainedScheduler(both)
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(
        self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None
    ) -> None:
        schedulers = list(schedulers)
        if not schedulers:
            raise ValueError("ChainedScheduler: expects at least one schedule")
        super().__init__(optimizer or schedulers[0].optimizer, schedulers)

    def step(self, epoch: int | None = None) -> None:
        """Go one step on with every schedule and set the rates."""
        for schedule in self.schedulers:
            schedule.step(epoch)
        super().step(epoch)

    def rates(self) -> list[float]:
        """Return the rates at this number of steps."""
        found = []
        for base, *rates in zip(
            self.base_lrs, *(schedule.rates() for schedule in self.schedulers), strict=True
        ):
            found.append(base * math.prod(rate / base for rate in rates) if base else 0.0)
        return found
