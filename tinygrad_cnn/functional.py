"""Every function on tensors and arrays: ``import tinygrad_cnn.functional as F``.

Names and argument order are PyTorch's. A function called with arrays returns arrays and records
nothing; called with any tensor it returns a tensor.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.graph import Array
from tinygrad_cnn.op import Op, TensorBase
from tinygrad_cnn.ops.activation import (
    erf,
    gelu,
    leaky_relu,
    relu,
    sigmoid,
    silu,
    softplus,
    tanh,
)
from tinygrad_cnn.ops.conv import conv1d, conv2d, conv_transpose2d
from tinygrad_cnn.ops.cross_entropy import cross_entropy, nll_loss
from tinygrad_cnn.ops.elementwise import (
    add,
    cast,
    clone,
    div,
    exp,
    log,
    log1p,
    mul,
    neg,
    pow,
    sqrt,
    sub,
)
from tinygrad_cnn.ops.extreme import amax, amin, argmax, argmin, max, min
from tinygrad_cnn.ops.index import getitem
from tinygrad_cnn.ops.join import concatenate, stack
from tinygrad_cnn.ops.linalg import dot, linear, matmul, outer
from tinygrad_cnn.ops.loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    huber_loss,
    l1_loss,
    mse_loss,
)
from tinygrad_cnn.ops.norm import batch_norm, layer_norm
from tinygrad_cnn.ops.piecewise import abs, clip, maximum, minimum, sign, where
from tinygrad_cnn.ops.pool import adaptive_avg_pool2d, avg_pool2d, max_pool2d
from tinygrad_cnn.ops.reduce import logsumexp, mean, prod, std, sum, var
from tinygrad_cnn.ops.shape import (
    broadcast_to,
    expand,
    flatten,
    pad,
    permute,
    reshape,
    split,
    squeeze,
    transpose,
    unsqueeze,
)
from tinygrad_cnn.ops.softmax import log_softmax, softmax
from tinygrad_cnn.random import default_generator

clamp = clip
cat = concatenate
view = reshape


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

    def backward(self, g: Any, out: Any, x: Any) -> tuple[Any, ...]:  # noqa: ARG002  # linear
        """Apply the same mask to the gradient."""
        return (Dropout(self.mask, self.scale)(g),)


def dropout(
    input: TensorBase | Array,
    p: float = 0.5,
    training: bool = True,
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
    return Dropout(mask, 0.0 if p == 1.0 else 1.0 / (1.0 - p))(input)


__all__ = [
    "abs",
    "adaptive_avg_pool2d",
    "add",
    "amax",
    "amin",
    "argmax",
    "argmin",
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "broadcast_to",
    "cast",
    "cat",
    "clamp",
    "clip",
    "clone",
    "concatenate",
    "conv1d",
    "conv2d",
    "conv_transpose2d",
    "cross_entropy",
    "div",
    "dot",
    "dropout",
    "erf",
    "exp",
    "expand",
    "flatten",
    "gelu",
    "getitem",
    "huber_loss",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log",
    "log1p",
    "log_softmax",
    "logsumexp",
    "matmul",
    "max",
    "max_pool2d",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mse_loss",
    "mul",
    "neg",
    "nll_loss",
    "outer",
    "pad",
    "permute",
    "pow",
    "prod",
    "relu",
    "reshape",
    "sigmoid",
    "sign",
    "silu",
    "softmax",
    "softplus",
    "split",
    "sqrt",
    "squeeze",
    "stack",
    "std",
    "sub",
    "sum",
    "tanh",
    "transpose",
    "unsqueeze",
    "var",
    "view",
    "where",
]
