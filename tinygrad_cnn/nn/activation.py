"""Activations as modules: each calls the function of its name, element by element."""

from __future__ import annotations

from typing import Any

import tinygrad_cnn.functional as F
from tinygrad_cnn.nn.module import Module

__all__ = [
    "GELU",
    "LeakyReLU",
    "LogSoftmax",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
]


class ReLU(Module):
    """Keep the positive part, max(x, 0); the derivative at 0 is 0.

    >>> import numpy as np
    >>> ReLU()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    def forward(self, input: Any) -> Any:
        """Apply `functional.relu`."""
        return F.relu(input)


class LeakyReLU(Module):
    """Keep the positive part, and the negative one times a slope.

    >>> import numpy as np
    >>> LeakyReLU(0.5)(np.array([-1.0, 2.0]))
    array([-0.5,  2. ])
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def forward(self, input: Any) -> Any:
        """Apply `functional.leaky_relu`."""
        return F.leaky_relu(input, self.negative_slope)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"negative_slope={self.negative_slope}"


class Sigmoid(Module):
    """Apply the logistic function, 1 / (1 + exp(−x)).

    >>> import numpy as np
    >>> Sigmoid()(np.array([0.0]))
    array([0.5])
    """

    def forward(self, input: Any) -> Any:
        """Apply `functional.sigmoid`."""
        return F.sigmoid(input)


class Tanh(Module):
    """Apply the hyperbolic tangent.

    >>> import numpy as np
    >>> Tanh()(np.array([0.0]))
    array([0.])
    """

    def forward(self, input: Any) -> Any:
        """Apply `functional.tanh`."""
        return F.tanh(input)


class Softplus(Module):
    """Apply log(1 + exp(x)), a smooth `ReLU`.

    >>> import numpy as np
    >>> Softplus()(np.array([0.0])).round(4)
    array([0.6931])
    """

    def forward(self, input: Any) -> Any:
        """Apply `functional.softplus`."""
        return F.softplus(input)


class Softsign(Module):
    """Apply x / (1 + |x|).

    >>> import numpy as np
    >>> Softsign()(np.array([-1.0, 3.0]))
    array([-0.5 ,  0.75])
    """

    def forward(self, input: Any) -> Any:
        """Apply `functional.softsign`."""
        return F.softsign(input)


class GELU(Module):
    """Apply x · Φ(x), with the normal distribution's Φ or (``"tanh"``) its approximation.

    >>> import numpy as np
    >>> GELU()(np.array([1.0])).round(4)
    array([0.8413])
    """

    def __init__(self, approximate: str = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise ValueError(f"GELU: approximate expects 'none' or 'tanh', got {approximate!r}")
        self.approximate = approximate

    def forward(self, input: Any) -> Any:
        """Apply `functional.gelu`."""
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"approximate={self.approximate!r}"


class SiLU(Module):
    """Apply x · sigmoid(x).

    >>> import numpy as np
    >>> SiLU()(np.array([0.0]))
    array([0.])
    """

    def forward(self, input: Any) -> Any:
        """Apply `functional.silu`."""
        return F.silu(input)


class Softmax(Module):
    """Turn logits into probabilities along a dimension.

    >>> import numpy as np
    >>> Softmax(1)(np.zeros((1, 2)))
    array([[0.5, 0.5]])
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, input: Any) -> Any:
        """Apply `functional.softmax`."""
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"dim={self.dim}"


class LogSoftmax(Softmax):
    """Turn logits into logarithms of probabilities along a dimension.

    >>> import numpy as np
    >>> LogSoftmax(1)(np.zeros((1, 2))).round(4)
    array([[-0.6931, -0.6931]])
    """

    def forward(self, input: Any) -> Any:
        """Apply `functional.log_softmax`."""
        return F.log_softmax(input, self.dim)
