"""`LRScheduler`: learning rates that change with the number of steps.

A schedule sets the rates of an optimiser's groups when it is made and at each `step`. Nearly all
are formulas of the number of steps alone, so that one that was saved and loaded goes on exactly.
"""

from __future__ import annotations

import copy
from typing import Any

from tinygrad_cnn.optim.optimizer import Optimizer
from tinygrad_cnn.tensor import Tensor

__all__ = ["LRScheduler", "Schedule"]


class LRScheduler:
    """Set an optimiser's learning rates by the number of steps.

    Parameters
    ----------
    optimizer
        The rates of its groups when its first schedule is made are the base rates; they are kept
        as each group's ``"initial_lr"``.
    last_epoch
        Number of steps already made, less one, as PyTorch counts them: −1 at the start.

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
    ValueError
        If `last_epoch` says that steps were made, and a group has no ``"initial_lr"``.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = self._checked(optimizer)
        self.last_epoch = last_epoch + 1
        for group in optimizer.param_groups:
            if last_epoch == -1:
                group.setdefault("initial_lr", float(group["lr"]))
            elif "initial_lr" not in group:
                raise ValueError(
                    f"{type(self).__name__}: to go on from last_epoch={last_epoch} every group "
                    "needs its 'initial_lr'; load the optimiser's state first"
                )
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self._set()

    def _checked(self, optimizer: Any) -> Optimizer:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"{type(self).__name__}: expected an Optimizer, got {type(optimizer).__name__}"
            )
        return optimizer

    def rates(self) -> list[float]:
        """Return the learning rate of each group at this number of steps."""
        raise NotImplementedError(f"{type(self).__name__}: rates is not defined")

    def step(self, epoch: int | None = None) -> None:
        """Go one step on, after the optimiser's step, or to a number of steps; set the rates."""
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        self._set()

    def restart(self) -> None:
        """Begin again at step 0, from the base rates, and set the rates."""
        self.last_epoch = 0
        self._set()

    def get_last_lr(self) -> list[float]:
        """Return the learning rate of each group as it is now."""
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return number of steps and settings: numbers, strings and lists, ready for JSON."""
        return {n: copy.deepcopy(v) for n, v in vars(self).items() if n not in self._not_saved}

    _not_saved: tuple[str, ...] = ("optimizer",)

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
            _set_lr(group, lr)

    def __repr__(self) -> str:
        hidden = (*self._not_saved, "base_lrs")
        shown = ", ".join(f"{n}={v}" for n, v in vars(self).items() if n not in hidden)
        return f"{type(self).__name__}({shown})"


Schedule = LRScheduler


def _set_lr(group: dict[str, Any], lr: float) -> None:
    """Set a group's rate; one that is a tensor keeps its memory."""
    if isinstance(group["lr"], Tensor):
        group["lr"]._data[...] = lr
    else:
        group["lr"] = lr
