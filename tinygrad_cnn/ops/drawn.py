"""Draws from classes that gradients pass through."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.ops.arguments import numpy_words
from tinygrad_cnn.ops.elementwise import add, div, sub
from tinygrad_cnn.ops.extreme import argmax
from tinygrad_cnn.ops.indexing.embedding import one_hot
from tinygrad_cnn.ops.softmax import softmax
from tinygrad_cnn.random import default_generator
from tinygrad_cnn.types import Operand

__all__ = ["gumbel_softmax"]


@numpy_words
def gumbel_softmax(
    logits: Operand,
    tau: float = 1.0,
    hard: bool = False,
    eps: float = 1e-10,
    dim: int = -1,
    generator: np.random.Generator | None = None,
) -> Any:
    """Draw from classes so that gradients reach the logits: ``softmax((logits + Gumbel) / tau)``.

    Parameters
    ----------
    logits
        Any shape; the classes along ``dim``.
    tau
        The temperature: the lower, the nearer to one class.
    hard
        Whether to return that class alone, with the gradient of the soft result.
    eps
        PyTorch's argument of old, without effect.
    generator
        Where the draws come from; the default one, seeded by `manual_seed`, if None.

    Raises
    ------
    ValueError
        If tau is not above 0.

    Source: Jang, Gu and Poole, "Categorical reparameterization with Gumbel-softmax" (2017).

    >>> gumbel_softmax(np.array([0.0, 1e4]), hard=True)
    array([0., 1.])
    """
    if not tau > 0:
        raise ValueError(f"gumbel_softmax: tau expects a number above 0, got {tau}")
    noise = (generator or default_generator()).gumbel(size=tuple(logits.shape))
    soft = softmax(div(add(logits, noise.astype(logits.dtype)), tau), dim)
    if not hard:
        return soft
    values = getattr(soft, "_data", soft)
    chosen = one_hot(np.asarray(argmax(values, dim)), values.shape[dim])
    chosen = np.moveaxis(chosen, -1, dim).astype(values.dtype)
    return add(sub(chosen, values), soft)  # the class itself, and the gradient of the soft result
