"""`Size`: the shape of a tensor. `Count`: how many elements it has; called, it gives sizes."""

from __future__ import annotations

import math
from typing import Any, SupportsIndex, overload

__all__ = ["Count", "Size"]


class Size(tuple[int, ...]):
    """The sizes of a tensor's dimensions: a tuple that knows how many elements they make.

    >>> Size((2, 3)), Size((2, 3)).numel()
    ((2, 3), 6)
    """

    __slots__ = ()

    def numel(self) -> int:
        """Return the product of the sizes."""
        return math.prod(self)

    @overload
    def __getitem__(self, index: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Size: ...
    def __getitem__(self, index: Any) -> Any:
        part = tuple.__getitem__(self, index)
        return Size(part) if type(part) is tuple else part

    def __add__(self, other: Any) -> Any:
        return Size(tuple.__add__(self, other))

    def __reduce__(self) -> Any:  # for copies and pickles: a tuple of its own kind
        return Size, (tuple(self),)


class Count(int):
    """The number of elements of a tensor; called, it gives the sizes of its dimensions.

    So ``x.size`` is NumPy's number, and ``x.size()`` and ``x.size(0)`` are PyTorch's sizes.

    >>> size = count_of((2, 3))
    >>> size, size(), size(-1)
    (6, (2, 3), 3)
    """

    _sizes: tuple[int, ...]

    @overload
    def __call__(self, dim: None = None) -> Size: ...
    @overload
    def __call__(self, dim: int) -> int: ...
    def __call__(self, dim: int | None = None) -> Size | int:
        """Return all sizes, or that of one dimension."""
        if dim is None:
            return Size(self._sizes)
        try:
            return self._sizes[dim]
        except IndexError:
            raise IndexError(
                f"size: dim {dim} does not exist in a tensor of {len(self._sizes)} dimensions"
            ) from None

    def __reduce__(self) -> Any:  # a copy is a plain number: it belongs to no tensor
        return int, (int(self),)


def count_of(shape: tuple[int, ...]) -> Count:
    """Return the number of elements of an array of that shape."""
    count = Count(math.prod(shape))
    count._sizes = shape
    return count
