"""Attention: averages of values, weighted by how well keys match a query."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_cnn.ops.arguments import as_real, names_operands, values_of
from tinygrad_cnn.ops.dropout import dropout
from tinygrad_cnn.ops.elementwise import add, mul
from tinygrad_cnn.ops.linalg import matmul
from tinygrad_cnn.ops.piecewise import where
from tinygrad_cnn.ops.rearranging.repeat import repeat_interleave
from tinygrad_cnn.ops.shape import transpose
from tinygrad_cnn.ops.softmax import softmax
from tinygrad_cnn.types import Operand

__all__ = ["scaled_dot_product_attention"]


def attention(
    query: Any,
    key: Any,
    value: Any,
    mask: Any,
    scale: float,
    dropout_p: float = 0.0,
    generator: np.random.Generator | None = None,
) -> tuple[Any, Any]:
    """Return the attended values (…, L, Ev) and the weights (…, L, S); the mask may be None."""
    scores = matmul(mul(query, scale), transpose(key, -2, -1))  # (…, L, S)
    if mask is None:
        weights = softmax(scores, -1)
    elif mask.dtype.kind != "b":
        weights = softmax(add(scores, mask), -1)
    else:
        mask = values_of(mask)
        nobody = ~mask.any(axis=-1, keepdims=True)  # such a query gets zeros, not NaN
        weights = softmax(where(mask | nobody, scores, -np.inf), -1)
        if nobody.any():
            weights = where(nobody, 0.0, weights)
    taken = dropout(weights, dropout_p, True, generator=generator) if dropout_p else weights
    return matmul(taken, value), weights


@names_operands
def scaled_dot_product_attention(
    query: Operand,
    key: Operand,
    value: Operand,
    attn_mask: Operand | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    generator: np.random.Generator | None = None,
) -> Any:
    """Average values by how well their keys match the query: ``softmax(q·kᵀ · scale + mask)·v``.

    Parameters
    ----------
    query
        (…, L, E): L queries; the leading dimensions are batches and heads.
    key
        (…, S, E).
    value
        (…, S, Ev).
    attn_mask
        Broadcast to (…, L, S): True where a key counts, or numbers added to the products; None
        for all keys. A query that no key counts for gets zeros.
    dropout_p
        The share of weights that are set to 0 at random; also outside of training.
    is_causal
        Whether query i takes the keys 0 to i alone.
    scale
        1 / √E if None.
    enable_gqa
        Whether each head of keys and values (dimension -3) serves several of the query's.
    generator
        Where the dropout comes from; the default one, seeded by `manual_seed`, if None.

    Returns
    -------
    (…, L, Ev).

    Raises
    ------
    ValueError
        If shapes do not fit, or a mask comes with `is_causal`.

    Source: Vaswani et al., "Attention is all you need" (2017), equation 1.

    >>> keys = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> scaled_dot_product_attention(np.zeros((1, 2)), keys, np.array([[1.0], [3.0]]))
    array([[2.]])
    """
    name = "scaled_dot_product_attention"
    q, k, v = tuple(query.shape), tuple(key.shape), tuple(value.shape)
    if min(len(q), len(k), len(v)) < 2 or q[-1] != k[-1] or k[-2] != v[-2]:
        raise ValueError(
            f"{name}: expects query (…, L, E), key (…, S, E) and value (…, S, Ev), got {q}, {k} "
            f"and {v}"
        )
    if is_causal and attn_mask is not None:
        raise ValueError(f"{name}: attn_mask and is_causal are two masks; give one of them")
    if enable_gqa:
        key, value = (_for_each_head(name, x, q) for x in (key, value))
    mask = attn_mask
    if is_causal:
        mask = np.tri(q[-2], k[-2], dtype=bool)
    scale = 1.0 / math.sqrt(q[-1] or 1) if scale is None else scale
    query, key, value = as_real(query), as_real(key), as_real(value)
    return attention(query, key, value, mask, scale, dropout_p, generator)[0]


def _for_each_head(function: str, x: Any, query: tuple[int, ...]) -> Any:
    """Repeat the heads of keys or values until there are as many as the query has."""
    if len(query) < 3 or x.ndim < 3 or not x.shape[-3] or query[-3] % x.shape[-3]:
        raise ValueError(
            f"{function}: enable_gqa expects a number of heads (dimension -3) that divides the "
            f"query's, got {tuple(x.shape)} for a query of {query}"
        )
    return repeat_interleave(x, query[-3] // x.shape[-3], -3)
