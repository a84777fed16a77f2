"""`Operators`: a tensor's methods named after operations.

A method is the function of that name in `functional`, called with the tensor first. A new one is
a line here.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

import tinygrad_cnn.functional as F
from tinygrad_cnn.arithmetic import Arithmetic
from tinygrad_cnn.ops.arguments import NumpyWords

P = ParamSpec("P")
S = TypeVar("S")


class Method(Protocol[P]):
    """A function as a method: of a tensor it takes the other arguments and returns its like."""

    def __get__(self, tensor: S, owner: Any = ...) -> Callable[P, S]:
        """Bind to a tensor."""


class NumpyMethod(Protocol[P]):
    """The same of a function that takes ``axis`` and ``keepdims`` too."""

    def __get__(self, tensor: S, owner: Any = ...) -> NumpyWords[P, S]:
        """Bind to a tensor."""


class TupleMethod(Protocol[P]):
    """The same of a function that returns several."""

    def __get__(self, tensor: S, owner: Any = ...) -> NumpyWords[P, tuple[S, ...]]:
        """Bind to a tensor."""


def method(function: Callable[Concatenate[Any, P], Any]) -> Method[P]:
    """Return a function, which is a method as it is, with the type of one."""
    return function


def numpy_method(function: NumpyWords[Concatenate[Any, P], Any]) -> NumpyMethod[P]:
    """Return a function with ``dim`` or ``keepdim`` with the type of a method."""
    return function  # type: ignore[return-value]  # a tensor is returned where one is given


def tuple_method(function: NumpyWords[Concatenate[Any, P], tuple[Any, ...]]) -> TupleMethod[P]:
    """Return a function with ``dim`` that returns several with the type of a method."""
    return function  # type: ignore[return-value]  # tensors are returned where one is given


class Operators(Arithmetic):
    """Operations as methods; `Tensor` inherits them."""

    __slots__ = ()

    # ------------------------------------------------------------------ element by element

    exp = method(F.exp)
    log = method(F.log)
    log1p = method(F.log1p)
    sqrt = method(F.sqrt)
    abs = method(F.abs)
    sign = method(F.sign)
    floor = method(F.floor)
    ceil = method(F.ceil)
    trunc = method(F.trunc)
    round = method(F.round)
    tanh = method(F.tanh)
    sigmoid = method(F.sigmoid)
    relu = method(F.relu)
    pow = method(F.pow)

    def square(self) -> Self:
        """Square."""
        return F.pow(self, 2)

    clip = method(F.clip)
    clamp = method(F.clamp)
    maximum = method(F.maximum)
    minimum = method(F.minimum)

    def where(self, condition: Any, other: Any) -> Self:
        """Keep these elements where the condition holds, take the others elsewhere."""
        return F.where(condition, self, other)

    clone = method(F.clone)

    def astype(self, dtype: npt.DTypeLike) -> Self:
        """Convert to another dtype; part of the graph."""
        return self if self._data.dtype == dtype else F.cast(self, dtype)

    to = astype

    def float(self) -> Self:
        """Convert to float32."""
        return self.astype(np.float32)

    def double(self) -> Self:
        """Convert to float64."""
        return self.astype(np.float64)

    # ------------------------------------------------------------------ reductions

    sum = numpy_method(F.sum)
    mean = numpy_method(F.mean)
    prod = numpy_method(F.prod)
    amax = numpy_method(F.amax)
    amin = numpy_method(F.amin)
    logsumexp = numpy_method(F.logsumexp)
    max = numpy_method(F.max)
    min = numpy_method(F.min)
    var = numpy_method(F.var)
    std = numpy_method(F.std)
    argmax = numpy_method(F.argmax)
    argmin = numpy_method(F.argmin)
    softmax = numpy_method(F.softmax)
    log_softmax = numpy_method(F.log_softmax)

    # ------------------------------------------------------------------ shape

    reshape = method(F.reshape)
    view = method(F.view)
    flatten = method(F.flatten)
    transpose = method(F.transpose)
    permute = method(F.permute)
    squeeze = numpy_method(F.squeeze)
    unsqueeze = numpy_method(F.unsqueeze)
    expand = method(F.expand)
    broadcast_to = method(F.broadcast_to)

    def pad(self, pad: Sequence[int], value: builtins.float = 0.0) -> Self:
        """Add borders, last dimension first, as `functional.pad`."""
        return F.pad(self, pad, value=value)

    split = tuple_method(F.split)

    @property
    def T(self) -> Self:  # noqa: N802  # NumPy's and PyTorch's name
        """The dimensions in reverse order."""
        return F.permute(self, *reversed(range(self.ndim)))

    def __getitem__(self, key: Any) -> Self:
        """Pick elements: ints, slices, None, Ellipsis, integer or boolean arrays."""
        return F.getitem(self, key)

    # ------------------------------------------------------------------ linear algebra

    matmul = method(F.matmul)
    dot = method(F.dot)
    outer = method(F.outer)
