"""Convolution and its two gradients, written as the loops of the definition."""

from __future__ import annotations

import itertools

import numpy as np


def taps(x_shape, w_shape, out_size, stride, padding, dilation, groups):
    """Yield (o, c in the weight, kh, kw, channel, oh, ow, row, column) for every product inside."""
    _, _, H, W = x_shape
    out_channels, Cg, KH, KW = w_shape
    OH, OW = out_size
    for o, c, kh, kw, oh, ow in itertools.product(*map(range, (out_channels, Cg, KH, KW, OH, OW))):
        row = oh * stride[0] + kh * dilation[0] - padding[0][0]
        column = ow * stride[1] + kw * dilation[1] - padding[1][0]
        if 0 <= row < H and 0 <= column < W:
            yield o, c, kh, kw, o // (out_channels // groups) * Cg + c, oh, ow, row, column


def out_size(x_shape, w_shape, stride, padding, dilation):
    return tuple(
        len(
            range(
                0,
                x_shape[2 + a] + sum(padding[a]) - dilation[a] * (w_shape[2 + a] - 1),
                stride[a],
            )
        )
        for a in (0, 1)
    )


def conv2d(x, w, bias, stride, padding, dilation, groups):
    size = out_size(x.shape, w.shape, stride, padding, dilation)
    out = np.zeros((x.shape[0], w.shape[0], *size))
    for o, c, kh, kw, channel, oh, ow, i, j in taps(
        x.shape, w.shape, size, stride, padding, dilation, groups
    ):
        out[:, o, oh, ow] += w[o, c, kh, kw] * x[:, channel, i, j]
    if bias is not None:
        for o in range(w.shape[0]):
            out[:, o] += bias[o]
    return out


def conv2d_input_gradient(g, w, input_shape, stride, padding, dilation, groups):
    dx = np.zeros(input_shape)
    for o, c, kh, kw, channel, oh, ow, i, j in taps(
        input_shape, w.shape, g.shape[2:], stride, padding, dilation, groups
    ):
        dx[:, channel, i, j] += w[o, c, kh, kw] * g[:, o, oh, ow]
    return dx


def conv2d_weight_gradient(x, g, weight_shape, stride, padding, dilation, groups):
    dw = np.zeros(weight_shape)
    for o, c, kh, kw, channel, oh, ow, i, j in taps(
        x.shape, weight_shape, g.shape[2:], stride, padding, dilation, groups
    ):
        dw[o, c, kh, kw] += np.sum(g[:, o, oh, ow] * x[:, channel, i, j])
    return dw
