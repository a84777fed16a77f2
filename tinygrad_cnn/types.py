"""The names of types that annotations use everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy.typing as npt

if TYPE_CHECKING:
    from tinygrad_cnn.base import TensorBase

Array: TypeAlias = npt.NDArray[Any]
"""A NumPy array of any dtype."""

Operand: TypeAlias = "TensorBase | Array"
"""What a function takes: a tensor or an array. One that takes numbers too says so: a float."""

Shape: TypeAlias = tuple[int, ...]
"""The sizes of an array's dimensions."""

Pair: TypeAlias = tuple[int, int]
"""A setting for each of the two dimensions of an image: height first."""

Dim: TypeAlias = int | Sequence[int] | None
"""A dimension, several, or None for all of them."""
