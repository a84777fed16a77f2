"""Dropout of whole channels, blocks and branches, and the kind that keeps mean and variance."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_cnn.ops.arguments import as_real, names_operands
from tinygrad_cnn.ops.dropout import Dropout
from tinygrad_cnn.ops.elementwise import add
from tinygrad_cnn.random import default_generator
from tinygrad_cnn.types import Array, Operand, Shape

__all__ = [
    "alpha_dropout",
    "drop_block2d",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "feature_alpha_dropout",
    "stochastic_depth",
]

_Generator = np.random.Generator | None


def _check(function: str, p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{function}: p expects a probability in [0, 1], got {p}")


def _kept(shape: Shape, p: float, generator: _Generator) -> Array:
    """Draw True with probability 1 − p."""
    return (generator or default_generator()).random(shape, dtype=np.float32) >= p


def _by_channel(shape: Shape, batched: bool) -> Shape:
    """Return the shape of one number for each channel of each example."""
    lead = shape[: 2 if batched else 1]
    return lead + (1,) * (len(shape) - len(lead))


def _feature_dropout(
    function: str,
    input: Operand,
    p: float,
    training: bool,
    generator: _Generator,
    ndims: dict[int, bool],
    expects: str,
) -> Any:
    """Drop channels; ndims says for each number of dimensions whether the first is a batch."""
    _check(function, p)
    if input.ndim not in ndims:
        raise ValueError(f"{function}: expects {expects}, got {tuple(input.shape)}")
    if not training or p == 0.0:
        return input
    mask = _kept(_by_channel(tuple(input.shape), ndims[input.ndim]), p, generator)
    return Dropout(mask, 0.0 if p == 1.0 else 1.0 / (1.0 - p))(as_real(input))


@names_operands
def dropout1d(
    input: Operand,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    generator: _Generator = None,
) -> Any:
    """Set whole channels of signals (N, C, L) or (C, L) to 0 with probability p.

    The others are scaled by 1 / (1 − p). Arguments and errors as for `dropout`.

    Source: Tompson et al., "Efficient object localization using convolutional networks" (2015).

    >>> dropout1d(np.ones((1, 1, 3)), 1.0)
    array([[[0., 0., 0.]]])
    """
    ndims = {2: False, 3: True}
    expects = "(N, C, L) or (C, L)"
    return _feature_dropout("dropout1d", input, p, training, generator, ndims, expects)


@names_operands
def dropout2d(
    input: Operand,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    generator: _Generator = None,
) -> Any:
    """Set whole channels of images (N, C, H, W) to 0 with probability p; otherwise as `dropout1d`.

    As PyTorch does, it takes three dimensions for (N, C, L).

    >>> dropout2d(np.ones((1, 1, 1, 3)), 1.0)
    array([[[[0., 0., 0.]]]])
    """
    ndims = {3: True, 4: True}
    expects = "(N, C, H, W) or (N, C, L)"
    return _feature_dropout("dropout2d", input, p, training, generator, ndims, expects)


@names_operands
def dropout3d(
    input: Operand,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    generator: _Generator = None,
) -> Any:
    """Set whole channels of volumes (N, C, D, H, W) or (C, D, H, W) to 0; as `dropout1d`.

    >>> dropout3d(np.ones((1, 1, 1, 1, 3)), 1.0)
    array([[[[[0., 0., 0.]]]]])
    """
    ndims = {4: False, 5: True}
    expects = "(N, C, D, H, W) or (C, D, H, W)"
    return _feature_dropout("dropout3d", input, p, training, generator, ndims, expects)


_LOWEST = -1.7580993408473766  # what selu gives of −∞: its scale times its alpha


def _alpha_dropout(input: Operand, p: float, mask_shape: Shape, generator: _Generator) -> Any:
    """Put the least value of selu in place of what is dropped, and restore mean and variance."""
    x = as_real(input)
    if p == 1.0:
        return Dropout(np.zeros(mask_shape, bool), 0.0)(x)
    mask = _kept(mask_shape, p, generator)
    scale = 1.0 / math.sqrt((_LOWEST**2 * p + 1.0) * (1.0 - p))
    shift = -scale * _LOWEST * p
    rest = np.where(mask, shift, shift + scale * _LOWEST).astype(x.dtype)
    return add(Dropout(mask, scale)(x), rest)


@names_operands
def alpha_dropout(
    input: Operand,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    generator: _Generator = None,
) -> Any:
    """Drop elements after `selu`, so that mean 0 and variance 1 stay what they are.

    What is dropped becomes selu's least value, −1.7581, before everything is scaled and shifted.
    Arguments and errors as for `dropout`, but for training, which is False if not said.

    Source: Klambauer et al., "Self-normalizing neural networks" (2017), section 3.

    >>> alpha_dropout(np.ones(3))
    array([1., 1., 1.])
    """
    _check("alpha_dropout", p)
    shape = tuple(input.shape)
    return _alpha_dropout(input, p, shape, generator) if training and p else input


@names_operands
def feature_alpha_dropout(
    input: Operand,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    generator: _Generator = None,
) -> Any:
    """Drop whole channels of (N, C, …) as `alpha_dropout` drops elements.

    >>> feature_alpha_dropout(np.ones((1, 1, 3)))
    array([[[1., 1., 1.]]])
    """
    _check("feature_alpha_dropout", p)
    if input.ndim < 2:
        raise ValueError(f"feature_alpha_dropout: expects (N, C, …), got {tuple(input.shape)}")
    if not training or p == 0.0:
        return input
    return _alpha_dropout(input, p, _by_channel(tuple(input.shape), True), generator)


def stochastic_depth(
    input: Operand,
    p: float,
    mode: str,
    training: bool = True,
    generator: _Generator = None,
) -> Any:
    """Drop a residual branch with probability p, of the whole batch or of each example.

    Parameters
    ----------
    input
        The branch's result (N, …).
    p
        Probability to be dropped; the others are scaled by 1 / (1 − p).
    mode
        'batch' for all together, 'row' for each example by itself.
    training, generator
        As for `dropout`.

    Raises
    ------
    ValueError
        If p is not a probability or mode is another word.

    Source: Huang et al., "Deep networks with stochastic depth" (2016); as in torchvision.

    >>> stochastic_depth(np.ones((2, 2)), 1.0, "row")
    array([[0., 0.],
           [0., 0.]])
    """
    _check("stochastic_depth", p)
    if mode not in ("batch", "row"):
        raise ValueError(f"stochastic_depth: mode expects 'batch' or 'row', got {mode!r}")
    if not training or p == 0.0:
        return input
    rows = tuple(input.shape[:1]) if mode == "row" else (1,) * min(input.ndim, 1)
    mask = _kept(rows + (1,) * (input.ndim - len(rows)), p, generator)
    return Dropout(mask, 0.0 if p == 1.0 else 1.0 / (1.0 - p))(as_real(input))


@names_operands
def drop_block2d(
    input: Operand,
    p: float,
    block_size: int,
    training: bool = True,
    eps: float = 1e-6,
    generator: _Generator = None,
) -> Any:
    """Set square blocks of each channel's pixels to 0, about a share p of them.

    What is left is scaled by the number of all elements over those left.

    Parameters
    ----------
    input
        (N, C, H, W).
    p
        The share to be dropped.
    block_size
        Height and width of a block; no more than the image's.
    training, generator
        As for `dropout`.
    eps
        Added to the number of elements left.

    Raises
    ------
    ValueError
        If p is not a probability, the input has another number of dimensions or the size is not
        positive.

    Source: Ghiasi, Lin and Le, "DropBlock" (2018), algorithm 1; as in torchvision.

    >>> drop_block2d(np.ones((1, 1, 2, 2)), 0.5, 2, training=False)
    array([[[[1., 1.],
             [1., 1.]]]])
    """
    _check("drop_block2d", p)
    shape = tuple(input.shape)
    if len(shape) != 4:
        raise ValueError(f"drop_block2d: expects (N, C, H, W), got {shape}")
    if block_size < 1:
        raise ValueError(f"drop_block2d: block_size expects a positive number, got {block_size}")
    if not training or p == 0.0 or 0 in shape:
        return input
    H, W = shape[2:]
    size = min(block_size, H, W)
    OH, OW = H - size + 1, W - size + 1  # where a block may begin
    share = p * H * W / (size * size * OH * OW)
    begins = ~_kept((*shape[:2], OH, OW), share, generator)
    mask = np.ones(shape, bool)
    for i in range(size):
        for j in range(size):
            mask[:, :, i : i + OH, j : j + OW] &= ~begins
    return Dropout(mask, mask.size / (eps + np.count_nonzero(mask)))(as_real(input))
