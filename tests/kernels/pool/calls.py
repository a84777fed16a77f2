"""The pool kernels, called with kernel, stride, padding and dilation as the oracles are."""

from __future__ import annotations

from tinygrad_cnn.kernels.pool import avg_pool, max_pool
from tinygrad_cnn.kernels.runtime.window import Window


def window_of(kernel, stride, padding=(0, 0), dilation=(1, 1)):
    return Window(kernel, stride, tuple((width, width) for width in padding), dilation)


def pool_output_size(size, kernel, stride, padding, dilation=1, ceil_mode=False):
    window = window_of((kernel,), (stride,), (padding,), (dilation,))
    return window.out_size((size,), ceil_mode)[0]


def max_pool2d(x, kernel, stride, padding=(0, 0), dilation=(1, 1), ceil_mode=False):
    return max_pool.max_pool(x, window_of(kernel, stride, padding, dilation), ceil_mode)


def max_pool2d_values(x, kernel, stride, padding=(0, 0), dilation=(1, 1), ceil_mode=False):
    return max_pool.max_pool_values(x, window_of(kernel, stride, padding, dilation), ceil_mode)


def put_argmax(g, argmax, shape, *windows):
    return max_pool.put_argmax(g, argmax, shape, window_of(*windows))


def take_argmax(x, argmax, *windows):
    return max_pool.take_argmax(x, argmax, window_of(*windows))


def flat_indices(argmax, shape, *windows):
    return max_pool.flat_indices(argmax, shape[2:], window_of(*windows))


def avg_pool2d(x, kernel, stride, padding=(0, 0), ceil_mode=False, count_include_pad=True):
    window = window_of(kernel, stride, padding)
    return avg_pool.avg_pool(x, window, ceil_mode, count_include_pad)


def avg_pool2d_gradient(
    g, shape, kernel, stride, padding=(0, 0), _ceil_mode=False, count_include_pad=True
):
    window = window_of(kernel, stride, padding)
    return avg_pool.avg_pool_gradient(g, shape, window, count_include_pad)


adaptive_avg_pool2d = avg_pool.adaptive_avg_pool
adaptive_avg_pool2d_gradient = avg_pool.adaptive_avg_pool_gradient
