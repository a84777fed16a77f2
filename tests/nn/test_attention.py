"""`MultiheadAttention` beside loops over its heads, and beside PyTorch where that is installed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tinygrad_cnn import Tensor, nn

RNG = np.random.default_rng(5)


def normal(*shape: int) -> Any:
    return RNG.standard_normal(shape)


def by_heads(layer: nn.MultiheadAttention, q: Any, k: Any, v: Any, forbidden: Any) -> Any:
    """Of one example, head by head: the result and the heads' weights."""
    w = np.split(layer.in_proj_weight.detach().numpy(), 3)
    b = np.split(layer.in_proj_bias.detach().numpy(), 3)
    q, k, v = (x @ m.T + c for x, m, c in zip((q, k, v), w, b, strict=True))
    size = layer.embed_dim // layer.num_heads
    heads, weights = [], []
    for h in range(layer.num_heads):
        part = slice(h * size, (h + 1) * size)
        scores = np.where(forbidden, -np.inf, q[:, part] @ k[:, part].T / math.sqrt(size))
        e = np.exp(scores)
        weights.append(e / e.sum(1, keepdims=True))
        heads.append(weights[-1] @ v[:, part])
    out = (
        np.concatenate(heads, 1) @ layer.out_proj.weight.detach().numpy().T
        + layer.out_proj.bias.detach().numpy()
    )
    return out, np.array(weights)


@pytest.mark.parametrize("batch_first", [False, True])
def test_heads(batch_first: bool) -> None:
    layer = nn.MultiheadAttention(6, 2, batch_first=batch_first, dtype=np.float64)
    nn.init.uniform_(layer.in_proj_bias)
    q, k, v = normal(2, 3, 6), normal(2, 4, 6), normal(2, 4, 6)
    padding = np.array([[False, False, False, True], [False, False, True, True]])
    mask = np.triu(np.ones((3, 4), bool), 2)
    given = [x if batch_first else x.swapaxes(0, 1) for x in (q, k, v)]
    y, weights = layer(*given, key_padding_mask=padding, attn_mask=mask)
    y = y.detach().numpy() if batch_first else y.detach().numpy().swapaxes(0, 1)
    for n in range(2):
        out, each = by_heads(layer, q[n], k[n], v[n], mask | padding[n])
        np.testing.assert_allclose(y[n], out, rtol=1e-10)
        np.testing.assert_allclose(weights.detach().numpy()[n], each.mean(0), rtol=1e-10)
        alone, own = layer(q[n], k[n], v[n], padding[n], attn_mask=mask, average_attn_weights=False)
        np.testing.assert_allclose(alone.detach().numpy(), out, rtol=1e-10)
        np.testing.assert_allclose(own.detach().numpy(), each, rtol=1e-10)


def test_one_tensor_for_all_three_and_causal() -> None:
    layer = nn.MultiheadAttention(6, 3, batch_first=True, dtype=np.float64)
    x = Tensor(normal(2, 5, 6))
    y, none = layer(x, x, x, need_weights=False, is_causal=True)
    assert none is None
    out, _ = by_heads(layer, *[x.numpy()[1]] * 3, np.triu(np.ones((5, 5), bool), 1))
    np.testing.assert_allclose(y.detach().numpy()[1], out, rtol=1e-10)


def test_every_parameter_gets_a_gradient() -> None:
    for more in ({}, {"kdim": 3, "vdim": 5}):
        layer = nn.MultiheadAttention(6, 2, **more)  # type: ignore[arg-type]
        q, k, v = (Tensor(normal(4, 2, n).astype(np.float32)) for n in (6, layer.kdim, layer.vdim))
        y, weights = layer(q, k, v)
        F.sum(y * y + F.sum(weights * weights)).backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in layer.parameters())


def test_errors() -> None:
    x = np.ones((2, 3, 6), np.float32)
    with pytest.raises(ValueError, match="num_heads expects a divisor of embed_dim 6, got 4"):
        nn.MultiheadAttention(6, 4)
    with pytest.raises(ValueError, match="dropout expects a probability"):
        nn.MultiheadAttention(6, 2, 1.5)
    layer = nn.MultiheadAttention(6, 2, batch_first=True)
    with pytest.raises(ValueError, match=r"attn_mask expects shape \(3, 3\)"):
        layer(x, x, x, attn_mask=np.ones((2, 2), bool))
    with pytest.raises(ValueError, match=r"key_padding_mask expects shape \(2, 3\)"):
        layer(x, x, x, np.ones((3, 2), bool))
    with pytest.raises(ValueError, match="expects query, key and value of 3 dimensions"):
        layer(x, x[0], x)


def test_as_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True).double()
    ours = nn.MultiheadAttention(8, 2, batch_first=True, dtype=np.float64)
    state = theirs.state_dict()
    assert list(state) == list(ours.state_dict())
    ours.load_state_dict({name: value.numpy() for name, value in state.items()})
    x = normal(3, 5, 8)
    wide = torch.tensor(x, requires_grad=True)
    expected, weights = theirs(wide, wide, wide)
    own = Tensor(x, requires_grad=True)
    y, w = ours(own, own, own)
    expected.square().sum().backward()
    F.sum(y * y).backward()
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), rtol=1e-9)
    np.testing.assert_allclose(w.detach().numpy(), weights.detach().numpy(), rtol=1e-9)
    assert own.grad is not None
    np.testing.assert_allclose(own.grad.numpy(), wide.grad.numpy(), rtol=1e-7, atol=1e-9)
