"""PyTorch's words for `reduction` from before there was one: ``size_average`` and ``reduce``."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

__all__: list[str] = []

_F = TypeVar("_F", bound=Callable[..., Any])


def takes_old_words(function: _F) -> _F:
    """Let a loss, or the ``__init__`` of one, take ``size_average`` and ``reduce`` by name.

    Both default to True; without `reduce` there is a loss for each element, without `size_average`
    a sum. Where `reduction` comes first, they may stand before it, as in PyTorch. A warning says
    what to write instead.

    >>> @takes_old_words
    ... def loss(input, reduction="mean"):
    ...     return reduction
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     print(loss(1.0, size_average=False), loss(1.0, reduce=False))
    sum none
    """
    is_init = function.__name__ == "__init__"
    comes_first = is_init and list(inspect.signature(function).parameters)[1:2] == ["reduction"]

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if comes_first and len(args) > 1 and (args[1] is None or isinstance(args[1], bool)):
            own, *given = args
            kwargs.update(zip(("size_average", "reduce", "reduction"), given, strict=False))
            args = (own, *given[3:])
        if kwargs and ("size_average" in kwargs or "reduce" in kwargs):
            name = type(args[0]).__name__ if is_init else function.__name__
            translate(name, kwargs)
        return function(*args, **kwargs)

    return cast(_F, call)


def translate(name: str, kwargs: dict[str, Any]) -> None:
    """Replace the old words by `reduction`, in place; None says nothing."""
    average, reduce = kwargs.pop("size_average", None), kwargs.pop("reduce", None)
    if average is None and reduce is None:
        return
    mean = "mean" if average or average is None else "sum"
    reduction = mean if reduce or reduce is None else "none"
    warnings.warn(
        f"{name}: size_average and reduce are PyTorch's old words: write reduction={reduction!r}",
        stacklevel=3,
    )
    kwargs["reduction"] = reduction
