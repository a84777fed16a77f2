"""Products cut into blocks equal the whole ones, whatever divides what."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_cnn.kernels.conv import products
from tinygrad_cnn.kernels.conv.products import multiply_rows, sum_of_products
from tinygrad_cnn.kernels.runtime import plans, tuning


@pytest.fixture(params=[1_000_000, 4000])
def _unpacked(request, monkeypatch):
    monkeypatch.setattr(tuning, "UNPACKED", request.param)
    plans.clear()
    yield
    plans.clear()


@pytest.mark.usefixtures("_unpacked")
@pytest.mark.parametrize("rows", [1, 97, 960])
@pytest.mark.parametrize(("depth", "columns"), [(5, 3), (9, 32), (40, 18), (1, 1)])
def test_both_products_equal_einsum(rows, depth, columns):
    rng = np.random.default_rng(0)
    a = rng.standard_normal((rows, depth))
    b = rng.standard_normal((depth, columns))
    g = rng.standard_normal((rows, columns))
    out = np.full((rows, columns), np.nan)
    multiply_rows(a, b, out)
    np.testing.assert_allclose(out, np.einsum("pk,km->pm", a, b), rtol=1e-12, atol=1e-12)
    expected = np.einsum("pk,pm->km", a, g)
    for left_first in (False, True):
        total = sum_of_products(a, g, left_first)
        np.testing.assert_allclose(total, expected, rtol=1e-10, atol=1e-10)


def test_blocks_divide_the_rows_and_stay_small():
    assert products._block(4096, 288 * 64, 8) == 32
    assert products._block(4096, 1, 8) == 4096
    assert products._block(97, 100_000, 8) == 97
    assert products._block(64, 1_000_000, 8) == 64
