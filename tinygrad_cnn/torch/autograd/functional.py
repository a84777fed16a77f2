"""``torch.autograd.functional``: `func`'s functions, called with the inputs at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn import func as core
from tinygrad_cnn.func.recorded import leaves_of, rebuilt
from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.torch.absent import absent

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def _several(inputs: Any) -> tuple[Any, ...]:
    return tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)


def _as_given(results: tuple[Any, ...], inputs: Any) -> Any:
    return results if isinstance(inputs, (tuple, list)) else results[0]


def _shown(tree: Any, create_graph: bool) -> Any:
    if create_graph:
        return tree
    parts = [t.detach() if isinstance(t, Tensor) else t for t in leaves_of(tree)]
    return rebuilt(tree, iter(parts))


def _numbers(inputs: Any, argnums: bool = True) -> Any:
    return tuple(range(len(inputs))) if isinstance(inputs, (tuple, list)) else 0


def jacobian(
    func: Callable[..., Any], inputs: Any, create_graph: bool = False, **words: Any
) -> Any:
    """Return the Jacobian at the inputs; ``strict``, ``vectorize`` and such change nothing."""
    found = core.jacrev(func, _numbers(inputs))(*_several(inputs))
    return _shown(found, create_graph)


def hessian(func: Callable[..., Any], inputs: Any, create_graph: bool = False, **words: Any) -> Any:
    """Return the second derivatives at the inputs."""
    found = core.hessian(func, _numbers(inputs))(*_several(inputs))
    return _shown(found, create_graph)


def _ones(value: Any) -> Any:
    ones = [Tensor._wrap(np.ones_like(t._data), None) for t in leaves_of(value)]
    return rebuilt(value, iter(ones))


def vjp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """Return the value and vᵀ · J; v is 1 for a single number."""
    value, pull = core.vjp(func, *_several(inputs))
    return value, _shown(_as_given(pull(_ones(value) if v is None else v), inputs), create_graph)


def jvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """Return the value and J · v; v is 1 for a single number."""
    primals = _several(inputs)
    tangents = _ones(primals) if v is None else _several(v)
    value, change = core.jvp(func, primals, tangents)
    return value, _shown(change, create_graph)


def hvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """Return the value and the Hessian times v."""
    primals = _several(inputs)
    tangents = _ones(primals) if v is None else _several(v)
    value, found = core.hvp(func, primals, tangents)
    return value, _shown(_as_given(found, inputs), create_graph)


vhp = hvp  # the Hessian is symmetric

__getattr__ = absent("torch.autograd.functional")
