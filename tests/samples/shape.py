"""Samples of the ops that change the shape."""

from __future__ import annotations

import numpy as np

from tests.samples.base import ErrorSample, Sample
from tinygrad_cnn.ops.index import Slice
from tinygrad_cnn.ops.shape import (
    BroadcastTo,
    Pad,
    Permute,
    Reshape,
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
    view,
)

_rng = np.random.default_rng(3)
_v = _rng.standard_normal(6)
_m = _rng.standard_normal((2, 3))
_c = _rng.standard_normal((2, 3, 4))
_images = _rng.standard_normal((2, 3, 4, 5))
_ones = _rng.standard_normal((1, 3, 1, 2))
_empty = np.zeros((2, 0, 3))


def _loop_reshape(x, shape):
    """Row-major: walk both in order, one element at a time."""
    out = np.empty(shape)
    for to, at in zip(np.ndindex(*shape), np.ndindex(*x.shape), strict=True):
        out[to] = x[at]
    return out


SAMPLES = [
    Sample(Reshape, lambda x: reshape(x, 3, -1), (_m,), lambda x: _loop_reshape(x, (3, 2)), "-1"),
    Sample(
        Reshape, lambda x: reshape(x, (4, 6)), (_c,), lambda x: _loop_reshape(x, (4, 6)), "tuple"
    ),
    Sample(Reshape, lambda x: view(x, 6), (_m,), lambda x: x.ravel(), "view"),
    Sample(Reshape, lambda x: reshape(x, ()), (_v[:1],), lambda x: x[0], "to a number"),
    Sample(Reshape, lambda x: reshape(x, 0, 7), (_empty,), lambda _: np.zeros((0, 7)), "empty"),
    Sample(
        Reshape, lambda x: flatten(x, 1), (_images,), lambda x: _loop_reshape(x, (2, 60)), "flatten"
    ),
    Sample(
        Reshape,
        lambda x: flatten(x, -3, -2),
        (_images,),
        lambda x: _loop_reshape(x, (2, 12, 5)),
        "flatten the middle",
    ),
    Sample(Reshape, flatten, (np.array(2.0),), lambda _: np.array([2.0]), "flatten a number"),
    Sample(Reshape, squeeze, (_ones,), lambda x: x[0, :, 0], "squeeze all"),
    Sample(Reshape, lambda x: squeeze(x, -2), (_ones,), lambda x: x[:, :, 0], "squeeze one"),
    Sample(
        Reshape, lambda x: squeeze(x, (0, 1)), (_ones,), lambda x: x[0], "squeeze what has size 1"
    ),
    Sample(Reshape, lambda x: squeeze(x, axis=0), (_ones,), lambda x: x[0], "squeeze by axis"),
    Sample(Reshape, lambda x: unsqueeze(x, 1), (_m,), lambda x: x[:, None], "unsqueeze"),
    Sample(Reshape, lambda x: unsqueeze(x, -1), (_m,), lambda x: x[..., None], "unsqueeze last"),
    Sample(
        Permute,
        lambda x: permute(x, 2, 0, 1),
        (_c,),
        lambda x: np.array([[[x[i, j, k] for j in range(3)] for i in range(2)] for k in range(4)]),
        "three",
    ),
    Sample(
        Permute,
        lambda x: permute(x, (0, 2, -1, 1)),
        (_images,),
        lambda x: np.moveaxis(x, 1, -1),
        "four, as a tuple",
    ),
    Sample(Permute, lambda x: permute(x, ()), (np.array(2.0),), lambda x: x, "a number"),
    Sample(
        Permute,
        lambda x: transpose(x, 0, -1),
        (_c,),
        lambda x: np.einsum("ijk->kji", x),
        "transpose",
    ),
    Sample(
        BroadcastTo,
        lambda x: broadcast_to(x, (4, 2, 3)),
        (_m,),
        lambda x: np.stack([x] * 4),
        "new dimension",
    ),
    Sample(
        BroadcastTo,
        lambda x: broadcast_to(x, (2, 3, 5)),
        (_c[:, :, :1],),
        lambda x: np.repeat(x, 5, axis=2),
        "size 1",
    ),
    Sample(
        BroadcastTo,
        lambda x: broadcast_to(x, (2, 2)),
        (np.array(3.0),),
        lambda x: np.full((2, 2), x),
        "a number",
    ),
    Sample(
        BroadcastTo,
        lambda x: broadcast_to(x, (2, 0)),
        (_m[:, :1],),
        lambda _: np.zeros((2, 0)),
        "to nothing",
    ),
    Sample(
        BroadcastTo,
        lambda x: expand(x, 2, -1, 3),
        (_v[:4].reshape(4, 1),),
        lambda x: np.tile(x, (2, 1, 3)),
        "expand",
    ),
    Sample(
        BroadcastTo, lambda x: expand(x, (-1, 3)), (_m,), lambda x: x, "expand keeping all sizes"
    ),
    Sample(
        Pad,
        lambda x: pad(x, (1, 2, 0, 3)),
        (_m,),
        lambda x: np.pad(x, ((0, 3), (1, 2))),
        "last dimension first",
    ),
    Sample(
        Pad,
        lambda x: pad(x, (1, 1), value=7.0),
        (_images,),
        lambda x: np.pad(x, ((0, 0), (0, 0), (0, 0), (1, 1)), constant_values=7.0),
        "value",
    ),
    Sample(Pad, lambda x: pad(x, (-1, -2, 0, -1)), (_images,), lambda x: x[:, :, :3, 1:3], "crop"),
    Sample(
        Pad,
        lambda x: pad(x, (2, -3)),
        (_m,),
        lambda _: np.zeros((2, 2)),
        "crop all that there was",
    ),
    Sample(
        Pad,
        lambda x: pad(x, (1, -1, -1, 2), value=-1.0),
        (_c,),
        lambda x: np.pad(x[:, 1:, :3], ((0, 0), (0, 2), (1, 0)), constant_values=-1.0),
        "pad and crop",
    ),
    Sample(Pad, lambda x: pad(x, ()), (_m,), lambda x: x, "nothing to pad"),
    Sample(Pad, lambda x: pad(x, (1, 0)), (_empty,), lambda _: np.zeros((2, 0, 4)), "empty"),
    Sample(Slice, lambda x: split(x, 2)[2], (_v.reshape(6, 1)[:5],), lambda x: x[4:], "split"),
    Sample(
        Slice,
        lambda x: split(x, [1, 0, 3], dim=-1)[2],
        (_c,),
        lambda x: x[:, :, 1:],
        "split by sizes",
    ),
    Sample(
        Slice,
        lambda x: split(x, [1, 2], axis=1)[0] * split(x, [2, 1], axis=1)[1],
        (_m,),
        lambda x: x[:, :1] * x[:, 2:],
        "product of two pieces",
    ),
]

ERRORS = [
    ErrorSample(
        lambda: reshape(_m, 4),
        ValueError,
        r"reshape: 6 elements of shape \(2, 3\) do not fit shape \(4,\)",
    ),
    ErrorSample(lambda: reshape(_m, -1, -1), ValueError, r"do not fit shape \(-1, -1\)"),
    ErrorSample(lambda: reshape(_m, 4, -1), ValueError, r"do not fit shape \(4, -1\)"),
    ErrorSample(lambda: reshape(_empty, 0, -1), ValueError, r"0 elements .* \(0, -1\)"),
    ErrorSample(lambda: reshape(_m, 1.5, 4), TypeError, r"reshape: expects integers, got \(1.5, 4"),
    ErrorSample(lambda: reshape("ab", 2), TypeError, "reshape: expects tensors.*got str"),
    ErrorSample(lambda: flatten(_m, 2), IndexError, "flatten: dim 2 does not exist .* 2 dim"),
    ErrorSample(lambda: flatten(_c, 2, 1), ValueError, "start_dim 2 stands after end_dim 1"),
    ErrorSample(lambda: squeeze(_m, 2), IndexError, "squeeze: dim 2 does not exist"),
    ErrorSample(lambda: unsqueeze(_m, 3), IndexError, "unsqueeze: dim 3 does not exist .* 3 dim"),
    ErrorSample(lambda: unsqueeze(_m, None), TypeError, "unsqueeze: dim expects an integer"),
    ErrorSample(
        lambda: permute(_c, 0, 1),
        ValueError,
        r"permute: expects each of 3 dimensions once, got \(0, 1\) for shape \(2, 3, 4\)",
    ),
    ErrorSample(lambda: permute(_c, 0, 1, 1), ValueError, "each of 3 dimensions once"),
    ErrorSample(lambda: permute(_c, 0, 1, 3), IndexError, "permute: dim 3 does not exist"),
    ErrorSample(lambda: transpose(_m, 0, -3), IndexError, "transpose: dim -3 does not exist"),
    ErrorSample(
        lambda: broadcast_to(_m, (3, 2)),
        ValueError,
        r"broadcast_to: shape \(2, 3\) does not broadcast to \(3, 2\)",
    ),
    ErrorSample(lambda: broadcast_to(_m, (3,)), ValueError, "does not broadcast"),
    ErrorSample(
        lambda: expand(_m, 4, 3),
        ValueError,
        r"expand: shape \(2, 3\) does not expand to \(4, 3\)",
    ),
    ErrorSample(lambda: expand(_m, -1, 2, 3), ValueError, "expand: .* does not expand"),
    ErrorSample(lambda: expand(_m, -1), ValueError, "expand: .* does not expand"),
    ErrorSample(lambda: pad(_m, (1,)), ValueError, r"pad: expects a pair .* got \(1,\)"),
    ErrorSample(lambda: pad(_v, (1, 1, 1, 1)), ValueError, "each of at most 1 dimensions"),
    ErrorSample(lambda: pad(_m, (-2, -2)), ValueError, r"crop more than there is in shape \(2, 3"),
    ErrorSample(lambda: pad(_m, (1, 1), "mirror"), ValueError, "mode expects .* got 'mirror'"),
    ErrorSample(lambda: split(_m, 0), ValueError, "split: expects a size of at least 1, got 0"),
    ErrorSample(
        lambda: split(_m, [1, 2]), ValueError, r"sizes \[1, 2\] do not add up to 2, dim 0 of"
    ),
    ErrorSample(lambda: split(_m, [3, -1]), ValueError, "do not add up"),
    ErrorSample(lambda: split(_m, 1, dim=2), IndexError, "split: dim 2 does not exist"),
]
