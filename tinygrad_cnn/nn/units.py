"""Activations with exponential or learned slopes, and gates, as modules."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

import tinygrad_cnn.functional as F
from tinygrad_cnn.dtypes import factory
from tinygrad_cnn.nn.applying import Applies, AppliesInPlace
from tinygrad_cnn.nn.linear import positive
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.nn.parameter import Parameter

__all__ = [
    "CELU",
    "ELU",
    "GLU",
    "SELU",
    "LogSigmoid",
    "Mish",
    "PReLU",
    "RReLU",
    "Tanhshrink",
]


class ELU(AppliesInPlace, Module):
    """Keep the positive part; elsewhere alpha · (exp(x) − 1).

    >>> import numpy as np
    >>> ELU()(np.array([-1e4, 2.0]))
    array([-1.,  2.])
    """

    function = staticmethod(F.elu)
    settings = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha


class SELU(AppliesInPlace, Module):
    """Scaled `ELU` that keeps mean 0 and variance 1.

    >>> import numpy as np
    >>> SELU()(np.array([0.0, 1.0])).round(4)
    array([0.    , 1.0507])
    """

    function = staticmethod(F.selu)


class CELU(AppliesInPlace, Module):
    """Keep the positive part; elsewhere alpha · (exp(x / alpha) − 1).

    >>> import numpy as np
    >>> CELU(2.0)(np.array([-1e4, 2.0]))
    array([-2.,  2.])
    """

    function = staticmethod(F.celu)
    settings = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        if alpha == 0:
            raise ValueError("CELU: expects an alpha other than 0, got 0")
        self.alpha = alpha


class PReLU(Module):
    """Keep the positive part, and the negative one times a slope that is learned.

    Parameters
    ----------
    num_parameters
        1, or C: a slope for each channel (dimension 1).
    init
        The slopes at first.
    dtype, device
        Of the slopes. None for the default type; the device is the processor.

    Attributes
    ----------
    weight
        Shape (num_parameters,).

    >>> import numpy as np
    >>> PReLU()(np.array([-1.0, 2.0], np.float32)).tolist()
    [-0.25, 2.0]
    """

    def __init__(
        self,
        num_parameters: int = 1,
        init: float = 0.25,
        *,
        dtype: npt.DTypeLike | None = None,
        device: Any = None,
    ) -> None:
        dtype = factory(dtype, device)
        self.num_parameters = positive("PReLU", "num_parameters", num_parameters)
        self.init = init
        self.weight = Parameter(np.full(self.num_parameters, init, dtype))

    def forward(self, input: Any) -> Any:
        """Apply `functional.prelu`."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"num_parameters={self.num_parameters}"


class RReLU(Module):
    """Leaky ReLU whose slopes are drawn in training; in evaluation their mean is used.

    Parameters
    ----------
    lower, upper
        The bounds of the slopes.
    inplace
        PyTorch's word: the result is the same, the input is not written to.
    generator
        Draws them; the package's default generator if None.

    >>> import numpy as np
    >>> RReLU(0.1, 0.3).eval()(np.array([-1.0, 2.0]))
    array([-0.2,  2. ])
    """

    def __init__(
        self,
        lower: float = 1.0 / 8,
        upper: float = 1.0 / 3,
        inplace: bool = False,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        if lower > upper:
            raise ValueError(f"RReLU: expects lower <= upper, got {lower} and {upper}")
        self.lower = lower
        self.upper = upper
        self.inplace = inplace
        self.generator = generator

    def forward(self, input: Any) -> Any:
        """Apply `functional.rrelu`."""
        return F.rrelu(input, self.lower, self.upper, self.training, generator=self.generator)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"lower={self.lower}, upper={self.upper}"


class LogSigmoid(Applies, Module):
    """Apply the logarithm of the logistic function.

    >>> import numpy as np
    >>> LogSigmoid()(np.array([0.0])).round(4)
    array([-0.6931])
    """

    function = staticmethod(F.logsigmoid)


class Mish(AppliesInPlace, Module):
    """Apply x · tanh(softplus(x)).

    >>> import numpy as np
    >>> Mish()(np.array([1.0])).round(4)
    array([0.8651])
    """

    function = staticmethod(F.mish)


class Tanhshrink(Applies, Module):
    """Apply x − tanh(x).

    >>> import numpy as np
    >>> Tanhshrink()(np.array([1.0])).round(4)
    array([0.2384])
    """

    function = staticmethod(F.tanhshrink)


class GLU(Applies, Module):
    """Multiply one half of a dimension by the sigmoid of the other.

    >>> import numpy as np
    >>> GLU()(np.array([1.0, 2.0, 0.0, 0.0]))
    array([0.5, 1. ])
    """

    function = staticmethod(F.glu)
    settings = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim
