"""The convolution kernels, called with stride, padding and dilation as the oracle is."""

from __future__ import annotations

from tinygrad_cnn.kernels.conv import convolution
from tinygrad_cnn.kernels.runtime.rows import rectify
from tinygrad_cnn.kernels.runtime.window import Window


def window_of(w_shape, stride, padding, dilation):
    return Window(tuple(w_shape[2:]), stride, padding, dilation)


def conv2d(x, w, bias, stride, padding, dilation, groups, relu=False, **options):
    window = window_of(w.shape, stride, padding, dilation)
    activation = rectify if relu else None
    return convolution.convolve(x, w, bias, window, groups, activation, **options)


def conv2d_pooled(x, w, bias, stride, padding, dilation, groups, block, relu):
    window = window_of(w.shape, stride, padding, dilation)
    activation = rectify if relu else None
    return convolution.convolve(x, w, bias, window, groups, activation, block=block)


def conv2d_input_gradient(g, w, input_shape, stride, padding, dilation, groups):
    window = window_of(w.shape, stride, padding, dilation)
    return convolution.input_gradient(g, w, input_shape, window, groups)


def conv2d_weight_gradient(x, g, w_shape, stride, padding, dilation, groups):
    window = window_of(w_shape, stride, padding, dilation)
    return convolution.weight_gradient(x, g, w_shape, window, groups)


def conv2d_gradients(g, x, w, w_shape, stride, padding, dilation, groups, bias):
    window = window_of(w_shape, stride, padding, dilation)
    return convolution.gradients(g, x, w, w_shape, window, groups, bias)
