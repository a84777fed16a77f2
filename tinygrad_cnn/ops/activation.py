"""Activations, element by element: relu, sigmoid, tanh and their smooth relatives.

All are stable for any finite input, without a floating-point warning. The rules call functions
rather than operators, for these share large arrays out over threads.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_cnn.deferring import Unkept
from tinygrad_cnn.joining import ElementByElement, joining
from tinygrad_cnn.kernels.pointwise import activation as kernels
from tinygrad_cnn.kernels.pointwise.elementwise import apply
from tinygrad_cnn.kernels.pool.lazy import LazyGradient
from tinygrad_cnn.kernels.runtime.rows import rectify
from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.arguments import as_float
from tinygrad_cnn.ops.elementwise import add, div, exp, mul
from tinygrad_cnn.ops.piecewise import abs, where
from tinygrad_cnn.ops.pointwise.ufunc import FloatUnary, unary
from tinygrad_cnn.types import Operand

__all__ = [
    "erf",
    "gelu",
    "leaky_relu",
    "relu",
    "sigmoid",
    "silu",
    "softplus",
    "softsign",
    "tanh",
]


class Relu(ElementByElement, Op):
    """Positive part: ``max(input, 0)``; its derivative at 0 is 0.

    Nair and Hinton, "Rectified linear units improve restricted Boltzmann machines" (2010).

    >>> relu(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    __slots__ = ()
    saves = ("out",)

    def forward(self, x: Any) -> Any:
        return kernels.relu(np.asarray(x))

    def write(self, out: Any, x: Any) -> None:
        rectify(out, x)

    def choice(self, x: Any) -> Any:
        return x > 0

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        if type(g) is LazyGradient:
            return (g.before_relu(),)
        return (_gate(g, out.value() if type(out) is Unkept else out),)


relu = unary(Relu, inplace=True)


class Gate(Op):
    """x where control > 0, slope · x elsewhere: the rule of relu, linear in x."""

    __slots__ = ("slope",)
    saves = {"x": ("control",)}

    def __init__(self, slope: float) -> None:
        self.slope = slope

    def forward(self, x: Any, control: Any) -> Any:
        if self.slope == 0 and x.shape == control.shape and x.dtype == control.dtype:
            return kernels.relu_gradient(x, control)
        return np.where(control > 0, x, x * self.slope)

    def choice(self, x: Any, control: Any) -> Any:
        return control > 0

    def backward(self, g: Any, out: Any, x: Any, control: Any, *, needs: Any) -> tuple[Any, ...]:
        return (
            Gate(self.slope)(g, control) if needs[0] else None,
            g * 0.0 if needs[1] else None,  # constant wherever it has a derivative
        )


_gate = Gate(0.0)


class LeakyRelu(ElementByElement, Op):
    """x where x > 0, slope · x elsewhere."""

    __slots__ = ("negative_slope",)
    saves = ("x",)

    def __init__(self, negative_slope: float) -> None:
        self.negative_slope = negative_slope

    def forward(self, x: Any) -> Any:
        sloped = np.multiply(x, self.negative_slope)
        if 0 < self.negative_slope <= 1:  # ten times as fast as np.where
            return apply(np.maximum, x, sloped)
        return np.where(np.greater(x, 0), x, sloped)

    def write(self, out: Any, x: Any) -> None:
        np.copyto(out, self.forward(x))

    def choice(self, x: Any) -> Any:
        return x > 0

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (Gate(self.negative_slope)(g, x),)


def leaky_relu(input: Operand | float, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    """Identity where positive, ``negative_slope · input`` elsewhere, 0 included.

    Maas, Hannun and Ng, "Rectifier nonlinearities improve neural network acoustic models" (2013).

    >>> leaky_relu(np.array([-1.0, 2.0]), 0.1)
    array([-0.1,  2. ])
    """
    return joining(LeakyRelu(negative_slope))(input)


class Sigmoid(ElementByElement, Op):
    """Logistic function: ``1 / (1 + exp(-input))``.

    >>> sigmoid(np.array([-1e4, 0.0, 1e4]))
    array([0. , 0.5, 1. ])
    """

    __slots__ = ()
    saves = ("out",)

    def forward(self, x: Any) -> Any:
        return kernels.sigmoid(as_float(x))

    def write(self, out: Any, x: Any) -> None:
        np.copyto(out, kernels.sigmoid(x))

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        if isinstance(out, np.ndarray):  # one pass over the memory instead of three
            return (kernels.sigmoid_gradient(g, out),)
        return (g * out * (1.0 - out),)


sigmoid = unary(Sigmoid)


class Tanh(FloatUnary):
    """Hyperbolic tangent.

    >>> tanh(np.array([-1e4, 0.0, 1e4]))
    array([-1.,  0.,  1.])
    """

    __slots__ = ()
    ufunc = np.tanh
    saves = ("out",)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        if isinstance(out, np.ndarray):  # one pass, as for sigmoid
            return (kernels.tanh_gradient(g, out),)
        return (g * (1.0 - out * out),)


tanh = unary(Tanh)


class Softplus(Op):
    """ln(1 + e^(beta · x)) / beta, and x where beta · x > threshold."""

    __slots__ = ("beta", "threshold")
    widens = True
    saves = ("x",)

    def __init__(self, beta: float, threshold: float) -> None:
        self.beta = beta
        self.threshold = threshold

    def forward(self, x: Any) -> Any:
        x = as_float(x)
        scaled = np.asarray(x * self.beta)
        return np.where(scaled > self.threshold, x, kernels.softplus(scaled) / self.beta)

    def choice(self, x: Any) -> Any:
        return x * self.beta > self.threshold

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        scaled = mul(x, self.beta)
        return (where(scaled > self.threshold, g, mul(g, sigmoid(scaled))),)


def softplus(input: Operand | float, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """Smooth positive part: ``log(1 + exp(beta · input)) / beta``.

    Where ``beta · input > threshold`` it is the input itself, and the derivative 1.

    Raises
    ------
    ValueError
        If beta is 0.

    >>> softplus(np.array([0.0, 1e4])).round(4)
    array([6.931e-01, 1.000e+04])
    """
    if beta == 0:
        raise ValueError("softplus: expects a beta other than 0, got 0")
    return Softplus(beta, threshold)(input)


class Erf(Op):
    """Error function: ``2/√π · ∫ exp(-t²) dt`` from 0 to the input.

    >>> erf(np.array([0.0, 0.5])).round(6)
    array([0.    , 0.5205])
    """

    __slots__ = ()
    widens = True
    saves = ("x",)

    def forward(self, x: Any) -> Any:
        return kernels.erf(as_float(x))

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (g * exp(mul(mul(x, x), -1.0)) * (2.0 / math.sqrt(math.pi)),)


erf = unary(Erf)


class Gelu(Op):
    """x · Φ(x), Φ the normal distribution function."""

    __slots__ = ()
    widens = True
    saves = ("x",)

    def forward(self, x: Any) -> Any:
        return kernels.gelu(as_float(x))

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (kernels.gelu_gradient(g, x),)

    def reference(self, x: Any) -> Any:
        """Compute the same in plain operations."""
        return mul(x, erf(mul(x, math.sqrt(0.5))) * 0.5 + 0.5)


class GeluTanh(Op):
    """x/2 · (1 + tanh(√(2/π) · (x + 0.044715 · x³)))."""

    __slots__ = ()
    widens = True
    saves = ("x",)

    def forward(self, x: Any) -> Any:
        return kernels.gelu_tanh(as_float(x))

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        c = math.sqrt(2.0 / math.pi)
        square = x * x
        t = tanh(mul(mul(x, c), square * 0.044715 + 1.0))
        slope = (1.0 - t * t) * (square * (3.0 * 0.044715 * c) + c)
        return (g * ((t + 1.0) + x * slope) * 0.5,)


_gelu = Gelu()
_gelu_tanh = GeluTanh()


def gelu(input: Operand | float, approximate: str = "none") -> Any:
    """Gaussian error linear unit: ``input · Φ(input)``, Φ the normal distribution function.

    ``approximate="tanh"`` gives ``x/2 · (1 + tanh(√(2/π) · (x + 0.044715 · x³)))`` instead.
    Hendrycks and Gimpel, "Gaussian error linear units" (2016).

    Raises
    ------
    ValueError
        If ``approximate`` is neither "none" nor "tanh".

    >>> gelu(np.array([1.0])).round(6), gelu(np.array([1.0]), "tanh").round(6)
    (array([0.841345]), array([0.841192]))
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f'gelu: approximate expects "none" or "tanh", got {approximate!r}')
    return _gelu(input) if approximate == "none" else _gelu_tanh(input)


class Silu(ElementByElement, Op):
    """Sigmoid linear unit, also called swish: ``input · sigmoid(input)``.

    Elfwing, Uchibe and Doya, "Sigmoid-weighted linear units" (2018).

    >>> silu(np.array([-1e4, 0.0, 1e4]))
    array([   -0.,     0., 10000.])
    """

    __slots__ = ()
    saves = ("x",)

    def forward(self, x: Any) -> Any:
        return kernels.silu(as_float(x))

    def write(self, out: Any, x: Any) -> None:
        np.copyto(out, kernels.silu(x))

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        return (kernels.silu_gradient(g, x),)

    def reference(self, x: Any) -> Any:
        """Compute the same in plain operations."""
        return mul(x, sigmoid(x))


silu = unary(Silu, inplace=True)


class Softsign(Op):
    """Soft sign: ``input / (1 + |input|)``, between -1 and 1.

    Turian, Bergstra and Bengio, "Quadratic features and deep architectures for chunking" (2009).

    >>> softsign(np.array([-1.0, 0.0, 3.0]))
    array([-0.5 ,  0.  ,  0.75])
    """

    __slots__ = ()
    saves = ("x",)

    def forward(self, x: Any) -> Any:
        x = as_float(x)
        return x / (np.abs(x) + 1.0)

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:
        below = add(abs(x), 1.0)
        return (div(g, mul(below, below)),)


softsign = unary(Softsign)
