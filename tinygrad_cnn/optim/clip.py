"""Clipping of gradients."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from tinygrad_cnn.graph import Array
from tinygrad_cnn.inplace import before_writing, changed
from tinygrad_cnn.ops.arguments import listed
from tinygrad_cnn.tensor import Tensor

_BLOCK = 1 << 14


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,  # noqa: ARG001  # PyTorch's word, without effect
) -> float:
    """Shorten the gradients, in place, if their norm taken together exceeds a limit.

    All are multiplied by min(1, max_norm / (norm + 1e-6)), as PyTorch does, so that the direction
    stays. The norm is added up in float64.

    Parameters
    ----------
    parameters
        Tensors; those without a gradient are passed over.
    max_norm
        The limit.
    norm_type
        The p of the p-norm; `math.inf` for the greatest absolute value, 0 for the number of
        gradients that are not all zero.
    error_if_nonfinite
        Whether a norm that is NaN or infinite is an error; otherwise it spreads to all gradients.
    foreach
        Accepted as PyTorch's, and without effect.

    Returns
    -------
    float
        The norm before.

    Raises
    ------
    ValueError
        If there are no parameters (an iterator that was used up?), `norm_type` or `max_norm` is
        negative, or the norm is not finite and `error_if_nonfinite` is set; the gradients are then
        unchanged.

    >>> p = Tensor([1.0, 1.0], requires_grad=True)
    >>> p.grad = [3.0, 4.0]
    >>> clip_grad_norm_([p], 1.0)
    5.0
    >>> p.grad.numpy().round(4)
    array([0.6, 0.8], dtype=float32)
    """
    if not max_norm >= 0:
        raise ValueError(f"clip_grad_norm_: max_norm expects at least 0, got {max_norm}")
    gradients = _gradients("clip_grad_norm_", parameters)
    total = _total_norm("clip_grad_norm_", gradients, norm_type)
    if error_if_nonfinite and not math.isfinite(total):
        raise ValueError(f"clip_grad_norm_: the norm of the gradients is {total}")
    _shorten(gradients, max_norm, total)
    return total


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,  # noqa: ARG001  # PyTorch's word, without effect
) -> float:
    """Return the norm of several tensors taken together, added up in float64.

    Parameters
    ----------
    tensors
        Tensors of any shapes, often gradients.
    norm_type, error_if_nonfinite, foreach
        As for `clip_grad_norm_`.

    Raises
    ------
    ValueError
        As for `clip_grad_norm_`.

    >>> get_total_norm([Tensor([3.0]), Tensor([4.0])])
    5.0
    """
    given = _tensors("get_total_norm", "tensors", tensors)
    total = _total_norm("get_total_norm", [t._data for t in given], norm_type)
    if error_if_nonfinite and not math.isfinite(total):
        raise ValueError(f"get_total_norm: the norm is {total}")
    return total


def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    total_norm: float | Tensor,
    foreach: bool | None = None,  # noqa: ARG001  # PyTorch's word, without effect
) -> None:
    """Multiply the gradients, in place, by min(1, max_norm / (total_norm + 1e-6)).

    Parameters
    ----------
    parameters, max_norm, foreach
        As for `clip_grad_norm_`.
    total_norm
        The norm, as `get_total_norm` returns it.

    Raises
    ------
    ValueError
        If there are no parameters.

    >>> p = Tensor([1.0], requires_grad=True)
    >>> p.grad = [8.0]
    >>> clip_grads_with_norm_([p], 1.0, 4.0)
    >>> p.grad.numpy().round(4)
    array([2.], dtype=float32)
    """
    _shorten(_gradients("clip_grads_with_norm_", parameters), max_norm, float(total_norm))


def clip_grad_value_(
    parameters: Tensor | Iterable[Tensor],
    clip_value: float,
    foreach: bool | None = None,  # noqa: ARG001  # PyTorch's word, without effect
) -> None:
    """Limit each element of the gradients, in place, to ±clip_value.

    Raises
    ------
    ValueError
        If `clip_value` is negative or there are no parameters.

    >>> p = Tensor([1.0, 1.0], requires_grad=True)
    >>> p.grad = [3.0, -0.5]
    >>> clip_grad_value_([p], 1.0)
    >>> p.grad
    tensor([ 1. , -0.5])
    """
    if not clip_value >= 0:
        raise ValueError(f"clip_grad_value_: clip_value expects at least 0, got {clip_value}")
    for g in _gradients("clip_grad_value_", parameters):
        before_writing(g)
        np.clip(g, -clip_value, clip_value, out=g)
        changed(g)


def _gradients(name: str, parameters: Tensor | Iterable[Tensor]) -> list[Array]:
    tensors = _tensors(name, "parameters", parameters)
    # Each once, though a list names it twice: it must not be shortened twice.
    return [p._grad._data for p in dict.fromkeys(tensors) if p._grad is not None]


def _tensors(name: str, what: str, tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else listed(name, what, tensors, Tensor)


def _shorten(gradients: list[Array], max_norm: float, total: float) -> None:
    factor = max_norm / (total + 1e-6)
    if not factor >= 1:  # NaN included
        with np.errstate(invalid="ignore"):  # infinity times 0 is NaN, as it should be
            for g in gradients:
                before_writing(g)
                np.multiply(g, factor, g)
                changed(g)


def _total_norm(name: str, arrays: list[Array], norm_type: float) -> float:
    norm_type = float(norm_type)  # "inf" is a number too
    if not norm_type >= 0:
        raise ValueError(f"{name}: norm_type expects at least 0, got {norm_type}")
    return _norm(np.array([_norm(a, norm_type) for a in arrays]), norm_type)


def _norm(x: Array, norm_type: float) -> float:
    """Return the p-norm; squares of float32 neither overflow nor vanish in float64."""
    flat = x.ravel("K")
    if norm_type == math.inf:
        return float(np.abs(flat).max(initial=0))
    if norm_type == 0:
        return float(np.count_nonzero(flat))
    total = 0.0
    for start in range(0, flat.size, _BLOCK):
        block = flat[start : start + _BLOCK].astype(np.float64)
        powers = block @ block if norm_type == 2 else (np.abs(block) ** norm_type).sum()
        total += float(powers)
    return float(total ** (1 / norm_type))
