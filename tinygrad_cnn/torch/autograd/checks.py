"""``gradcheck`` and ``gradgradcheck`` with PyTorch's arguments, in front of `verify`'s."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_cnn.verify import GradientError
from tinygrad_cnn.verify import gradcheck as check_first
from tinygrad_cnn.verify import gradgradcheck as check_second

__all__ = ["gradcheck", "gradgradcheck"]


def _checked(check: Callable[..., Any], func: Any, inputs: Any, raise_exception: bool) -> bool:
    several = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
    try:
        check(func, *several)
    except GradientError:
        if raise_exception:
            raise
        return False
    return True


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    **words: Any,
) -> bool:
    """Compare the gradients of a function with numeric ones; True if they agree.

    Steps and tolerances are worked out from the function itself, so that ``eps``, ``atol``,
    ``rtol`` and the other words are taken and change nothing.

    Raises
    ------
    GradientError
        If they do not, and ``raise_exception``.
    """
    return _checked(check_first, func, inputs, raise_exception)


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    **words: Any,
) -> bool:
    """Compare second derivatives with numeric ones; otherwise as `gradcheck`."""
    return _checked(check_second, func, inputs, raise_exception)
