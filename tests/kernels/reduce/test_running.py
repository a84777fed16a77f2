"""Running sums against NumPy's, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_cnn.kernels.reduce.running import running_sums


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble, np.int64])
@pytest.mark.parametrize(
    ("shape", "axis"), [((7, 80), 0), ((3, 5, 8, 9), 1), ((4, 6), 0), ((5,), 0)]
)
def test_agree_with_numpy(shape, axis, dtype):
    x = (10 * np.random.default_rng(0).standard_normal(shape)).astype(dtype)
    np.testing.assert_array_equal(running_sums(x, axis), np.cumsum(x, axis))
    back = np.flip(np.cumsum(np.flip(x, axis), axis), axis)
    np.testing.assert_array_equal(running_sums(x, axis, reverse=True), back)
    np.testing.assert_array_equal(running_sums(x[..., ::-1], axis), np.cumsum(x[..., ::-1], axis))


@pytest.mark.parametrize("shape", [(0, 80), (3, 0), (0,)])
def test_of_nothing(shape):
    assert running_sums(np.zeros(shape), 0).shape == shape
