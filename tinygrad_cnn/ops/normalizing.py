"""Scaling by sizes alone: root mean squares, norms, neighbouring channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.ops.arguments import as_real, axes_of, names_operands, numpy_words
from tinygrad_cnn.ops.elementwise import add, div, mul, pow, sqrt
from tinygrad_cnn.ops.index import getitem
from tinygrad_cnn.ops.join import cat
from tinygrad_cnn.ops.matrices.norms import vector_norm
from tinygrad_cnn.ops.piecewise import clip
from tinygrad_cnn.ops.reduce import mean as mean_over
from tinygrad_cnn.types import Dim, Operand

__all__ = ["local_response_norm", "normalize", "rms_norm"]


@names_operands
def rms_norm(
    input: Operand,
    normalized_shape: int | Sequence[int],
    weight: Operand | None = None,
    eps: float | None = None,
) -> Any:
    """Divide by the root mean square of the last dimensions: ``x / √(mean(x²) + eps) · weight``.

    Parameters
    ----------
    input
        (…, normalized_shape).
    normalized_shape
        The sizes of the dimensions that are normalised together.
    weight
        Of normalized_shape, or None for 1.
    eps
        Added to the mean square; None for the smallest step of the dtype at 1.

    Raises
    ------
    ValueError
        If a shape does not fit.

    Source: Zhang and Sennrich, "Root mean square layer normalization" (2019), equation 4.

    >>> rms_norm(np.array([[3.0, 4.0]]), 2).round(4)
    array([[0.8485, 1.1314]])
    """
    one = isinstance(normalized_shape, (int, np.integer))
    shape = (int(normalized_shape),) if one else tuple(normalized_shape)  # type: ignore[arg-type]
    if not shape or tuple(input.shape[-len(shape) :]) != shape:
        raise ValueError(
            f"rms_norm: expects input whose last dimensions are {shape}, got {tuple(input.shape)}"
        )
    if weight is not None and tuple(weight.shape) != shape:
        raise ValueError(f"rms_norm: weight expects shape {shape}, got {tuple(weight.shape)}")
    x = as_real(input)
    least = float(np.finfo(x.dtype).eps) if eps is None else eps
    square = mean_over(mul(x, x), tuple(range(-len(shape), 0)), keepdim=True)
    y = div(x, sqrt(add(square, least)))
    return y if weight is None else mul(y, weight)


@numpy_words
def normalize(input: Operand, p: float = 2.0, dim: Dim = 1, eps: float = 1e-12) -> Any:
    """Divide vectors by their norm: ``input / max(‖input‖ₚ, eps)`` along a dimension.

    Raises
    ------
    IndexError
        If the dimension does not exist.

    >>> normalize(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """
    axes = axes_of("normalize", input.ndim, dim)
    return div(input, clip(vector_norm(input, p, axes, keepdim=True), eps, None))


@names_operands
def local_response_norm(
    input: Operand, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Any:
    """Divide each element by the size of its neighbours in the channels around it.

    ``x_c / (k + alpha / size · Σ x_i²)^beta``, over the `size` channels from
    ``c − size // 2``; those beyond the ends count as 0.

    Parameters
    ----------
    input
        (N, C, …), with at least one more dimension.
    size
        How many channels.
    alpha, beta, k
        As above.

    Raises
    ------
    ValueError
        If there are fewer than 3 dimensions or size is not positive.

    Source: Krizhevsky, Sutskever and Hinton, "ImageNet classification" (2012), section 3.3, with
    alpha divided by the size, as in PyTorch.

    >>> local_response_norm(np.ones((1, 3, 1)), 3, alpha=3.0, beta=1.0).ravel().round(4)
    array([0.3333, 0.25  , 0.3333])
    """
    if input.ndim < 3:
        raise ValueError(f"local_response_norm: expects (N, C, …, L), got {tuple(input.shape)}")
    if size < 1:
        raise ValueError(f"local_response_norm: size expects a positive number, got {size}")
    C = input.shape[1]
    squares = mul(input, input)
    total: Any = None
    for offset in range(-(size // 2), size - size // 2):  # the neighbour's channel less one's own
        if abs(offset) < C:
            part = _shifted(squares, offset)
            total = part if total is None else add(total, part)
    return div(input, pow(add(mul(total, alpha / size), k), beta))


def _shifted(x: Any, offset: int) -> Any:
    """Return channel c + offset at c, zeros beyond the ends."""
    if not offset:
        return x
    rest = getitem(x, (slice(None), slice(max(offset, 0), x.shape[1] + min(offset, 0))))
    nothing = np.zeros((x.shape[0], abs(offset), *x.shape[2:]), x.dtype)
    return cat([rest, nothing] if offset > 0 else [nothing, rest], 1)
