"""`LambdaLR` and `MultiplicativeLR`: schedules that are functions of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tinygrad_cnn.optim.lr_scheduler.base import LRScheduler
from tinygrad_cnn.optim.optimizer import Optimizer

__all__ = ["LambdaLR", "MultiplicativeLR"]

Function = Callable[[int], float]


class _Functions(LRScheduler):
    """A schedule by a function, or one for each group; functions are not part of its state."""

    _not_saved = ("optimizer", "lr_lambdas")

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Function | Sequence[Function],
        last_epoch: int = -1,
    ) -> None:
        groups = len(self._checked(optimizer).param_groups)
        functions = list(lr_lambda) if isinstance(lr_lambda, Sequence) else [lr_lambda] * groups
        if len(functions) != groups or not all(callable(f) for f in functions):
            raise ValueError(
                f"{type(self).__name__}: lr_lambda expects a function or {groups} of them"
            )
        self.lr_lambdas = functions
        super().__init__(optimizer, last_epoch)


class LambdaLR(_Functions):
    """Multiply the base rates by a function of the number of steps: base · f(t).

    Parameters
    ----------
    optimizer, last_epoch
        As for `LRScheduler`.
    lr_lambda
        The function, or one for each group. It is not part of `state_dict`.

    Raises
    ------
    ValueError
        If there are not as many functions as groups.

    >>> from tinygrad_cnn.optim import SGD
    >>> from tinygrad_cnn import tensor
    >>> schedule = LambdaLR(SGD([tensor([1.0])], lr=1.0), lambda t: 1 / (1 + t))
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    def rates(self) -> list[float]:
        """Return the rates at this number of steps."""
        pairs = zip(self.base_lrs, self.lr_lambdas, strict=True)
        return [base * function(self.last_epoch) for base, function in pairs]


class MultiplicativeLR(_Functions):
    """Multiply the rates at each step by a function of the number of steps: lr ← lr · f(t).

    Parameters
    ----------
    optimizer, last_epoch
        As for `LRScheduler`.
    lr_lambda
        The function, or one for each group. It is not part of `state_dict`.

    Raises
    ------
    ValueError
        If there are not as many functions as groups.

    >>> from tinygrad_cnn.optim import SGD
    >>> from tinygrad_cnn import tensor
    >>> schedule = MultiplicativeLR(SGD([tensor([1.0])], lr=1.0), lambda t: 0.5)
    >>> for _ in range(2):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Function | Sequence[Function],
        last_epoch: int = -1,
    ) -> None:
        self.current: list[float] = [
            float(group.get("initial_lr", group["lr"]))
            for group in self._checked(optimizer).param_groups
        ]
        super().__init__(optimizer, lr_lambda, last_epoch)

    def step(self, epoch: int | None = None) -> None:
        """Go one step on and multiply the rates."""
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        pairs = zip(self.current, self.lr_lambdas, strict=True)
        self.current = [lr * function(self.last_epoch) for lr, function in pairs]
        self._set()

    def rates(self) -> list[float]:
        """Return the rates as they are now."""
        return list(self.current)

    def restart(self) -> None:
        """Begin again at the base rates."""
        self.current = list(self.base_lrs)
        super().restart()
