"""Activations that are flat in places: what hardware, sparse codes and small networks use.

At a kink the flat side counts: the derivative there is 0, as PyTorch's; hardswish, which has no
flat side at 3, has the derivative 1 there.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from tinygrad_cnn.joining import ElementByElement, joining
from tinygrad_cnn.kernels.pointwise.activation import masked_gradient
from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.arguments import as_float
from tinygrad_cnn.ops.elementwise import add, mul
from tinygrad_cnn.ops.piecewise import where
from tinygrad_cnn.ops.pointwise.ufunc import unary
from tinygrad_cnn.types import Operand

__all__ = [
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "relu6",
    "softshrink",
    "threshold",
]


class _Flat(Op):
    """Slope 0 where `flat` says so, 1 elsewhere."""

    __slots__ = ()
    saves = ("x",)

    @abstractmethod
    def flat(self, x: Any) -> Any:
        """Return where the result does not follow the input, the kinks included."""

    def choice(self, x: Any) -> Any:
        return self.flat(x)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (where(self.flat(x), 0.0, g),)


class Hardtanh(ElementByElement, _Flat):
    """min(max(x, low), high), with derivative 0 at both ends."""

    __slots__ = ("high", "low")
    saves = ("out",)  # it lies at an end where the input lies there or beyond

    def __init__(self, low: float, high: float) -> None:
        self.low = low
        self.high = high

    def flat(self, x: Any) -> Any:
        return (x <= self.low) | (x >= self.high)

    def forward(self, x: Any) -> Any:
        return np.clip(as_float(x), self.low, self.high)

    def write(self, out: Any, x: Any) -> None:
        np.clip(x, self.low, self.high, out=out)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        if type(g) is np.ndarray:  # in one pass
            return (masked_gradient(g, out, lambda out: np.logical_not(self.flat(out))),)
        return (where(self.flat(out), 0.0, g),)


def hardtanh(
    input: Operand | float, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Any:
    """Limit to ``[min_val, max_val]``: a tanh of three straight lines.

    The derivative is 0 at both ends, where that of `clip` is 1.

    Raises
    ------
    ValueError
        If min_val is greater than max_val.

    >>> hardtanh(np.array([-2.0, 0.5, 2.0]))
    array([-1. ,  0.5,  1. ])
    """
    if min_val > max_val:
        raise ValueError(f"hardtanh: expects min_val <= max_val, got {min_val} and {max_val}")
    return joining(Hardtanh(min_val, max_val))(input)


_relu6 = joining(Hardtanh(0.0, 6.0))


def relu6(input: Operand | float, inplace: bool = False) -> Any:
    """Positive part, at most 6: ``min(max(input, 0), 6)``; the derivative at 0 and 6 is 0.

    Howard et al., "MobileNets" (2017).

    >>> relu6(np.array([-1.0, 2.0, 8.0]))
    array([0., 2., 6.])
    """
    return _relu6(input)


def hardsigmoid(input: Operand | float, inplace: bool = False) -> Any:
    """Sigmoid of three straight lines: ``relu6(input + 3) / 6``; the derivative at ±3 is 0.

    Courbariaux, Bengio and David, "BinaryConnect" (2015), with PyTorch's slope of 1/6.

    >>> hardsigmoid(np.array([-4.0, 0.0, 1.5, 4.0]))
    array([0.  , 0.5 , 0.75, 1.  ])
    """
    return mul(_relu6(add(input, 3.0)), 1.0 / 6.0)


class Hardswish(ElementByElement, Op):
    """Swish of straight lines: ``input · relu6(input + 3) / 6``; slope 0 at -3 and 1 at 3.

    Howard et al., "Searching for MobileNetV3" (2019).

    >>> hardswish(np.array([-4.0, 0.0, 1.0, 4.0])).round(4)
    array([-0.    ,  0.    ,  0.6667,  4.    ])
    """

    __slots__ = ()
    saves = ("x",)

    def forward(self, x: Any) -> Any:
        x = as_float(x)
        out = np.asarray(x + 3.0)
        np.clip(out, 0.0, 6.0, out=out)
        out *= x
        out *= 1.0 / 6.0
        return out

    def write(self, out: Any, x: Any) -> None:
        np.copyto(out, self.forward(x))

    def choice(self, x: Any) -> Any:
        return (x > -3.0).astype(np.int8) + (x >= 3.0)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        slope = where(x >= 3.0, 1.0, add(mul(x, 1.0 / 3.0), 0.5))
        return (where(x <= -3.0, 0.0, mul(g, slope)),)


hardswish = unary(Hardswish, inplace=True)


class Hardshrink(_Flat):
    """0 where |x| <= limit, x elsewhere."""

    __slots__ = ("limit",)

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def flat(self, x: Any) -> Any:
        return (x >= -self.limit) & (x <= self.limit)

    def forward(self, x: Any) -> Any:
        x = as_float(x)
        return np.where(self.flat(x), x.dtype.type(0.0), x)


def hardshrink(input: Operand | float, lambd: float = 0.5) -> Any:
    """Set what is small to 0: ``input`` where ``|input| > lambd``, else 0, with derivative 0.

    >>> hardshrink(np.array([-1.0, 0.25, 2.0]))
    array([-1.,  0.,  2.])
    """
    return Hardshrink(lambd)(input)


class Softshrink(Hardshrink):
    """x moved towards 0 by the limit, 0 where |x| <= limit."""

    __slots__ = ()

    def forward(self, x: Any) -> Any:
        x = as_float(x)
        return x - np.clip(x, -self.limit, self.limit)


def softshrink(input: Operand | float, lambd: float = 0.5) -> Any:
    """Move towards 0 by ``lambd``; 0, with derivative 0, where ``|input| <= lambd``.

    Raises
    ------
    ValueError
        If lambd is negative.

    Source: Donoho, "De-noising by soft-thresholding" (1995).

    >>> softshrink(np.array([-1.0, 0.25, 2.0]))
    array([-0.5,  0. ,  1.5])
    """
    if not lambd >= 0:
        raise ValueError(f"softshrink: lambd expects a number >= 0, got {lambd}")
    return Softshrink(lambd)(input)


class Threshold(_Flat):
    """x where x > limit, a value elsewhere."""

    __slots__ = ("limit", "value")

    def __init__(self, limit: float, value: float) -> None:
        self.limit = limit
        self.value = value

    def flat(self, x: Any) -> Any:
        return x <= self.limit

    def forward(self, x: Any) -> Any:
        x = as_float(x)
        return np.where(self.flat(x), x.dtype.type(self.value), x)


def threshold(input: Operand | float, threshold: float, value: float, inplace: bool = False) -> Any:
    """Keep what is greater than a threshold: ``input`` there, ``value`` elsewhere.

    >>> threshold(np.array([-1.0, 0.5, 2.0]), 0.5, -9.0)
    array([-9., -9.,  2.])
    """
    return Threshold(threshold, value)(input)
