"""Dropout as modules: each drops in training and lets everything pass in evaluation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn.nn.module import Module

__all__ = [
    "AlphaDropout",
    "DropBlock2d",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "FeatureAlphaDropout",
    "StochasticDepth",
]


class _Dropout(Module):
    """A function that drops, with a probability and a generator."""

    function: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        p: float = 0.5,
        inplace: bool = False,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: p expects a probability in [0, 1], got {p}")
        self.p = p
        self.inplace = inplace
        self.generator = generator

    def forward(self, input: Any) -> Any:
        """Apply the function of this name in `functional`."""
        return type(self).function(input, self.p, training=self.training, generator=self.generator)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"p={self.p}, inplace=True" if self.inplace else f"p={self.p}"


class Dropout(_Dropout):
    """In training, set elements to 0 with probability p and divide the others by 1 − p.

    In evaluation the input passes unchanged (Srivastava et al. 2014, scaled in training).

    Parameters
    ----------
    p
        The probability, in [0, 1].
    inplace
        PyTorch's word: the result is the same, the input is not written to.
    generator
        Draws which; the package's default generator if None.

    Raises
    ------
    ValueError
        If `p` is outside of [0, 1].

    >>> Dropout(0.5).eval()(np.ones(3))
    array([1., 1., 1.])
    """

    function = staticmethod(F.dropout)


class Dropout1d(_Dropout):
    """Set whole channels of signals (N, C, L) to 0; otherwise as `Dropout`.

    >>> Dropout1d(1.0)(np.ones((1, 1, 2)))
    array([[[0., 0.]]])
    """

    function = staticmethod(F.dropout1d)


class Dropout2d(_Dropout):
    """Set whole channels of images (N, C, H, W) to 0; otherwise as `Dropout`.

    >>> Dropout2d(1.0)(np.ones((1, 1, 1, 2)))
    array([[[[0., 0.]]]])
    """

    function = staticmethod(F.dropout2d)


class Dropout3d(_Dropout):
    """Set whole channels of volumes (N, C, D, H, W) to 0; otherwise as `Dropout`.

    >>> Dropout3d(1.0)(np.ones((1, 1, 1, 1, 2)))
    array([[[[[0., 0.]]]]])
    """

    function = staticmethod(F.dropout3d)


class AlphaDropout(_Dropout):
    """Drop elements after `SELU` so that mean and variance stay; otherwise as `Dropout`.

    >>> AlphaDropout().eval()(np.ones(2))
    array([1., 1.])
    """

    function = staticmethod(F.alpha_dropout)


class FeatureAlphaDropout(_Dropout):
    """Drop whole channels of (N, C, …) as `AlphaDropout` drops elements.

    >>> FeatureAlphaDropout().eval()(np.ones((1, 2)))
    array([[1., 1.]])
    """

    function = staticmethod(F.feature_alpha_dropout)


class StochasticDepth(Module):
    """Drop a residual branch with probability p: of all ('batch') or each example ('row').

    >>> StochasticDepth(1.0, "row")(np.ones((1, 2)))
    array([[0., 0.]])
    """

    def __init__(
        self, p: float, mode: str, *, generator: np.random.Generator | None = None
    ) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"StochasticDepth: p expects a probability in [0, 1], got {p}")
        if mode not in ("batch", "row"):
            raise ValueError(f"StochasticDepth: mode expects 'batch' or 'row', got {mode!r}")
        self.p = p
        self.mode = mode
        self.generator = generator

    def forward(self, input: Any) -> Any:
        """Apply `functional.stochastic_depth`."""
        return F.stochastic_depth(input, self.p, self.mode, self.training, self.generator)

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"p={self.p}, mode={self.mode!r}"


class DropBlock2d(Module):
    """Set square blocks of pixels to 0, about a share p of them.

    >>> DropBlock2d(0.5, 3).eval()(np.ones((1, 1, 1, 2)))
    array([[[[1., 1.]]]])
    """

    def __init__(
        self,
        p: float,
        block_size: int,
        eps: float = 1e-6,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"DropBlock2d: p expects a probability in [0, 1], got {p}")
        self.p = p
        self.block_size = block_size
        self.eps = eps
        self.generator = generator

    def forward(self, input: Any) -> Any:
        """Apply `functional.drop_block2d`."""
        return F.drop_block2d(
            input, self.p, self.block_size, self.training, self.eps, self.generator
        )

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"p={self.p}, block_size={self.block_size}"
