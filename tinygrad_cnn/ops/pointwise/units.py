"""More activations: exponential and learned slopes, gates, and compositions of what is there.

At 0 the negative side's slope counts, as PyTorch's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.activation import leaky_relu, sigmoid, softplus, tanh
from tinygrad_cnn.ops.arguments import as_float, axis_of, numpy_words, shape_of
from tinygrad_cnn.ops.elementwise import exp, mul, neg, sub
from tinygrad_cnn.ops.piecewise import clip, where
from tinygrad_cnn.ops.rearranging.cutting import chunk
from tinygrad_cnn.ops.shape import reshape
from tinygrad_cnn.ops.softmax import softmax
from tinygrad_cnn.random import default_generator
from tinygrad_cnn.types import Operand

__all__ = [
    "celu",
    "elu",
    "glu",
    "logsigmoid",
    "mish",
    "prelu",
    "rrelu",
    "selu",
    "softmin",
    "tanhshrink",
]


class Elu(Op):
    """positive · x where x > 0, negative · (e^(rate · x) − 1) elsewhere."""

    __slots__ = ("negative", "positive", "rate")
    widens = True
    saves = ("x",)

    def __init__(self, negative: float, positive: float = 1.0, rate: float = 1.0) -> None:
        self.negative = negative
        self.positive = positive
        self.rate = rate

    def forward(self, x: Any) -> Any:
        x = as_float(x)
        below = np.asarray(np.minimum(x, 0.0) * self.rate)
        np.expm1(below, out=below)
        below *= self.negative
        return np.where(x > 0, x * self.positive, below)

    def choice(self, x: Any) -> Any:
        return x > 0

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        below = exp(mul(clip(x, None, 0.0), self.rate))
        above = x > 0
        return (mul(g, where(above, self.positive, mul(below, self.negative * self.rate))),)


def elu(input: Operand | float, alpha: float = 1.0, inplace: bool = False) -> Any:
    """Exponential linear unit: ``input`` where positive, else ``alpha · (exp(input) − 1)``.

    Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning by exponential
    linear units" (2016).

    >>> elu(np.array([-1e4, 0.0, 2.0]))
    array([-1.,  0.,  2.])
    """
    return Elu(alpha)(input)


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805
_selu = Elu(_SELU_ALPHA * _SELU_SCALE, _SELU_SCALE)


def selu(input: Operand | float, inplace: bool = False) -> Any:
    """Self-normalising unit: ``1.0507 · elu(input, 1.6733)``, which keeps mean 0 and variance 1.

    Klambauer et al., "Self-normalizing neural networks" (2017), where the numbers are derived.

    >>> selu(np.array([-1e4, 0.0, 1.0])).round(4)
    array([-1.7581,  0.    ,  1.0507])
    """
    return _selu(input)


def celu(input: Operand | float, alpha: float = 1.0, inplace: bool = False) -> Any:
    """Smooth exponential unit: ``input`` where positive, else ``alpha · (exp(input/alpha) − 1)``.

    Barron, "Continuously differentiable exponential linear units" (2017).

    Raises
    ------
    ValueError
        If alpha is 0.

    >>> celu(np.array([-1e4, 0.0, 2.0]), alpha=2.0)
    array([-2.,  0.,  2.])
    """
    if alpha == 0:
        raise ValueError("celu: expects an alpha other than 0, got 0")
    return Elu(alpha, 1.0, 1.0 / alpha)(input)


class PRelu(Op):
    """x where x > 0, slope · x elsewhere, the slope an input that broadcasts."""

    __slots__ = ()
    name = "prelu"
    saves = {"x": ("x", "slope"), "slope": ("x",)}

    def forward(self, x: Any, slope: Any) -> Any:
        return np.where(x > 0, x, np.multiply(x, slope))

    def choice(self, x: Any, slope: Any) -> Any:
        return x > 0

    def backward(self, g: Any, out: Any, x: Any, slope: Any, *, needs: Any) -> tuple[Any, ...]:
        above = x > 0
        return (
            where(above, g, mul(g, slope)) if needs[0] else None,
            where(above, 0.0, mul(g, x)) if needs[1] else None,
        )


_prelu = PRelu()


def prelu(input: Operand, weight: Operand) -> Any:
    """Identity where positive, ``weight · input`` elsewhere, 0 included; the weight is learned.

    Parameters
    ----------
    input
        Any shape; channels are its dimension 1, the only one of a vector.
    weight
        One number, or (C,): a slope for each channel.

    Raises
    ------
    ValueError
        If the weight does not fit the channels.

    Source: He et al., "Delving deep into rectifiers" (2015).

    >>> prelu(np.array([[-1.0, -1.0]]), np.array([0.25, 0.5]))
    array([[-0.25, -0.5 ]])
    """
    shape, slopes = shape_of("prelu", input), shape_of("prelu", weight)
    channels = shape[1] if len(shape) > 1 else 1
    if slopes not in ((), (1,), (channels,)):
        raise ValueError(
            f"prelu: weight expects one number or shape ({channels},), one for each channel of "
            f"input {shape}, got {slopes}"
        )
    if slopes == (channels,) and len(shape) > 1:
        weight = reshape(weight, channels, *(1,) * (len(shape) - 2))
    elif slopes:
        weight = reshape(weight, ())
    return _prelu(input, weight)


def rrelu(
    input: Operand,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
    generator: np.random.Generator | None = None,
) -> Any:
    """Leaky ReLU whose slope is drawn for each element, between lower and upper, in training.

    In evaluation the slope is their mean.

    Parameters
    ----------
    input
        Any shape.
    lower, upper
        The bounds of the slopes.
    training
        Whether to draw.
    generator
        Where the slopes come from; the default one, seeded by `manual_seed`, if None.

    Raises
    ------
    ValueError
        If lower is greater than upper.

    Source: Xu et al., "Empirical evaluation of rectified activations" (2015).

    >>> rrelu(np.array([-1.0, 2.0]), 0.1, 0.3)
    array([-0.2,  2. ])
    """
    if lower > upper:
        raise ValueError(f"rrelu: expects lower <= upper, got {lower} and {upper}")
    if not training:
        return leaky_relu(input, (lower + upper) / 2)
    slopes = (generator or default_generator()).uniform(lower, upper, input.shape)
    return _prelu(input, slopes.astype(input.dtype if input.dtype.kind == "f" else np.float32))


def logsigmoid(input: Operand | float) -> Any:
    """Logarithm of the logistic function, exact at both ends: ``−log(1 + exp(−input))``.

    >>> logsigmoid(np.array([-1e4, 0.0, 1e4])).round(4)
    array([-1.000e+04, -6.931e-01, -0.000e+00])
    """
    return neg(softplus(neg(input), threshold=np.inf))


def mish(input: Operand | float, inplace: bool = False) -> Any:
    """Self-gated unit: ``input · tanh(softplus(input))``.

    Misra, "Mish: a self regularized non-monotonic activation function" (2019).

    >>> mish(np.array([0.0, 1.0, 1e4])).round(4)
    array([0.000e+00, 8.651e-01, 1.000e+04])
    """
    return mul(input, tanh(softplus(input, threshold=np.inf)))


def tanhshrink(input: Operand | float) -> Any:
    """Subtract the hyperbolic tangent: ``input − tanh(input)``.

    >>> tanhshrink(np.array([0.0, 1.0])).round(4)
    array([0.    , 0.2384])
    """
    return sub(input, tanh(input))


@numpy_words
def glu(input: Operand, dim: int = -1) -> Any:
    """Gated linear unit: one half of a dimension times the sigmoid of the other, ``a · σ(b)``.

    Parameters
    ----------
    input
        Any shape whose dimension ``dim`` has an even size.
    dim
        The dimension to halve.

    Raises
    ------
    ValueError
        If its size is odd, or there is no dimension.
    IndexError
        If it does not exist.

    Source: Dauphin et al., "Language modeling with gated convolutional networks" (2017).

    >>> glu(np.array([1.0, 2.0, 0.0, 0.0]))
    array([0.5, 1. ])
    """
    if input.ndim == 0:
        raise ValueError("glu: expects at least one dimension, got a number")
    axis = axis_of("glu", input.ndim, dim)
    size = input.shape[axis]
    if size % 2:
        raise ValueError(f"glu: expects an even size of dim {dim} of {input.shape}, got {size}")
    value, gate = chunk(input, 2, axis)
    return mul(value, sigmoid(gate))


@numpy_words
def softmin(input: Operand, dim: int, dtype: Any = None) -> Any:
    """Softmax of the negated input: the smallest element gets the most.

    Arguments and errors as for `softmax`.

    >>> softmin(np.array([0.0, 1e4]), 0)
    array([1., 0.])
    """
    return softmax(neg(input), dim, dtype)
