"""Jacobians and Hessians, a backward pass for each element of the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from tinygrad_cnn.tensor import Tensor

__all__ = ["hessian", "jacfwd", "jacobian", "jacrev"]


def jacrev(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Return a function that gives the Jacobian, of shape (*result's, *argument's).

    One backward pass for each element of the result.

    >>> jacrev(lambda t: t * t)(Tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """

    @wraps(func)
    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        with recorded(chosen(args, argnums)) as (own, inputs, again):
            answer = func(*changed(args, argnums, own), **kwargs)
            value, aux = answer if has_aux else (answer, None)
            blocks = [_rows(output, inputs, again) for output in leaves_of(value)]
        found = [rebuilt(own, iter(kept(block, again))) for block in blocks]
        found = [f[0] for f in found] if isinstance(argnums, int) else found
        jacobian = rebuilt(value, iter(found))
        return (jacobian, kept(aux, again)) if has_aux else jacobian

    return jacobian_of


def _rows(output: Tensor, inputs: Sequence[Tensor], again: bool) -> list[Any]:
    """Return the Jacobian of a tensor by each input, a backward pass for each element."""
    rows = []
    for place in range(output._data.size):
        one = np.zeros(output._data.size, output._data.dtype)
        one[place] = 1
        cotangent = Tensor._wrap(one.reshape(output._data.shape), None)
        rows.append(differentiated_by([output], inputs, [cotangent], again, keep=True))
    shape = output._data.shape
    if not rows:
        return [Tensor._wrap(np.zeros((*shape, *t._data.shape), t.dtype), None) for t in inputs]
    return [
        F.reshape(F.stack([row[i] for row in rows]), (*shape, *t._data.shape))
        for i, t in enumerate(inputs)
    ]


def jacfwd(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Return the function of `jacrev`: there is no forward mode here, so it costs the same.

    >>> jacfwd(lambda t: t * t)(Tensor([3.0]))
    tensor([[6.]])
    """
    return jacrev(func, argnums, has_aux)


jacobian = jacrev


def hessian(func: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """Return a function that gives the second derivatives of a single number.

    >>> hessian(lambda t: (t**3).sum())(Tensor([2.0]))
    tensor([[12.]])
    """
    return jacrev(jacrev(func, argnums), argnums)
