"""Activations as modules; the flat ones are in `hard`, exponential and gated ones in `units`."""

from __future__ import annotations

from typing import Any

import tinygrad_cnn.functional as F
from tinygrad_cnn.nn.applying import Applies, AppliesInPlace
from tinygrad_cnn.nn.module import Module

__all__ = [
    "GELU",
    "LeakyReLU",
    "LogSoftmax",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softsign",
    "Tanh",
]


class ReLU(AppliesInPlace, Module):
    """Keep the positive part, max(x, 0); the derivative at 0 is 0.

    >>> import numpy as np
    >>> ReLU()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    function = staticmethod(F.relu)


class LeakyReLU(AppliesInPlace, Module):
    """Keep the positive part, and the negative one times a slope.

    >>> import numpy as np
    >>> LeakyReLU(0.5)(np.array([-1.0, 2.0]))
    array([-0.5,  2. ])
    """

    function = staticmethod(F.leaky_relu)
    settings = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.negative_slope = negative_slope


class Sigmoid(Applies, Module):
    """Apply the logistic function, 1 / (1 + exp(−x)).

    >>> import numpy as np
    >>> Sigmoid()(np.array([0.0]))
    array([0.5])
    """

    function = staticmethod(F.sigmoid)


class Tanh(Applies, Module):
    """Apply the hyperbolic tangent.

    >>> import numpy as np
    >>> Tanh()(np.array([0.0]))
    array([0.])
    """

    function = staticmethod(F.tanh)


class Softplus(Applies, Module):
    """Apply log(1 + exp(beta · x)) / beta, a smooth `ReLU`; x where beta · x > threshold.

    >>> import numpy as np
    >>> Softplus()(np.array([0.0])).round(4)
    array([0.6931])
    """

    function = staticmethod(F.softplus)
    settings = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta = beta
        self.threshold = threshold


class Softsign(Applies, Module):
    """Apply x / (1 + |x|).

    >>> import numpy as np
    >>> Softsign()(np.array([-1.0, 3.0]))
    array([-0.5 ,  0.75])
    """

    function = staticmethod(F.softsign)


class GELU(Applies, Module):
    """Apply x · Φ(x), with the normal distribution's Φ or (``"tanh"``) its approximation.

    >>> import numpy as np
    >>> GELU()(np.array([1.0])).round(4)
    array([0.8413])
    """

    function = staticmethod(F.gelu)
    settings = ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise ValueError(f"GELU: approximate expects 'none' or 'tanh', got {approximate!r}")
        self.approximate = approximate


class SiLU(AppliesInPlace, Module):
    """Apply x · sigmoid(x).

    >>> import numpy as np
    >>> SiLU()(np.array([0.0]))
    array([0.])
    """

    function = staticmethod(F.silu)


class Softmax(Applies, Module):
    """Turn logits into probabilities along a dimension.

    >>> import numpy as np
    >>> Softmax(1)(np.zeros((1, 2)))
    array([[0.5, 0.5]])
    """

    function = staticmethod(F.softmax)
    settings = ("dim",)

    def __init__(self, dim: int) -> None:
        self.dim = dim


class LogSoftmax(Softmax):
    """Turn logits into logarithms of probabilities along a dimension.

    >>> import numpy as np
    >>> LogSoftmax(1)(np.zeros((1, 2))).round(4)
    array([[-0.6931, -0.6931]])
    """

    function = staticmethod(F.log_softmax)


class Softmin(Softmax):
    """Turn costs into probabilities along a dimension: the smallest gets the most.

    >>> import numpy as np
    >>> Softmin(0)(np.array([0.0, 1e4]))
    array([1., 0.])
    """

    function = staticmethod(F.softmin)


class Softmax2d(Module):
    """Softmax over the channels of images (N, C, H, W) or of one image (C, H, W).

    Raises
    ------
    ValueError
        When called: if the input has another number of dimensions.

    >>> import numpy as np
    >>> Softmax2d()(np.zeros((1, 2, 1, 1))).ravel()
    array([0.5, 0.5])
    """

    def forward(self, input: Any) -> Any:
        """Apply `functional.softmax` along the channels."""
        if input.ndim not in (3, 4):
            raise ValueError(
                f"Softmax2d: expects (N, C, H, W) or (C, H, W), got {tuple(input.shape)}"
            )
        return F.softmax(input, -3)
