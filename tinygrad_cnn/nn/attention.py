"""Attention as a module."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

import tinygrad_cnn.functional as F
from tinygrad_cnn.dtypes import factory
from tinygrad_cnn.nn import init
from tinygrad_cnn.nn.linear import Linear, positive
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.ops.attention import attention

__all__ = ["MultiheadAttention"]


class MultiheadAttention(Module):
    """Several attentions side by side, each on projections of its own, joined by a last one.

    Parameters
    ----------
    embed_dim
        E, the size of queries and of the result.
    num_heads
        How many attentions, each of E / num_heads dimensions.
    dropout
        The share of weights that are set to 0 in training.
    bias
        Whether projections have a bias.
    kdim, vdim
        Sizes of keys and values; E if None.
    batch_first
        Whether the batch is the first dimension rather than the second.
    generator
        Draws the initial weights and the dropout; the package's default generator if None.
    dtype, device
        Of the parameters. None for the default type; the device is the processor.

    Attributes
    ----------
    in_proj_weight
        Shape (3·E, E), for queries, keys and values; or three parameters `q_proj_weight`,
        `k_proj_weight` and `v_proj_weight` where sizes differ.
    in_proj_bias
        Shape (3·E,), or None.
    out_proj
        A `Linear` (E, E).

    Raises
    ------
    ValueError
        If E cannot be divided into so many heads; when called, if shapes do not fit.

    Source: Vaswani et al., "Attention is all you need" (2017), section 3.2.2.

    >>> x = np.ones((2, 5, 8), np.float32)
    >>> y, weights = MultiheadAttention(8, 2, batch_first=True)(x, x, x)
    >>> y.shape, weights.shape
    ((2, 5, 8), (2, 5, 5))
    """

    in_proj_weight: Any  # Parameters or None
    q_proj_weight: Any
    k_proj_weight: Any
    v_proj_weight: Any
    in_proj_bias: Any

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        *,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        generator: np.random.Generator | None = None,
        dtype: npt.DTypeLike | None = None,
        device: Any = None,
    ) -> None:
        dtype = factory(dtype, device)
        E = self.embed_dim = positive("MultiheadAttention", "embed_dim", embed_dim)
        self.num_heads = positive("MultiheadAttention", "num_heads", num_heads)
        if E % num_heads:
            raise ValueError(
                f"MultiheadAttention: num_heads expects a divisor of embed_dim {E}, got {num_heads}"
            )
        if not 0 <= dropout <= 1:
            raise ValueError(
                f"MultiheadAttention: dropout expects a probability in [0, 1], got {dropout}"
            )
        self.dropout = dropout
        self.kdim = E if kdim is None else positive("MultiheadAttention", "kdim", kdim)
        self.vdim = E if vdim is None else positive("MultiheadAttention", "vdim", vdim)
        self.batch_first = batch_first
        self.generator = generator

        def drawn(*shape: int) -> Parameter:
            weight = Parameter(np.empty(shape, dtype))
            init.xavier_uniform_(weight, generator=generator)
            return weight

        one = self.kdim == self.vdim == E
        self.in_proj_weight = drawn(3 * E, E) if one else None
        self.q_proj_weight = None if one else drawn(E, E)
        self.k_proj_weight = None if one else drawn(E, self.kdim)
        self.v_proj_weight = None if one else drawn(E, self.vdim)
        self.in_proj_bias = Parameter(np.zeros(3 * E, dtype)) if bias else None
        self.out_proj = Linear(E, E, bias=bias, generator=generator, dtype=dtype)
        if bias:
            init.zeros_(self.out_proj.bias)

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Any, Any]:
        """Attend, and return the result and the weights.

        Parameters
        ----------
        query, key, value
            (L, N, E), (S, N, kdim) and (S, N, vdim), with N first for `batch_first`, or without N.
        key_padding_mask
            (N, S): True where a key does NOT count, or numbers to be added.
        need_weights
            Whether to return weights; else None.
        attn_mask
            (L, S) or (N·num_heads, L, S), as `key_padding_mask`.
        average_attn_weights
            Whether weights (N, L, S) are averages of the heads, or (N, num_heads, L, S).
        is_causal
            Says that attn_mask lets query i take the keys 0 to i; without a mask that is done.
        """
        if not query.ndim == key.ndim == value.ndim or query.ndim not in (2, 3):
            raise ValueError(
                "MultiheadAttention: expects query, key and value of 3 dimensions, or 2 without a "
                f"batch, got {query.shape}, {key.shape} and {value.shape}"
            )
        one = query.ndim == 2
        axis = 0 if self.batch_first or one else 1
        same = key is query and value is query
        q, k, v = self._projected(query, key, value, same)
        q, k, v = (self._heads(x, one) for x in (q, k, v))  # (N, heads, L or S, E / heads)
        mask = self._mask(q, k, key_padding_mask, attn_mask, is_causal)
        p = self.dropout if self.training else 0.0
        y, weights = attention(q, k, v, mask, (q.shape[-1]) ** -0.5, p, self.generator)
        y = F.permute(y, 0, 2, 1, 3) if axis == 0 else F.permute(y, 2, 0, 1, 3)
        y = self.out_proj(F.reshape(y, *y.shape[:2], self.embed_dim))
        if not need_weights:
            return (F.squeeze(y, 0) if one else y), None
        weights = F.mean(weights, 1) if average_attn_weights else weights
        return (F.squeeze(y, 0), F.squeeze(weights, 0)) if one else (y, weights)

    def _projected(self, query: Any, key: Any, value: Any, same: bool) -> tuple[Any, ...]:
        """Project queries, keys and values; at once if they are one tensor."""
        bias = self.in_proj_bias
        if self.in_proj_weight is None:
            weights = [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
        elif same:
            return tuple(F.chunk(F.linear(query, self.in_proj_weight, bias), 3, -1))
        else:
            weights = list(F.chunk(self.in_proj_weight, 3))
        biases = [None] * 3 if bias is None else list(F.chunk(bias, 3))
        inputs = (query, key, value)
        return tuple(F.linear(x, w, b) for x, w, b in zip(inputs, weights, biases, strict=True))

    def _heads(self, x: Any, one: bool) -> Any:
        """Divide the last dimension into heads: (N, heads, L, E / heads)."""
        x = F.unsqueeze(x, 0) if one else x
        x = F.reshape(x, *x.shape[:2], self.num_heads, self.embed_dim // self.num_heads)
        return F.permute(x, 0, 2, 1, 3) if one or self.batch_first else F.permute(x, 1, 2, 0, 3)

    def _mask(self, q: Any, k: Any, padding: Any, mask: Any, is_causal: bool) -> Any:
        """Join the masks into one that is added to the products; None for none."""
        N, heads, L, S = q.shape[0], q.shape[1], q.shape[2], k.shape[2]
        if is_causal and mask is None:
            mask = ~np.tri(L, S, dtype=bool)
        parts = []
        if mask is not None:
            if tuple(mask.shape) not in ((L, S), (N * heads, L, S)):
                raise ValueError(
                    f"MultiheadAttention: attn_mask expects shape ({L}, {S}) or ({N * heads}, {L}, "
                    f"{S}), got {tuple(mask.shape)}"
                )
            parts.append(F.reshape(mask, N, heads, L, S) if mask.ndim == 3 else mask)
        if padding is not None:
            if tuple(padding.shape) not in ((N, S), (S,) if N == 1 else (N, S)):
                raise ValueError(
                    f"MultiheadAttention: key_padding_mask expects shape ({N}, {S}), got "
                    f"{tuple(padding.shape)}"
                )
            parts.append(F.reshape(padding, N, 1, 1, S))
        if not parts:
            return None
        if all(part.dtype.kind == "b" for part in parts):
            return np.logical_and.reduce(np.broadcast_arrays(*[~np.asarray(p) for p in parts]))
        added = [
            part if part.dtype.kind == "f" else np.where(part, -np.inf, 0.0).astype(q.dtype)
            for part in parts
        ]
        return F.add(*added) if len(added) == 2 else added[0]

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"{self.embed_dim}, {self.num_heads}, batch_first={self.batch_first}"
