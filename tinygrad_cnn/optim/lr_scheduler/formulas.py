"""Schedules that are a formula of the number of steps.

In the formulas t is the number of steps made, and base the rate of a group at the start.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable

from tinygrad_cnn.optim.lr_scheduler.base import LRScheduler
from tinygrad_cnn.optim.optimizer import Optimizer

__all__ = [
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "LinearLR",
    "MultiStepLR",
    "PolynomialLR",
    "StepLR",
]


class StepLR(LRScheduler):
    """Multiply the rates by gamma every so many steps: base · gamma^⌊t / step_size⌋.

    Parameters
    ----------
    optimizer, last_epoch
        As for `LRScheduler`.
    step_size
        Steps between two changes.
    gamma
        The factor.

    Raises
    ------
    ValueError
        If `step_size` is less than 1.

    >>> from tinygrad_cnn.optim import SGD
    >>> from tinygrad_cnn import tensor
    >>> schedule = StepLR(SGD([tensor([1.0])], lr=1.0), step_size=2, gamma=0.5)
    >>> for _ in range(3):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        if step_size < 1:
            raise ValueError(f"StepLR: step_size expects at least 1, got {step_size}")
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rates(self) -> list[float]:
        """Return the rates at this number of steps."""
        factor = self.gamma ** (self.last_epoch // self.step_size)
        return [base * factor for base in self.base_lrs]


class CosineAnnealingLR(LRScheduler):
    """Lower the rates along half a cosine: eta_min + ½ (base − eta_min) (1 + cos(π t / T_max)).

    Beyond T_max the cosine goes on, up again. Source: Loshchilov and Hutter 2017, equation 5.

    Parameters
    ----------
    optimizer, last_epoch
        As for `LRScheduler`.
    T_max
        Steps down to the lowest rate.
    eta_min
        The lowest rate.

    Raises
    ------
    ValueError
        If `T_max` is less than 1.

    >>> from tinygrad_cnn.optim import SGD
    >>> from tinygrad_cnn import tensor
    >>> schedule = CosineAnnealingLR(SGD([tensor([1.0])], lr=1.0), T_max=2)
    >>> schedule.step()
    >>> round(schedule.get_last_lr()[0], 6)
    0.5
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        if T_max < 1:
            raise ValueError(f"CosineAnnealingLR: T_max expects at least 1, got {T_max}")
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def rates(self) -> list[float]:
        """Return the rates at this number of steps."""
        height = (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]


class MultiStepLR(LRScheduler):
    """Multiply the rates by gamma at given steps: base · gamma^(milestones up to t).

    Parameters
    ----------
    optimizer, last_epoch
        As for `LRScheduler`.
    milestones
        The steps, in any order; one given twice counts twice.
    gamma
        The factor.

    >>> from tinygrad_cnn.optim import SGD
    >>> from tinygrad_cnn import tensor
    >>> schedule = MultiStepLR(SGD([tensor([1.0])], lr=1.0), milestones=[1, 3], gamma=0.5)
    >>> for _ in range(3):
    ...     schedule.step()
    >>> round(schedule.get_last_lr()[0], 6)
    0.25
    """

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        self.milestones = sorted(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rates(self) -> list[float]:
        """Return the rates at this number of steps."""
        factor = self.gamma ** bisect.bisect_right(self.milestones, self.last_epoch)
        return [base * factor for base in self.base_lrs]


class ExponentialLR(LRScheduler):
    """Multiply the rates by gamma at every step: base · gammaᵗ.

    Parameters
    ----------
    optimizer, last_epoch
        As for `LRScheduler`.
    gamma
        The factor.

    >>> from tinygrad_cnn.optim import SGD
    >>> from tinygrad_cnn import tensor
    >>> schedule = ExponentialLR(SGD([tensor([1.0])], lr=1.0), gamma=0.5)
    >>> for _ in range(2):
    ...     schedule.step()
    >>> round(schedule.get_last_lr()[0], 6)
    0.25
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rates(self) -> list[float]:
        """Return the rates at this number of steps."""
        return [base * self.gamma**self.last_epoch for base in self.base_lrs]


class ConstantLR(LRScheduler):
    """Multiply the rates by a factor for the first steps, then by 1.

    Parameters
    ----------
    optimizer, last_epoch
        As for `LRScheduler`.
    factor
        The factor, in [0, 1].
    total_iters
        How many steps it holds.

    Raises
    ------
    ValueError
        If `factor` is out of range.

    >>> from tinygrad_cnn.optim import SGD
    >>> from tinygrad_cnn import tensor
    >>> schedule = ConstantLR(SGD([tensor([1.0])], lr=1.0), factor=0.5, total_iters=2)
    >>> for _ in range(1):
    ...     schedule.step()
    >>> round(schedule.get_last_lr()[0], 6)
    0.5
    """

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        _check_factor("ConstantLR: factor", factor, 0)
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def rates(self) -> list[float]:
        """Return the rates at this number of steps."""
        factor = self.factor if self.last_epoch < self.total_iters else 1.0
        return [base * factor for base in self.base_lrs]


class LinearLR(LRScheduler):
    """Move the rates' factor along a line: base · (start + (end − start) · min(t, T) / T).

    Parameters
    ----------
    optimizer, last_epoch
        As for `LRScheduler`.
    start_factor, end_factor
        The factors at the start, in (0, 1], and from step T on, in [0, 1].
    total_iters
        T, the steps from one to the other.

    Raises
    ------
    ValueError
        If a factor is out of range.

    >>> from tinygrad_cnn.optim import SGD
    >>> from tinygrad_cnn import tensor
    >>> schedule = LinearLR(SGD([tensor([1.0])], lr=1.0), start_factor=0.5, total_iters=4)
    >>> for _ in range(2):
    ...     schedule.step()
    >>> round(schedule.get_last_lr()[0], 6)
    0.75
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        _check_factor("LinearLR: start_factor", start_factor, 1e-300)
        _check_factor("LinearLR: end_factor", end_factor, 0)
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def rates(self) -> list[float]:
        """Return the rates at this number of steps."""
        part = _part(self.last_epoch, self.total_iters)
        factor = self.start_factor + (self.end_factor - self.start_factor) * part
        return [base * factor for base in self.base_lrs]


class PolynomialLR(LRScheduler):
    """Lower the rates to 0 along a power of the time left: base · (1 − min(t, T) / T)^power.

    Parameters
    ----------
    optimizer, last_epoch
        As for `LRScheduler`.
    total_iters
        T, the steps down to 0.
    power
        The power; 1 is a line.

    >>> from tinygrad_cnn.optim import SGD
    >>> from tinygrad_cnn import tensor
    >>> schedule = PolynomialLR(SGD([tensor([1.0])], lr=1.0), total_iters=4, power=2.0)
    >>> for _ in range(2):
    ...     schedule.step()
    >>> round(schedule.get_last_lr()[0], 6)
    0.25
    """

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1
    ) -> None:
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def rates(self) -> list[float]:
        """Return the rates at this number of steps."""
        factor = (1 - _part(self.last_epoch, self.total_iters)) ** self.power
        return [base * factor for base in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Lower the rates along half a cosine, again and again, each time from the top.

    Within a descent of length T: eta_min + ½ (base − eta_min) (1 + cos(π t / T)). Source:
    Loshchilov and Hutter 2017, equation 5.

    Parameters
    ----------
    optimizer, last_epoch
        As for `LRScheduler`.
    T_0
        Steps of the first descent.
    T_mult
        How many times as long each descent is as the one before.
    eta_min
        The lowest rate.

    Raises
    ------
    ValueError
        If `T_0` or `T_mult` is less than 1.

    >>> from tinygrad_cnn.optim import SGD
    >>> from tinygrad_cnn import tensor
    >>> schedule = CosineAnnealingWarmRestarts(SGD([tensor([1.0])], lr=1.0), T_0=2)
    >>> for _ in range(3):
    ...     schedule.step()
    >>> round(schedule.get_last_lr()[0], 6)
    0.5
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        if T_0 < 1 or T_mult < 1:
            raise ValueError(
                "CosineAnnealingWarmRestarts: T_0 and T_mult expect at least 1, "
                f"got {T_0} and {T_mult}"
            )
        self.T_0 = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def rates(self) -> list[float]:
        """Return the rates at this number of steps."""
        t, length = self.last_epoch, self.T_0
        if self.T_mult == 1:
            t %= length
        while t >= length:
            t -= length
            length *= self.T_mult
        height = (1 + math.cos(math.pi * t / length)) / 2
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]


def _part(t: int, total: int) -> float:
    """How much of the way is done after t of so many steps, from 0 to 1."""
    return min(t, total) / total if total > 0 else 1.0


def _check_factor(name: str, factor: float, least: float) -> None:
    if not least <= factor <= 1:
        raise ValueError(f"{name} expects a number from 0 to 1, got {factor}")
