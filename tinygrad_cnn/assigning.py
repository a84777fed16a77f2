"""`Assigning`: the operators and methods of a tensor that write to it.

Each names the operation whose result is written; `writing` says how it is recorded. Every
method returns the tensor itself. A leaf that requires a gradient is written to under `no_grad`.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.ops import elementwise
from tinygrad_cnn.ops.arguments import axis_of
from tinygrad_cnn.ops.elementwise import add, div, mul, sub
from tinygrad_cnn.ops.index import Key, plain_key
from tinygrad_cnn.protocols import Protocols
from tinygrad_cnn.random import default_generator
from tinygrad_cnn.writing import EVERYTHING, add_to, update, write


class Assigning(Protocols):
    """What writes to a tensor; `Tensor` inherits it.

    >>> from tinygrad_cnn import tensor
    >>> w = tensor([1.0, 2.0], requires_grad=True)
    >>> y = w * 3
    >>> y[0] = 5.0
    >>> y *= w
    >>> y.sum().backward()
    >>> w.grad
    tensor([ 5., 12.])
    """

    __slots__ = ()

    # ------------------------------------------------------------------ operators

    def __iadd__(self, other: Any) -> Self:
        return update("+=", self, add, self, other)

    def __isub__(self, other: Any) -> Self:
        return update("-=", self, sub, self, other)

    def __imul__(self, other: Any) -> Self:
        return update("*=", self, mul, self, other)

    def __itruediv__(self, other: Any) -> Self:
        return update("/=", self, div, self, other)

    def __ipow__(self, other: Any) -> Self:
        return update("**=", self, elementwise.pow, self, other)

    def __ifloordiv__(self, other: Any) -> Self:
        return update("//=", self, operator.floordiv, self, other)

    def __imod__(self, other: Any) -> Self:
        return update("%=", self, operator.mod, self, other)

    def __imatmul__(self, other: Any) -> Self:
        return update("@=", self, operator.matmul, self, other)

    def __iand__(self, other: Any) -> Self:
        return update("&=", self, operator.and_, self, other)

    def __ior__(self, other: Any) -> Self:
        return update("|=", self, operator.or_, self, other)

    def __ixor__(self, other: Any) -> Self:
        return update("^=", self, operator.xor, self, other)

    def __ilshift__(self, other: Any) -> Self:
        return update("<<=", self, operator.lshift, self, other)

    def __irshift__(self, other: Any) -> Self:
        return update(">>=", self, operator.rshift, self, other)

    def __setitem__(self, key: Any, value: Any) -> None:
        write("setitem", self, plain_key(key), value)

    # ------------------------------------------------------------------ values

    def copy_(self, other: Any) -> Self:
        """Write the elements of another; they are broadcast, and converted to the dtype."""
        write("copy_", self, EVERYTHING, other)
        return self

    def fill_(self, value: Any) -> Self:
        """Write one number, or a tensor of one element, to all elements."""
        if np.size(value._data if isinstance(value, TensorBase) else value) != 1:
            raise ValueError(f"fill_: expects a single number, got shape {np.shape(value)}")
        write("fill_", self, EVERYTHING, value)
        return self

    def zero_(self) -> Self:
        """Write zeros."""
        return self.fill_(0)

    def masked_fill_(self, mask: Any, value: Any) -> Self:
        """Write a value where the mask, which is broadcast, is True."""
        (found,) = plain_key(mask, "masked_fill_")
        if not isinstance(found, np.ndarray) or found.dtype != np.bool_:
            raise TypeError(f"masked_fill_: expects a mask of booleans, got {found!r}")
        write("masked_fill_", self, Key((np.broadcast_to(found, self.shape),)), value)
        return self

    def index_fill_(self, dim: int, index: Any, value: Any) -> Self:
        """Write a value at positions along a dimension."""
        write("index_fill_", self, self._along("index_fill_", dim, index), value)
        return self

    def index_copy_(self, dim: int, index: Any, source: Any) -> Self:
        """Write slices of another at positions along a dimension."""
        write("index_copy_", self, self._along("index_copy_", dim, index), source)
        return self

    def index_add_(self, dim: int, index: Any, source: Any, *, alpha: float = 1) -> Self:
        """Add slices of another at positions along a dimension; repeats add up."""
        add_to("index_add_", self, self._along("index_add_", dim, index), _times(source, alpha))
        return self

    def index_put_(self, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Self:
        """Write ``self[indices] = values``, or add there: then repeats add up."""
        put = add_to if accumulate else write
        put("index_put_", self, plain_key(tuple(indices), "index_put_"), values)
        return self

    def scatter_(self, dim: int, index: Any, src: Any) -> Self:
        """Write ``self[…, index[…, i, …], …] = src[…, i, …]`` along a dimension, or one number."""
        key = self._scattered("scatter_", dim, index)
        write("scatter_", self, key, _of_shape("scatter_", src, key))
        return self

    def scatter_add_(self, dim: int, index: Any, src: Any) -> Self:
        """Add where `scatter_` writes; repeats add up."""
        key = self._scattered("scatter_add_", dim, index)
        add_to("scatter_add_", self, key, _of_shape("scatter_add_", src, key))
        return self

    def _along(self, name: str, dim: int, index: Any) -> Key:
        """Return the key of positions along a dimension."""
        axis = axis_of(name, self.ndim, dim)
        (found,) = plain_key(index, name)
        if isinstance(found, slice) or found is None or np.ndim(found) > 1:
            raise IndexError(f"{name}: expects a vector of integers as index, got {index!r}")
        return Key((*(slice(None),) * axis, np.atleast_1d(found)))

    def _scattered(self, name: str, dim: int, index: Any) -> Key:
        """Return the key of elements whose position along one dimension an index says."""
        axis = axis_of(name, self.ndim, dim)
        (found,) = plain_key(index, name)
        if not isinstance(found, np.ndarray) or found.ndim != self.ndim:
            raise IndexError(
                f"{name}: expects an index of integers of {self.ndim} dimensions, got {index!r}"
            )
        grid = list(np.ogrid[tuple(slice(size) for size in found.shape)])
        grid[axis] = found
        return Key(grid)

    # ------------------------------------------------------------------ random numbers

    def normal_(
        self, mean: float = 0.0, std: float = 1.0, *, generator: np.random.Generator | None = None
    ) -> Self:
        """Write random numbers of a normal distribution."""
        draw = (generator or default_generator()).normal
        return self.copy_(draw(mean, std, self.shape))

    def uniform_(
        self, low: float = 0.0, high: float = 1.0, *, generator: np.random.Generator | None = None
    ) -> Self:
        """Write random numbers that are equally likely from low up to high."""
        draw = (generator or default_generator()).uniform
        return self.copy_(draw(low, high, self.shape))

    def bernoulli_(self, p: float = 0.5, *, generator: np.random.Generator | None = None) -> Self:
        """Write ones with a probability, and zeros."""
        return self.copy_((generator or default_generator()).random(self.shape) < p)


def _times(value: Any, factor: float) -> Any:
    return value if factor == 1 else mul(value, factor)


def _of_shape(name: str, source: Any, key: Key) -> Any:
    """Return the part of a source that belongs to the index of `scatter_`."""
    shape = np.broadcast_shapes(*[part.shape for part in key])
    sizes = source.shape if isinstance(source, TensorBase) else np.shape(source)
    if not sizes:
        return source
    if len(sizes) != len(shape) or any(s < n for s, n in zip(sizes, shape, strict=True)):
        raise ValueError(f"{name}: an index of shape {shape} does not fit a source of {sizes}")
    source = source if isinstance(source, TensorBase) else np.asarray(source)
    return source if sizes == shape else source[tuple(slice(n) for n in shape)]
