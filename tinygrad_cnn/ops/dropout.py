"""Dropout: elements at random set to 0 while training."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.arguments import as_real, names_operands
from tinygrad_cnn.random import default_generator
from tinygrad_cnn.types import Array, Operand

__all__ = ["dropout"]


class Dropout(Op):
    """x · mask · scale."""

    __slots__ = ("mask", "scale")

    def __init__(self, mask: Array, scale: float) -> None:
        self.mask = mask
        self.scale = scale

    def forward(self, x: Any) -> Any:
        """Keep what the mask keeps, scaled."""
        kept = np.multiply(x, self.mask)
        kept *= self.scale
        return kept

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:  # linear
        """Apply the same mask to the gradient."""
        return (Dropout(self.mask, self.scale)(g),)


@names_operands
def dropout(
    input: Operand,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    generator: np.random.Generator | None = None,
) -> Any:
    """Set elements to 0 with probability p and scale the others by 1 / (1 − p).

    Parameters
    ----------
    input
        Any shape.
    p
        Probability of an element to be dropped, in [0, 1].
    training
        Otherwise the input is returned as it is.
    inplace
        PyTorch's word: the result is the same, the input is not written to.
    generator
        Where the random mask comes from; the default one, seeded by `manual_seed`, if None.

    Raises
    ------
    ValueError
        If p is not a probability.

    Source: Srivastava et al., "Dropout" (2014).

    >>> dropout(np.ones(4), p=0.5, training=False)
    array([1., 1., 1., 1.])
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout: p expects a probability in [0, 1], got {p}")
    if not training or p == 0.0:
        return input
    generator = generator or default_generator()
    mask = generator.random(input.shape, dtype=np.float32) >= p
    return Dropout(mask, 0.0 if p == 1.0 else 1.0 / (1.0 - p))(as_real(input))
