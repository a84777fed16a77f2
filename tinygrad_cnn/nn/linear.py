"""`Linear`, and the default initialisation of layers with weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

import tinygrad_cnn.functional as F
from tinygrad_cnn.dtypes import factory
from tinygrad_cnn.nn import init
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.nn.parameter import Parameter

__all__ = ["Bilinear", "Linear"]


class Linear(Module):
    """Map features linearly: ``input · weightᵀ + bias``.

    Parameters
    ----------
    in_features, out_features
        Number of features of the input and of the result.
    bias
        Whether to add a bias.
    generator
        Draws the weights, U(±1/√in_features); the package's default generator if None.
    dtype, device
        Of the parameters. None for the default type; the device is the processor.

    Attributes
    ----------
    weight
        Shape (out_features, in_features).
    bias
        Shape (out_features,), or None.

    Raises
    ------
    ValueError
        If a number of features is less than 1.

    Notes
    -----
    Input (…, in_features), result (…, out_features).

    >>> Linear(3, 2)(np.ones((5, 3), np.float32)).shape
    (5, 2)
    """

    bias: Any  # a Parameter or None; nobody wants to assert which in init.zeros_(layer.bias)

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        generator: np.random.Generator | None = None,
        dtype: npt.DTypeLike | None = None,
        device: Any = None,
    ) -> None:
        dtype = factory(dtype, device)
        self.in_features = positive("Linear", "in_features", in_features)
        self.out_features = positive("Linear", "out_features", out_features)
        self.weight, self.bias = draw_weights(
            (self.out_features, self.in_features), self.out_features, bias, generator, dtype
        )

    def forward(self, input: Any) -> Any:
        """Apply `functional.linear`."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return the settings."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Bilinear(Module):
    """Apply bilinear forms to pairs of features: ``aᵀ · weight[o] · b + bias[o]``.

    Parameters
    ----------
    in1_features, in2_features, out_features
        I, J and O.
    bias
        Whether to add a bias.
    generator
        Draws the weights, U(±1/√I); the package's default generator if None.
    dtype, device
        Of the parameters. None for the default type; the device is the processor.

    Attributes
    ----------
    weight
        Shape (O, I, J).
    bias
        Shape (O,), or None.

    Raises
    ------
    ValueError
        If a number of features is less than 1.

    Notes
    -----
    Inputs (…, I) and (…, J), result (…, O).

    >>> Bilinear(3, 4, 2)(np.ones((5, 3), np.float32), np.ones((5, 4), np.float32)).shape
    (5, 2)
    """

    bias: Any

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        *,
        generator: np.random.Generator | None = None,
        dtype: npt.DTypeLike | None = None,
        device: Any = None,
    ) -> None:
        dtype = factory(dtype, device)
        self.in1_features = positive("Bilinear", "in1_features", in1_features)
        self.in2_features = positive("Bilinear", "in2_features", in2_features)
        self.out_features = positive("Bilinear", "out_features", out_features)
        bound = 1 / math.sqrt(self.in1_features)
        shape = self.out_features, self.in1_features, self.in2_features
        self.weight = Parameter(np.empty(shape, dtype))
        init.uniform_(self.weight, -bound, bound, generator)
        self.bias = None
        if bias:
            self.bias = Parameter(np.empty(self.out_features, dtype))
            init.uniform_(self.bias, -bound, bound, generator)

    def forward(self, input1: Any, input2: Any) -> Any:
        """Apply `functional.bilinear`."""
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return the settings."""
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )


def draw_weights(
    shape: tuple[int, ...],
    outputs: int,
    bias: bool,
    generator: np.random.Generator | None,
    dtype: npt.DTypeLike,
) -> tuple[Parameter, Parameter | None]:
    """Draw a weight of that shape and, if wanted, a bias of so many outputs, as PyTorch does.

    Both are from U(±1/√fan_in), which for the weight is the Kaiming uniform draw of a = √5.
    """
    weight = Parameter(np.empty(shape, dtype))
    init.kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)
    if not bias:
        return weight, None
    bound = 1 / math.sqrt(init.calculate_fan_in_and_fan_out(weight)[0])
    offsets = Parameter(np.empty(outputs, dtype))
    init.uniform_(offsets, -bound, bound, generator)
    return weight, offsets


def positive(layer: str, name: str, value: int) -> int:
    """Return the value if it is a positive integer."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{layer}: {name} expects an integer, got {value!r}")
    if value < 1:
        raise ValueError(f"{layer}: {name} expects at least 1, got {value}")
    return int(value)
