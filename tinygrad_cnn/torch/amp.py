"""``torch.amp``: mixed precision is for graphics cards; on the processor all stays as it is."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from tinygrad_cnn.torch.absent import absent

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_enabled"]


class autocast:  # noqa: N801  # PyTorch's name
    """Change nothing inside: a context manager and a decorator.

    >>> with autocast("cpu", enabled=True):
    ...     pass
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __enter__(self) -> autocast:
        return self

    def __exit__(self, *_: object) -> None: ...

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function."""
        return function


def is_autocast_enabled(*_: Any) -> bool:
    """Whether types are chosen by the operation: never."""
    return False


class GradScaler:
    """Scale nothing: ``scale(loss)`` is the loss, ``step(optimizer)`` the optimiser's step."""

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def scale(self, outputs: Any) -> Any:
        """Return what is given."""
        return outputs

    def unscale_(self, optimizer: Any) -> None:
        """Do nothing: gradients are not scaled."""

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """Let the optimiser step."""
        return optimizer.step(*args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        """Do nothing: the scale is 1."""

    def get_scale(self) -> float:
        """Return 1."""
        return 1.0

    def is_enabled(self) -> bool:
        """Return False."""
        return False

    def state_dict(self) -> dict[str, Any]:
        """Return nothing, as one that is not enabled does."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Accept what `state_dict` returns."""


def custom_fwd(fwd: Any = None, **kwargs: Any) -> Any:
    """Return the function: a decorator of a `Function`'s forward."""
    return functools.partial(custom_fwd, **kwargs) if fwd is None else fwd


def custom_bwd(bwd: Any = None, **kwargs: Any) -> Any:
    """Return the function: a decorator of a `Function`'s backward."""
    return functools.partial(custom_bwd, **kwargs) if bwd is None else bwd


__getattr__ = absent("torch.amp")
