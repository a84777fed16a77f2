"""Plans: what is worked out once for a geometry and asked for again at every step.

A network asks for the same few over and over, and for one small image the arithmetic of a plan
takes longer than the product that it plans.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

__all__ = ["clear", "planned"]

_Function = TypeVar("_Function", bound=Callable[..., Any])
_caches: list[Any] = []


def planned(function: _Function) -> _Function:
    """Remember the results of a function for the 1024 arguments that were asked for last."""
    cached: Any = lru_cache(maxsize=1024)(function)
    _caches.append(cached)
    return cached  # type: ignore[no-any-return]


def clear() -> None:
    """Forget all plans, as after a change of what is in `tuning`."""
    for cache in _caches:
        cache.cache_clear()
