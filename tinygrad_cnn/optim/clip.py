"""Clipping of gradients."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from tinygrad_cnn.graph import Array
from tinygrad_cnn.inplace import changed
from tinygrad_cnn.tensor import Tensor

_BLOCK = 1 << 14


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
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
        The p of the p-norm; `math.inf` for the greatest absolute value.
    error_if_nonfinite
        Whether a norm that is NaN or infinite is an error; otherwise it spreads to all gradients.

    Returns
    -------
    float
        The norm before.

    Raises
    ------
    ValueError
        If `norm_type` is not positive, `max_norm` is negative, or the norm is not finite and
        `error_if_nonfinite` is set; the gradients are then unchanged.

    >>> p = Tensor([1.0, 1.0], requires_grad=True)
    >>> p.grad = [3.0, 4.0]
    >>> clip_grad_norm_([p], 1.0)
    5.0
    >>> p.grad.numpy().round(4)
    array([0.6, 0.8], dtype=float32)
    """
    if not norm_type > 0:
        raise ValueError(f"clip_grad_norm_: norm_type expects a positive number, got {norm_type}")
    if not max_norm >= 0:
        raise ValueError(f"clip_grad_norm_: max_norm expects at least 0, got {max_norm}")
    gradients = _gradients(parameters)
    norms = [_norm(g, norm_type) for g in gradients]
    total = _norm(np.array(norms), norm_type)
    if error_if_nonfinite and not math.isfinite(total):
        raise ValueError(f"clip_grad_norm_: the norm of the gradients is {total}")
    factor = max_norm / (total + 1e-6)
    if not factor >= 1:  # NaN included
        with np.errstate(invalid="ignore"):  # infinity times 0 is NaN, as it should be
            for g in gradients:
                np.multiply(g, factor, g)
                changed(g)
    return total


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Limit each element of the gradients, in place, to ±clip_value.

    Raises
    ------
    ValueError
        If `clip_value` is negative.

    >>> p = Tensor([1.0, 1.0], requires_grad=True)
    >>> p.grad = [3.0, -0.5]
    >>> clip_grad_value_([p], 1.0)
    >>> p.grad
    tensor([ 1. , -0.5])
    """
    if not clip_value >= 0:
        raise ValueError(f"clip_grad_value_: clip_value expects at least 0, got {clip_value}")
    for g in _gradients(parameters):
        np.clip(g, -clip_value, clip_value, out=g)
        changed(g)


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Array]:
    tensors = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p._grad._data for p in tensors if p._grad is not None]


def _norm(x: Array, norm_type: float) -> float:
    """Return the p-norm; squares of float32 neither overflow nor vanish in float64."""
    flat = x.ravel("K")
    if norm_type == math.inf:
        return float(np.abs(flat).max(initial=0))
    total = 0.0
    for start in range(0, flat.size, _BLOCK):
        block = flat[start : start + _BLOCK].astype(np.float64)
        powers = block @ block if norm_type == 2 else (np.abs(block) ** norm_type).sum()
        total += float(powers)
    return float(total ** (1 / norm_type))
