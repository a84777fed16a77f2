"""`Operators`: a tensor's methods named after operations.

Every method is one line: it calls the operation of that name, where forward and rule stand.
``dim`` and ``keepdim`` are PyTorch's words; NumPy's ``axis`` and ``keepdims`` work too.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.arithmetic import Arithmetic
from tinygrad_cnn.ops import (
    activation,
    elementwise,
    extreme,
    index,
    linalg,
    piecewise,
    reduce,
    rounding,
    shape,
    softmax,
)

Dim = int | Sequence[int] | None


class Operators(Arithmetic):
    """Operations as methods; `Tensor` inherits them."""

    __slots__ = ()

    # ------------------------------------------------------------------ element by element

    def exp(self) -> Self:
        """Exponential."""
        return elementwise.exp(self)

    def log(self) -> Self:
        """Natural logarithm."""
        return elementwise.log(self)

    def log1p(self) -> Self:
        """Natural logarithm of 1 + x."""
        return elementwise.log1p(self)

    def sqrt(self) -> Self:
        """Square root."""
        return elementwise.sqrt(self)

    def abs(self) -> Self:
        """Absolute value."""
        return piecewise.abs(self)

    def sign(self) -> Self:
        """Sign: -1, 0 or 1."""
        return piecewise.sign(self)

    def floor(self) -> Self:
        """Round down; the gradient is 0."""
        return rounding.floor(self)

    def ceil(self) -> Self:
        """Round up; the gradient is 0."""
        return rounding.ceil(self)

    def trunc(self) -> Self:
        """Round towards 0; the gradient is 0."""
        return rounding.trunc(self)

    def round(self, decimals: int = 0) -> Self:
        """Round to decimals; the gradient is 0."""
        return rounding.round(self, decimals)

    def tanh(self) -> Self:
        """Hyperbolic tangent."""
        return activation.tanh(self)

    def sigmoid(self) -> Self:
        """Logistic function."""
        return activation.sigmoid(self)

    def relu(self) -> Self:
        """Return the positive part."""
        return activation.relu(self)

    def pow(self, exponent: Any) -> Self:
        """Raise to a power."""
        return elementwise.pow(self, exponent)

    def square(self) -> Self:
        """Square."""
        return elementwise.pow(self, 2)

    def clip(self, min: Any = None, max: Any = None) -> Self:
        """Limit to a range."""
        return piecewise.clip(self, min, max)

    clamp = clip

    def maximum(self, other: Any) -> Self:
        """Greater of two, element by element."""
        return piecewise.maximum(self, other)

    def minimum(self, other: Any) -> Self:
        """Smaller of two, element by element."""
        return piecewise.minimum(self, other)

    def where(self, condition: Any, other: Any) -> Self:
        """Keep these elements where the condition holds, take the others elsewhere."""
        return piecewise.where(condition, self, other)

    def clone(self) -> Self:
        """Copy; part of the graph."""
        return elementwise.clone(self)

    def astype(self, dtype: npt.DTypeLike) -> Self:
        """Convert to another dtype; part of the graph."""
        return self if self._data.dtype == dtype else elementwise.cast(self, dtype)

    to = astype

    def float(self) -> Self:
        """Convert to float32."""
        return self.astype(np.float32)

    def double(self) -> Self:
        """Convert to float64."""
        return self.astype(np.float64)

    # ------------------------------------------------------------------ reductions

    def sum(
        self, dim: Dim = None, keepdim: bool = False, *, axis: Dim = None, keepdims: bool = False
    ) -> Self:
        """Sum over dimensions, default all."""
        return reduce.sum(self, dim, keepdim, axis=axis, keepdims=keepdims)

    def mean(
        self, dim: Dim = None, keepdim: bool = False, *, axis: Dim = None, keepdims: bool = False
    ) -> Self:
        """Mean over dimensions, default all."""
        return reduce.mean(self, dim, keepdim, axis=axis, keepdims=keepdims)

    def prod(
        self, dim: Dim = None, keepdim: bool = False, *, axis: Dim = None, keepdims: bool = False
    ) -> Self:
        """Product over dimensions, default all."""
        return reduce.prod(self, dim, keepdim, axis=axis, keepdims=keepdims)

    def amax(
        self, dim: Dim = None, keepdim: bool = False, *, axis: Dim = None, keepdims: bool = False
    ) -> Self:
        """Maximum over dimensions; ties share the gradient."""
        return extreme.amax(self, dim, keepdim, axis=axis, keepdims=keepdims)

    def amin(
        self, dim: Dim = None, keepdim: bool = False, *, axis: Dim = None, keepdims: bool = False
    ) -> Self:
        """Minimum over dimensions; ties share the gradient."""
        return extreme.amin(self, dim, keepdim, axis=axis, keepdims=keepdims)

    def logsumexp(
        self, dim: Dim = None, keepdim: bool = False, *, axis: Dim = None, keepdims: bool = False
    ) -> Self:
        """Logarithm of the sum of exponentials."""
        return reduce.logsumexp(self, dim, keepdim, axis=axis, keepdims=keepdims)

    def max(
        self, dim: Dim = None, keepdim: bool = False, *, axis: Dim = None, keepdims: bool = False
    ) -> Self:
        """Maximum; over a dimension the first one takes the gradient."""
        return extreme.max(self, dim, keepdim, axis=axis, keepdims=keepdims)

    def min(
        self, dim: Dim = None, keepdim: bool = False, *, axis: Dim = None, keepdims: bool = False
    ) -> Self:
        """Minimum; over a dimension the first one takes the gradient."""
        return extreme.min(self, dim, keepdim, axis=axis, keepdims=keepdims)

    def var(
        self,
        dim: Dim = None,
        correction: builtins.float = 1,
        keepdim: bool = False,
        *,
        axis: Dim = None,
        keepdims: bool = False,
    ) -> Self:
        """Variance, with Bessel's correction by default."""
        return reduce.var(self, dim, correction, keepdim, axis=axis, keepdims=keepdims)

    def std(
        self,
        dim: Dim = None,
        correction: builtins.float = 1,
        keepdim: bool = False,
        *,
        axis: Dim = None,
        keepdims: bool = False,
    ) -> Self:
        """Return the standard deviation, with Bessel's correction by default."""
        return reduce.std(self, dim, correction, keepdim, axis=axis, keepdims=keepdims)

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Self:
        """Index of the first maximum."""
        return extreme.argmax(self, dim, keepdim)

    def argmin(self, dim: int | None = None, keepdim: bool = False) -> Self:
        """Index of the first minimum."""
        return extreme.argmin(self, dim, keepdim)

    def softmax(self, dim: int) -> Self:
        """Exponentials over their sum along a dimension."""
        return softmax.softmax(self, dim)

    def log_softmax(self, dim: int) -> Self:
        """Logarithm of `softmax`."""
        return softmax.log_softmax(self, dim)

    # ------------------------------------------------------------------ shape

    def reshape(self, *shape_: int | Sequence[int]) -> Self:
        """Give another shape to the same elements."""
        return shape.reshape(self, *shape_)

    view = reshape

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Self:
        """Join neighbouring dimensions into one."""
        return shape.flatten(self, start_dim, end_dim)

    def transpose(self, dim0: int, dim1: int) -> Self:
        """Exchange two dimensions."""
        return shape.transpose(self, dim0, dim1)

    def permute(self, *dims: int | Sequence[int]) -> Self:
        """Put the dimensions into another order."""
        return shape.permute(self, *dims)

    def squeeze(self, dim: Dim = None) -> Self:
        """Drop dimensions of size 1."""
        return shape.squeeze(self, dim)

    def unsqueeze(self, dim: int) -> Self:
        """Insert a dimension of size 1."""
        return shape.unsqueeze(self, dim)

    def expand(self, *sizes: int | Sequence[int]) -> Self:
        """Repeat along dimensions of size 1; -1 keeps a size."""
        return shape.expand(self, *sizes)

    def broadcast_to(self, shape_: Sequence[int]) -> Self:
        """Repeat along new and size-1 dimensions."""
        return shape.broadcast_to(self, shape_)

    def pad(self, pad: Sequence[int], value: builtins.float = 0.0) -> Self:
        """Add borders, last dimension first, as `functional.pad`."""
        return shape.pad(self, pad, value=value)

    def split(self, sizes: int | Sequence[int], dim: int = 0) -> tuple[Self, ...]:
        """Cut into pieces along a dimension."""
        return shape.split(self, sizes, dim)

    @property
    def T(self) -> Self:  # noqa: N802  # NumPy's and PyTorch's name
        """The dimensions in reverse order."""
        return shape.permute(self, *reversed(range(self.ndim)))

    def __getitem__(self, key: Any) -> Self:
        """Pick elements: ints, slices, None, Ellipsis, integer or boolean arrays."""
        return index.getitem(self, key)

    # ------------------------------------------------------------------ linear algebra

    def matmul(self, other: Any) -> Self:
        """Matrix product, with batches."""
        return linalg.matmul(self, other)

    def dot(self, other: Any) -> Self:
        """Sum of products of two vectors."""
        return linalg.dot(self, other)

    def outer(self, other: Any) -> Self:
        """All products of two vectors."""
        return linalg.outer(self, other)
