"""Working with masks: masked_fill, masked_select, masked_scatter, nonzero."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.ops.arguments import names_operands, shape_of, values_of, without_graph
from tinygrad_cnn.ops.index import Gather, Key
from tinygrad_cnn.ops.piecewise import where
from tinygrad_cnn.ops.shape import broadcast_to, reshape
from tinygrad_cnn.types import Array, Operand

__all__ = ["argwhere", "masked_fill", "masked_scatter", "masked_select", "nonzero"]


def _mask(function: str, mask: Any) -> Array:
    array = np.array(values_of(mask))
    if array.dtype.kind != "b":
        raise TypeError(f"{function}: mask expects booleans, got {array.dtype}")
    return array


def _together(function: str, input: Operand, mask: Array) -> tuple[Any, Array]:
    """Broadcast against each other."""
    try:
        shape = np.broadcast_shapes(tuple(input.shape), mask.shape)
    except ValueError:
        raise ValueError(
            f"{function}: mask of shape {mask.shape} does not broadcast with {tuple(input.shape)}"
        ) from None
    return broadcast_to(input, shape), np.broadcast_to(mask, shape)


@names_operands
def masked_fill(input: Operand, mask: Operand, value: Operand | float) -> Any:
    """Fill with a number where the mask holds: ``where(mask, value, input)``.

    ``value`` may be a 0-d tensor, which gets a gradient.

    Raises
    ------
    TypeError
        If the mask is not boolean.
    ValueError
        If the mask does not broadcast with the input, or the value is not a number.

    >>> masked_fill(np.array([1.0, 2.0]), np.array([True, False]), 0.0)
    array([0., 2.])
    """
    array = _mask("masked_fill", mask)
    if shape_of("masked_fill", value):
        raise ValueError(f"masked_fill: value expects a number, got shape {np.shape(value)}")
    x, array = _together("masked_fill", input, array)
    return where(array, value, x)


@names_operands
def masked_select(input: Operand, mask: Operand) -> Any:
    """Pick the elements where the mask holds, in row-major order, as a vector.

    Errors as for `masked_fill`.

    >>> masked_select(np.array([1.0, 2.0]), np.array([True, False]))
    array([1.])
    """
    x, array = _together("masked_select", input, _mask("masked_select", mask))
    if not array.ndim:
        x, array = reshape(x, 1), array.reshape(1)
    return Gather(Key((array,)))(x)


@names_operands
def masked_scatter(input: Operand, mask: Operand, source: Operand) -> Any:
    """Put the first elements of the source, in row-major order, where the mask holds.

    Raises
    ------
    TypeError
        If the mask is not boolean.
    ValueError
        If the mask does not broadcast with the input, or the source has too few elements.

    >>> masked_scatter(np.zeros(3), np.array([True, False, True]), np.array([5.0, 6.0]))
    array([5., 0., 6.])
    """
    x, array = _together("masked_scatter", input, _mask("masked_scatter", mask))
    flat = reshape(source, -1)
    wanted = int(array.sum())
    if flat.shape[0] < wanted:
        raise ValueError(
            f"masked_scatter: the mask takes {wanted} elements, source has {flat.shape[0]}"
        )
    if not wanted:
        return where(array, 0.0, x)
    indices = np.where(array, np.cumsum(array).reshape(array.shape) - 1, 0)
    return where(array, Gather(Key((indices,)))(flat), x)


@names_operands
def nonzero(input: Operand, *, as_tuple: bool = False) -> Any:
    """Return the indices of elements that are not 0: a row each, or a vector a dimension.

    No gradient. With ``as_tuple`` the answer can be used as a key: ``input[nonzero(…)]``.

    >>> nonzero(np.array([[0.0, 5.0], [6.0, 0.0]]))
    array([[0, 1],
           [1, 0]])
    """
    array = values_of(input)
    if as_tuple:
        found = np.nonzero(array if array.ndim else array.reshape(1))
        return tuple([without_graph(input, indices) for indices in found])
    return without_graph(input, np.argwhere(array))


@names_operands
def argwhere(input: Operand) -> Any:
    """Return the indices of elements that are not 0, a row each, as `nonzero`.

    >>> argwhere(np.array([0.0, 5.0]))
    array([[1]])
    """
    return nonzero(input)
