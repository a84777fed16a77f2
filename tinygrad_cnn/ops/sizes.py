"""Arguments that are sizes or dimensions: stride, padding, dilation, kernel, shape, axis."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

Pair = tuple[int, int]


def pair(function: str, argument: str, value: Any, smallest: int = 1) -> Pair:
    """Return an int or a pair of ints as a pair, checked."""
    if type(value) is int and value >= smallest:
        return value, value
    if type(value) is tuple and len(value) == 2:  # what layers pass on
        height, width = value
        if type(height) is int is type(width) and height >= smallest <= width:
            return value
    values = (value, value) if isinstance(value, (int, np.integer)) else value
    if (
        not isinstance(values, (tuple, list))
        or len(values) != 2
        or not all(isinstance(v, (int, np.integer)) and v >= smallest for v in values)
    ):
        raise ValueError(
            f"{function}: {argument} expects an int or a pair of ints >= {smallest}, got {value!r}"
        )
    return int(values[0]), int(values[1])


def single(function: str, argument: str, value: Any, smallest: int = 1) -> int:
    """Return an int or a sequence of one int as an int, checked."""
    values = (value,) if isinstance(value, (int, np.integer)) else value
    if (
        not isinstance(values, (tuple, list))
        or len(values) != 1
        or not isinstance(values[0], (int, np.integer))
        or values[0] < smallest
    ):
        raise ValueError(f"{function}: {argument} expects an int >= {smallest}, got {value!r}")
    return int(values[0])


def sizes_of(name: str, sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """Accept both f(x, 2, 3) and f(x, (2, 3))."""
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = tuple(sizes[0])
    try:
        return tuple([operator.index(size) for size in sizes])
    except TypeError:
        raise TypeError(f"{name}: expects integers, got {sizes}") from None


def axis_of(name: str, ndim: int, dim: Any, axis: Any = None) -> int:
    """Return the dimension that ``dim``, or NumPy's word ``axis``, names; counted from 0."""
    try:
        index = operator.index(dim if axis is None else axis)
    except TypeError:
        raise TypeError(f"{name}: dim expects an integer, got {dim}") from None
    if not -ndim <= index < ndim:
        raise IndexError(f"{name}: dim {index} does not exist in a tensor of {ndim} dimensions")
    return index % ndim
