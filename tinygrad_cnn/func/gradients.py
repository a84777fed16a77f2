"""Gradients, products with Jacobians and with Hessians."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn.func.recorded import (
    Argnums,
    changed,
    chosen,
    differentiated_by,
    kept,
    leaves_of,
    rebuilt,
    recorded,
)
from tinygrad_cnn.graph import GraphError
from tinygrad_cnn.tensor import Tensor

__all__ = ["grad", "grad_and_value", "hvp", "jvp", "value_and_grad", "vjp"]


def grad_and_value(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Return a function that gives the gradient by an argument and the value: (gradient, value).

    Parameters
    ----------
    func
        Returns a tensor of one element; with ``has_aux`` a pair of it and something else.
    argnums
        Which arguments to differentiate by; a tuple gives a tuple of gradients.
    has_aux
        Whether something else comes back too: (gradient, (value, aux)).

    Raises
    ------
    GraphError
        When called, if the value is no single number.

    >>> grad_and_value(lambda t: (t * t).sum())(Tensor([3.0]))
    (tensor([6.]), tensor(9.))
    """

    @wraps(func)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        with recorded(chosen(args, argnums)) as (own, inputs, again):
            answer = func(*changed(args, argnums, own), **kwargs)
            value, aux = answer if has_aux else (answer, None)
            if not isinstance(value, Tensor) or value._data.size != 1:
                raise GraphError("grad: expects a function that returns a tensor of one element")
            one = Tensor._wrap(np.ones_like(value._data), None)
            found = differentiated_by([value], inputs, [one], again, keep=False)
        gradient = rebuilt(own, iter(kept(found, again)))
        gradient = gradient[0] if isinstance(argnums, int) else gradient
        value = kept(value, again)
        return (gradient, (value, kept(aux, again))) if has_aux else (gradient, value)

    return differentiated


def grad(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Return a function that gives the gradient by an argument; otherwise as `grad_and_value`.

    >>> grad(lambda a, b: (a * b).sum(), argnums=(0, 1))(Tensor([2.0]), Tensor([3.0]))
    (tensor([3.]), tensor([2.]))
    """
    both = grad_and_value(func, argnums, has_aux)

    @wraps(func)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        found, value = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def value_and_grad(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Return a function that gives (value, gradient), as JAX's; otherwise as `grad_and_value`.

    >>> value_and_grad(lambda t: (t * t).sum())(Tensor([3.0]))
    (tensor(9.), tensor([6.]))
    """
    both = grad_and_value(func, argnums, has_aux)

    @wraps(func)
    def reversed_order(*args: Any, **kwargs: Any) -> Any:
        return both(*args, **kwargs)[::-1]

    return reversed_order


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """Return the value, and a function from a cotangent to the gradients: vᵀ · J.

    >>> value, pull = vjp(lambda t: t * t, Tensor([3.0, 1.0]))
    >>> pull(Tensor([1.0, 2.0]))
    (tensor([6., 4.]),)
    """
    with recorded(primals) as (own, inputs, again):
        answer = func(*own)
        value, aux = answer if has_aux else (answer, None)
    outputs = leaves_of(value)

    def pull(cotangents: Any) -> Any:
        found = differentiated_by(outputs, inputs, leaves_of(cotangents), again, keep=True)
        return rebuilt(primals, iter(kept(found, again)))

    shown = kept(value, again)
    return (shown, pull, kept(aux, again)) if has_aux else (shown, pull)


def jvp(func: Callable[..., Any], primals: Any, tangents: Any) -> tuple[Any, Any]:
    """Return the value and its change along tangents: J · t.

    It is the gradient, by the cotangent, of ⟨vᵀ · J, t⟩, so each rule is differentiated once more.

    >>> jvp(lambda t: t * t, (Tensor([3.0, 1.0]),), (Tensor([1.0, 2.0]),))
    (tensor([9., 1.]), tensor([6., 4.]))
    """
    with recorded(tuple(primals)) as (own, inputs, again):
        value = func(*own)
        outputs = leaves_of(value)
        dummies = [Tensor(np.ones_like(o._data), requires_grad=True) for o in outputs]
        found = differentiated_by(outputs, inputs, dummies, True, keep=True)
        pairs = zip(found, leaves_of(tangents), strict=True)
        parts = [F.sum(F.mul(g, t)) for g, t in pairs]
        along = parts[0]
        for part in parts[1:]:
            along = F.add(along, part)
        one = [Tensor._wrap(np.ones_like(along._data), None)]
        changes = differentiated_by([along], dummies, one, again, keep=False)
    return kept(value, again), kept(rebuilt(value, iter(changes)), again)


def hvp(func: Callable[..., Any], primals: Any, tangents: Any) -> tuple[Any, Any]:
    """Return the value and the Hessian times tangents, without the Hessian itself.

    >>> hvp(lambda t: (t**3).sum(), (Tensor([2.0]),), (Tensor([1.0]),))
    (tensor(8.), (tensor([12.]),))
    """
    with recorded(tuple(primals)) as (own, inputs, again):
        value = func(*own)
        one = [Tensor._wrap(np.ones_like(value._data), None)]
        first = differentiated_by([value], inputs, one, True, keep=True)
        found = differentiated_by(first, inputs, leaves_of(tangents), again, keep=False)
    return kept(value, again), rebuilt(tuple(primals), iter(kept(found, again)))
