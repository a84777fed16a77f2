"""Operands repeated along memory, against NumPy's broadcasting."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_cnn.kernels.runtime import rows

LAYOUTS = {
    "contiguous": lambda a: a.copy(),
    "part of each image": lambda a: np.concatenate([a, a], axis=1)[:, : a.shape[1]],
    "every second pixel": lambda a: np.repeat(a, 2, axis=2)[:, :, ::2],
    "channels first": lambda a: np.ascontiguousarray(a.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1),
}


@pytest.mark.parametrize("repeat", [1, 3, 700])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(3, 4, 5, 6), (1, 1, 1, 2), (2, 17, 13, 3), (0, 2, 2, 2)])
def test_a_row_is_repeated_in_any_layout(shape, layout, repeat):
    rng = np.random.default_rng(0)
    x = LAYOUTS[layout](rng.standard_normal(shape))
    values = rng.standard_normal(shape[-1])
    expected = x + values
    rows.apply_row(np.add, x, rows.repeated(values, repeat, x.dtype), x)
    np.testing.assert_array_equal(x, expected)


def test_the_result_may_go_elsewhere():
    x, out = np.ones((2, 3)), np.empty((2, 3))
    rows.apply_row(np.multiply, x, np.array([1.0, 2.0, 3.0]), out)
    np.testing.assert_array_equal(out, [[1, 2, 3]] * 2)
    np.testing.assert_array_equal(x, np.ones((2, 3)))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(3, 4, 5, 6), (2, 40, 41, 23), (2, 1, 1, 70_000), (0, 1, 1, 1)])
def test_rectified_as_by_maximum(shape, layout):
    x = LAYOUTS[layout](np.random.default_rng(0).standard_normal(shape).astype(np.float32))
    if x.size:
        x[-1, -1, -1, -1], x[0, 0, 0, 0] = np.nan, -np.inf
    expected = np.maximum(x, 0)
    rows.rectify(x, x)
    np.testing.assert_array_equal(x, expected)


def test_zeros_cannot_be_overwritten():
    with pytest.raises(ValueError, match="read-only"):
        rows.zeros(np.dtype(np.float32))[0] = 1
