"""The two questions that NumPy asks a tensor, answered from the tables of the families."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinygrad_cnn.dispatch import (
    curves,
    linear,
    matrices,
    ordering,
    rearranging,
    reductions,
    selections,
    shapes,
    ufuncs,
    writing,
)
from tinygrad_cnn.dispatch.without import INSTEAD, PLAIN, tensors_in, without_graph
from tinygrad_cnn.graph import mode
from tinygrad_cnn.op import TensorBase


def named(name: str) -> Any:
    """Return NumPy's function of a name such as ``linalg.norm``; None where this NumPy lacks it."""
    found: Any = np
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _by_function(table: dict[str, Any]) -> dict[Any, Any]:
    return {found: rule for name, rule in table.items() if (found := named(name)) is not None}


RECORDED: dict[str, Callable[..., Any]] = {
    **ufuncs.RECORDED,
    **reductions.RECORDED,
    **shapes.RECORDED,
    **selections.RECORDED,
    **linear.RECORDED,
    **matrices.RECORDED,
    **curves.RECORDED,
    **ordering.RECORDED,
    **rearranging.RECORDED,
    **writing.RECORDED,
}
"""NumPy's functions that are recorded, by name: adapters of NumPy's signature."""

_recorded = _by_function(RECORDED)
_plain = {named(name) for name in PLAIN}
_instead = _by_function(INSTEAD)


def array_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: Any) -> Any:
    """Answer `Tensor.__array_ufunc__`: what NumPy asks when a ufunc is called with a tensor."""
    rule = _recorded.get(ufunc)
    if rule is None:
        if ufunc not in _plain and _wants_gradient((inputs, kwargs)):
            raise TypeError(refusal(ufunc))
        return without_graph(getattr(ufunc, method), inputs, kwargs)
    if method == "__call__":
        return rule(*inputs) if not kwargs else ufuncs.call(ufunc, rule, inputs, kwargs)
    return ufuncs.call_method(ufunc, rule, method, inputs, kwargs)


def array_function(
    function: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...], kwargs: Any
) -> Any:
    """Answer `Tensor.__array_function__`: what NumPy asks for all its other functions."""
    rule = _recorded.get(function)
    if rule is not None:
        return rule(*args, **kwargs)
    if not all(issubclass(kind, (TensorBase, np.ndarray)) for kind in types):
        return NotImplemented
    if function not in _plain and _wants_gradient((args, kwargs)):
        raise TypeError(refusal(function))
    return without_graph(function, args, kwargs)


def refusal(function: Callable[..., Any]) -> str:
    """Return the sentence that refuses a function: it names what to write instead."""
    place = getattr(function, "__module__", None) or "numpy"
    name = f"{place}.{getattr(function, '__name__', function)}"
    instead = _instead.get(function)
    hint = f"use {instead}, or" if instead else "there is none that has one;"
    return f"{name} has no rule, the gradient would be lost: {hint} `detach()` leaves the graph"


def _wants_gradient(arguments: Any) -> bool:
    """Whether a call would be recorded if it could be."""
    return mode.recording and any(t._requires_grad for t in tensors_in(arguments))
