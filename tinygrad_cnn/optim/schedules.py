"""Schedules: learning rates that change with the number of steps.

A schedule sets the rates of an optimiser's groups when it is made and at each `step`, as a formula
of the number of steps alone, so that one that was saved and loaded goes on exactly.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any, Literal

from tinygrad_cnn.optim.optimizer import Optimizer


class Schedule:
    """Set an optimiser's learning rates by the number of steps.

    Parameters
    ----------
    optimizer
        Its groups' rates at this moment are the base rates.

    Attributes
    ----------
    last_epoch
        How many times `step` was called.
    base_lrs
        The base rate of each group.

    Raises
    ------
    TypeError
        If `optimizer` is something else.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"{type(self).__name__}: expected an Optimizer, got {type(optimizer).__name__}"
            )
        self.optimizer = optimizer
        self.last_epoch = 0
        self.base_lrs: list[float] = [group["lr"] for group in optimizer.param_groups]
        self._set()

    def rates(self) -> list[float]:
        """Return the learning rate of each group at this number of steps."""
        raise NotImplementedError(f"{type(self).__name__}: rates is not defined")

    def step(self) -> None:
        """Go one step on and set the rates; call it after the optimiser's step."""
        self.last_epoch += 1
        self._set()

    def get_last_lr(self) -> list[float]:
        """Return the learning rate of each group as it is now."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return number of steps and settings: numbers, strings and lists, ready for JSON."""
        state = {name: value for name, value in vars(self).items() if name != "optimizer"}
        return copy.deepcopy(state)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned, and set the rates.

        Raises
        ------
        ValueError
            If it is of another kind of schedule, or of another number of groups.
        """
        expected = self.state_dict()
        if state_dict.keys() != expected.keys():
            raise ValueError(
                f"{type(self).__name__}: load_state_dict: expected {sorted(expected)}, "
                f"got {sorted(state_dict)}"
            )
        groups = len(state_dict["base_lrs"])
        if groups != len(self.base_lrs):
            raise ValueError(
                f"{type(self).__name__}: load_state_dict: the optimiser has "
                f"{len(self.base_lrs)} groups, the state {groups}"
            )
        vars(self).update(copy.deepcopy(state_dict))
        self._set()

    def _set(self) -> None:
        for group, lr in zip(self.optimizer.param_groups, self.rates(), strict=True):
            group["lr"] = lr


class StepLR(Schedule):
    """Multiply the rates by gamma every so many steps: base · gamma^⌊t / step_size⌋.

    Parameters
    ----------
    optimizer
        Its rates are the base rates.
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

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        if step_size < 1:
            raise ValueError(f"StepLR: step_size expects at least 1, got {step_size}")
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer)

    def rates(self) -> list[float]:
        """Return the rates at this number of steps."""
        factor = self.gamma ** (self.last_epoch // self.step_size)
        return [base * factor for base in self.base_lrs]


class CosineAnnealingLR(Schedule):
    """Lower the rates along half a cosine: eta_min + ½ (base − eta_min) (1 + cos(π t / T_max)).

    Beyond T_max the cosine goes on, up again. Source: Loshchilov and Hutter 2017, equation 5.

    Parameters
    ----------
    optimizer
        Its rates are the base rates.
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

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        if T_max < 1:
            raise ValueError(f"CosineAnnealingLR: T_max expects at least 1, got {T_max}")
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer)

    def rates(self) -> list[float]:
        """Return the rates at this number of steps."""
        height = (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]


class OneCycleLR(Schedule):
    """Raise the rate to its peak, then lower it far below where it started; momentum the other way.

    From max_lr / div_factor up to max_lr at step pct_start · total_steps − 1, then down to
    max_lr / (div_factor · final_div_factor) at step total_steps − 1; after one more step, when no
    training step is left, it stays there. Source: Smith and Topin 2019, in the form of PyTorch.

    Parameters
    ----------
    optimizer
        Its own rates and momenta are replaced.
    max_lr
        The peak; a number, or one for each group.
    total_steps
        How many training steps there will be.
    pct_start
        The part of the steps that rises, in [0, 1].
    anneal_strategy
        ``"cos"`` or ``"linear"``.
    cycle_momentum
        Whether momentum (the first of Adam's betas) falls as the rate rises, and the reverse.
    base_momentum, max_momentum
        The lowest and the highest momentum.
    div_factor, final_div_factor
        The first rate is max_lr / div_factor, the last one that / final_div_factor.

    Raises
    ------
    ValueError
        If a setting is out of range or the optimiser has no momentum to cycle; and by `step`, if
        it goes beyond `total_steps`.

    >>> from tinygrad_cnn.optim import SGD
    >>> from tinygrad_cnn import tensor
    >>> optimizer = SGD([tensor([1.0])], lr=1.0, momentum=0.9)
    >>> schedule = OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
    >>> round(schedule.get_last_lr()[0], 6), optimizer.param_groups[0]["momentum"]
    (0.04, 0.95)
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
    ) -> None:
        if total_steps < 1:
            raise ValueError(f"OneCycleLR: total_steps expects at least 1, got {total_steps}")
        if not 0 <= pct_start <= 1:
            raise ValueError(f"OneCycleLR: pct_start expects 0 to 1, got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"OneCycleLR: anneal_strategy expects 'cos' or 'linear', got {anneal_strategy!r}"
            )
        self.max_lrs = list(max_lr) if isinstance(max_lr, Sequence) else [max_lr]
        self.total_steps = total_steps
        self.pct_start = pct_start
        self.anneal_strategy = anneal_strategy
        self.cycle_momentum = cycle_momentum
        self.base_momentum = base_momentum
        self.max_momentum = max_momentum
        self.div_factor = div_factor
        self.final_div_factor = final_div_factor
        self._check(optimizer, single=not isinstance(max_lr, Sequence))
        super().__init__(optimizer)

    def _check(self, optimizer: Optimizer, single: bool) -> None:
        groups = len(optimizer.param_groups)
        if single:
            self.max_lrs *= groups
        if len(self.max_lrs) != groups:
            raise ValueError(
                f"OneCycleLR: max_lr expects a number or {groups} of them, got {self.max_lrs}"
            )
        if self.cycle_momentum and not optimizer.defaults.keys() & {"momentum", "betas"}:
            raise ValueError(
                f"OneCycleLR: {type(optimizer).__name__} has no momentum; pass cycle_momentum=False"
            )

    def step(self) -> None:
        """Go one step on and set rates and momenta.

        Raises
        ------
        ValueError
            If that is more than `total_steps`.
        """
        if self.last_epoch >= self.total_steps:
            raise ValueError(
                f"OneCycleLR: step {self.last_epoch + 1} is beyond total_steps={self.total_steps}"
            )
        super().step()

    def rates(self) -> list[float]:
        """Return the rates at this number of steps."""
        return [
            self._between(
                peak / self.div_factor, peak, peak / self.div_factor / self.final_div_factor
            )
            for peak in self.max_lrs
        ]

    def _set(self) -> None:
        super()._set()
        if not self.cycle_momentum:
            return
        momentum = self._between(self.max_momentum, self.base_momentum, self.max_momentum)
        for group in self.optimizer.param_groups:
            if "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum

    def _between(self, first: float, peak: float, last: float) -> float:
        """Return the value at this step on the way from the first over the peak to the last."""
        turn = self.pct_start * self.total_steps - 1  # the step of the peak, not always a whole one
        t = self.last_epoch
        if t <= turn:
            start, end, begin, length = first, peak, 0.0, turn
        else:
            start, end, begin, length = peak, last, turn, self.total_steps - 1 - turn
        part = min((t - begin) / length, 1.0) if length > 0 else 1.0
        if self.anneal_strategy == "linear":
            return start + (end - start) * part
        return end + (start - end) / 2 * (1 + math.cos(math.pi * part))
