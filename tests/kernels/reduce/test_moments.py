"""Moments collected while a convolution is made, against those of its result."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest

import tinygrad_cnn
from tests.kernels.conv.calls import conv2d
from tests.kernels.conv.test_conv import arrays, cut_small
from tests.kernels.conv.test_winograd import SAME, always
from tinygrad_cnn import models, nn
from tinygrad_cnn.kernels.reduce import moments
from tinygrad_cnn.kernels.reduce.moments import Moments, batch_statistics

PROBLEM = (9, 4, 12, 11), (5, 4, 3, 3), SAME


def collected(x, w, bias, arguments):
    """Return a result, and its statistics without reading it again."""
    found = Moments()
    y = conv2d(x, w, bias, *arguments, moments=found)
    with mock.patch.object(moments, "batch_statistics", side_effect=AssertionError("read again")):
        return y, found.statistics(y)


@pytest.mark.parametrize("offset", [0.0, 3.0, 100.0])
@pytest.mark.parametrize("tile_bytes", [1 << 22, 20_000, 3000])
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("cut", [cut_small, always])
def test_they_are_those_of_the_result(cut, threads, tile_bytes, offset):
    x, w, bias, _ = arrays(*PROBLEM, np.float32)
    with cut(threads, tile_bytes):
        y, (mean, var) = collected(x, w, bias + np.float32(offset), SAME)
    exact = y.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean((0, 2, 3)), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(var, exact.var((0, 2, 3)), rtol=1e-5)
    assert mean.dtype == var.dtype == np.float32


def test_two_runs_give_the_same_bits():
    x, w, bias, _ = arrays(*PROBLEM, np.float32)
    with cut_small(2, 3000):
        results = [collected(x, w, bias, SAME)[1] for _ in range(3)]
    for mean, var in results[1:]:
        np.testing.assert_array_equal(mean, results[0][0])
        np.testing.assert_array_equal(var, results[0][1])


def test_channels_that_are_constant_have_no_variance():
    x, w, bias, _ = arrays(*PROBLEM, np.float32)
    bias[:] = 1e4, 0, 1, 7.7, -3e-5
    with cut_small(2, 3000):
        _, (mean, var) = collected(x, 0 * w, bias, SAME)
    np.testing.assert_allclose(mean, bias, rtol=1e-6)
    np.testing.assert_allclose(var, 0, atol=1e-6)


def test_what_loses_digits_is_read_again():
    x, w, bias, _ = arrays(*PROBLEM, np.float32)
    x[1:], w[...] = 0, 0.1  # the first image says nothing of the others
    x[1:] += np.float32(1e3) + np.random.default_rng(0).standard_normal(x[1:].shape)
    found = Moments()
    with cut_small(1, 3000):
        y = conv2d(x, w, bias, *SAME, moments=found)
        with mock.patch.object(moments, "batch_statistics", wraps=batch_statistics) as again:
            mean, var = found.statistics(y)
    assert again.called
    np.testing.assert_allclose(mean, y.astype(np.float64).mean((0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(var, y.astype(np.float64).var((0, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_stays_so_without_a_warning(value):
    x, w, bias, _ = arrays(*PROBLEM, np.float32)
    x[3, 2, 5, 5] = value
    found = Moments()
    with always(2, 3000):
        y = conv2d(x, w, bias, *SAME, moments=found)
        mean, var = found.statistics(y)
    assert not np.isfinite(mean).any()
    assert np.isnan(var).all()


def test_groups_and_small_results_are_read_again():
    groups = (2, 6, 5, 6), (4, 3, 3, 3), ((1, 1), ((1, 1), (1, 1)), (1, 1), 2)
    for problem in (groups, ((1, 1, 8, 8), (3, 1, 3, 3), SAME)):
        x, w, bias, _ = arrays(*problem)
        found = Moments()
        y = conv2d(x, w, bias, *problem[2], moments=found)
        for result, expected in zip(found.statistics(y), batch_statistics(y), strict=True):
            np.testing.assert_array_equal(result, expected)


def test_a_network_reads_no_convolution_again():
    net = models.BatchNorm()
    x = np.random.default_rng(0).standard_normal((64, 1, 28, 28)).astype(np.float32)
    with mock.patch.object(moments, "batch_statistics", side_effect=AssertionError("read again")):
        net[:2](tinygrad_cnn.tensor(x))


def test_layers_at_once_equal_layers_one_by_one():
    def make():
        tinygrad_cnn.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8))

    x = np.random.default_rng(0).standard_normal((16, 3, 20, 20)).astype(np.float32)
    weights = np.random.default_rng(1).standard_normal((16, 8, 20, 20)).astype(np.float32)
    at_once, apart = make(), make()
    y = at_once(tinygrad_cnn.tensor(x))
    z = apart[1](apart[0](tinygrad_cnn.tensor(x)))
    np.testing.assert_allclose(y.numpy(), z.numpy(), rtol=1e-5, atol=1e-5)
    for result in (y, z):
        (result * weights).sum().backward()
    for a, b in zip(at_once.parameters(), apart.parameters(), strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-3, atol=1e-3)
    for name, buffer in at_once.named_buffers():
        np.testing.assert_allclose(
            buffer.numpy(), dict(apart.named_buffers())[name].numpy(), rtol=1e-5, atol=1e-6
        )
