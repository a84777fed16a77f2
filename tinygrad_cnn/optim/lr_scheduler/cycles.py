"""`OneCycleLR` and `CyclicLR`: rates that rise and fall, and momenta that do the reverse."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

from tinygrad_cnn.optim.lr_scheduler.base import LRScheduler
from tinygrad_cnn.optim.optimizer import Optimizer

__all__ = ["CyclicLR", "OneCycleLR"]


class OneCycleLR(LRScheduler):
    """Raise the rate to its peak, then lower it far below where it started; momentum the other way.

    From max_lr / div_factor up to max_lr at step pct_start · total_steps − 1, then down to
    max_lr / (div_factor · final_div_factor) at step total_steps − 1; after one more step, when no
    training step is left, it stays there. In three phases it falls to the first rate in as many
    steps as it rose, and only then below. Source: Smith and Topin 2019, in the form of PyTorch.

    Parameters
    ----------
    optimizer, last_epoch
        As for `LRScheduler`; the groups' own rates and momenta are replaced.
    max_lr
        The peak; a number, or one for each group.
    total_steps
        How many training steps there will be.
    epochs, steps_per_epoch
        The same as a product, if `total_steps` is None.
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
    three_phase
        Whether to fall to the first rate before falling below it.

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
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR: expects total_steps, or epochs and steps_per_epoch")
            total_steps = epochs * steps_per_epoch
        if total_steps < 1:
            raise ValueError(f"OneCycleLR: total_steps expects at least 1, got {total_steps}")
        if not 0 <= pct_start <= 1:
            raise ValueError(f"OneCycleLR: pct_start expects 0 to 1, got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"OneCycleLR: anneal_strategy expects 'cos' or 'linear', got {anneal_strategy!r}"
            )
        optimizer = self._checked(optimizer)
        self.max_lrs = one_a_group("OneCycleLR: max_lr", max_lr, optimizer)
        self.total_steps = total_steps
        self.pct_start = pct_start
        self.anneal_strategy = anneal_strategy
        self.cycle_momentum = cycle_momentum
        self.base_momentum = base_momentum
        self.max_momentum = max_momentum
        self.div_factor = div_factor
        self.final_div_factor = final_div_factor
        self.three_phase = three_phase
        if cycle_momentum:
            _check_momentum("OneCycleLR", optimizer)
        super().__init__(optimizer, last_epoch)

    def step(self, epoch: int | None = None) -> None:
        """Go one step on and set rates and momenta.

        Raises
        ------
        ValueError
            If that is more than `total_steps`.
        """
        wanted = self.last_epoch + 1 if epoch is None else epoch
        if wanted > self.total_steps:
            raise ValueError(f"OneCycleLR: step {wanted} is beyond total_steps={self.total_steps}")
        super().step(epoch)

    def rates(self) -> list[float]:
        """Return the rates at this number of steps."""
        found = []
        for peak in self.max_lrs:
            first = peak / self.div_factor
            found.append(self._at([first, peak, first, first / self.final_div_factor]))
        return found

    def _set(self) -> None:
        super()._set()
        if self.cycle_momentum:
            low, high = self.base_momentum, self.max_momentum
            for group in self.optimizer.param_groups:
                _set_momentum(group, self._at([high, low, high, high]))

    def _at(self, values: list[float]) -> float:
        """Return the value at this step: of the first, the peak, the first again, and the last."""
        rise = self.pct_start * self.total_steps - 1  # the step of the peak, not always whole
        turns = [0.0, rise, 2 * rise, self.total_steps - 1.0]
        if not self.three_phase:
            del values[2], turns[2]
        t = self.last_epoch
        phase = 1
        while phase < len(turns) - 1 and t > turns[phase]:
            phase += 1
        start, end = values[phase - 1 : phase + 1]
        length = turns[phase] - turns[phase - 1]
        part = min((t - turns[phase - 1]) / length, 1.0) if length > 0 else 1.0
        if self.anneal_strategy == "linear":
            return start + (end - start) * part
        return end + (start - end) / 2 * (1 + math.cos(math.pi * part))


class CyclicLR(LRScheduler):
    """Let the rates rise and fall along straight lines, again and again; momentum the other way.

    Source: Smith 2017.

    Parameters
    ----------
    optimizer, last_epoch
        As for `LRScheduler`; the groups' own rates and momenta are replaced.
    base_lr, max_lr
        The lowest and the highest rate; numbers, or one for each group.
    step_size_up, step_size_down
        Steps of the rise and of the fall (the same, if None).
    mode
        How the height of the cycles changes: ``"triangular"`` stays, ``"triangular2"`` halves,
        ``"exp_range"`` is multiplied by gammaᵗ.
    gamma
        The factor of ``"exp_range"``.
    scale_fn, scale_mode
        Instead of `mode`, a function of the number of the cycle (``"cycle"``), or of the steps
        (``"iterations"``). It is not part of `state_dict`.
    cycle_momentum
        Whether momentum (the first of Adam's betas) falls as the rate rises, and the reverse.
    base_momentum, max_momentum
        The lowest and the highest momentum; numbers, or one for each group.

    Raises
    ------
    ValueError
        If a setting is out of range or the optimiser has no momentum to cycle.

    >>> from tinygrad_cnn.optim import SGD
    >>> from tinygrad_cnn import tensor
    >>> optimizer = SGD([tensor([1.0])], lr=1.0, momentum=0.9)
    >>> schedule = CyclicLR(optimizer, base_lr=0.1, max_lr=0.5, step_size_up=4)
    >>> schedule.step()
    >>> round(schedule.get_last_lr()[0], 6), optimizer.param_groups[0]["momentum"]
    (0.2, 0.875)
    """

    _not_saved = ("optimizer", "scale_fn")

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | Sequence[float],
        max_lr: float | Sequence[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: Literal["cycle", "iterations"] = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.8,
        max_momentum: float | Sequence[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        optimizer = self._checked(optimizer)
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError(
                f"CyclicLR: mode expects 'triangular', 'triangular2' or 'exp_range', got {mode!r}"
            )
        if step_size_up < 1 or (step_size_down is not None and step_size_down < 1):
            raise ValueError(
                f"CyclicLR: steps up and down expect at least 1, got {step_size_up} and "
                f"{step_size_down}"
            )
        self.lowest = one_a_group("CyclicLR: base_lr", base_lr, optimizer)
        self.highest = one_a_group("CyclicLR: max_lr", max_lr, optimizer)
        self.step_size_up = step_size_up
        self.step_size_down = step_size_up if step_size_down is None else step_size_down
        self.mode = mode
        self.gamma = gamma
        self.scale_fn = scale_fn
        self.scale_mode = scale_mode
        self.cycle_momentum = cycle_momentum
        self.base_momenta = one_a_group("CyclicLR: base_momentum", base_momentum, optimizer)
        self.max_momenta = one_a_group("CyclicLR: max_momentum", max_momentum, optimizer)
        if cycle_momentum:
            _check_momentum("CyclicLR", optimizer)
        super().__init__(optimizer, last_epoch)

    def rates(self) -> list[float]:
        """Return the rates at this number of steps."""
        height = self._height()
        pairs = zip(self.lowest, self.highest, strict=True)
        return [low + (high - low) * height for low, high in pairs]

    def _set(self) -> None:
        super()._set()
        if self.cycle_momentum:
            height = self._height()
            momenta = zip(self.base_momenta, self.max_momenta, strict=True)
            for group, (low, high) in zip(self.optimizer.param_groups, momenta, strict=True):
                _set_momentum(group, high - (high - low) * height)

    def _height(self) -> float:
        """How far the rates are from the lowest to the highest."""
        length = self.step_size_up + self.step_size_down
        cycle = math.floor(1 + self.last_epoch / length)
        progress = self.last_epoch / length - (cycle - 1)  # of this cycle, from 0 to 1
        top = self.step_size_up / length
        height = progress / top if progress <= top else (progress - 1) / (top - 1)
        if self.scale_fn is not None:
            return height * self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.mode == "triangular2":
            return height / 2.0 ** (cycle - 1)
        return height * self.gamma**self.last_epoch if self.mode == "exp_range" else height


def one_a_group(name: str, value: float | Sequence[float], optimizer: Optimizer) -> list[float]:
    """Return a number for each group, given one for all or one each."""
    groups = len(optimizer.param_groups)
    values = list(value) if isinstance(value, Sequence) else [value] * groups
    if len(values) != groups:
        raise ValueError(f"{name} expects a number or {groups} of them, got {values}")
    return values


def _check_momentum(name: str, optimizer: Optimizer) -> None:
    if not optimizer.defaults.keys() & {"momentum", "betas"}:
        raise ValueError(
            f"{name}: {type(optimizer).__name__} has no momentum; pass cycle_momentum=False"
        )


def _set_momentum(group: dict[str, Any], momentum: float) -> None:
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum
