"""Products cut into blocks equal the whole ones, whatever divides what."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_cnn.kernels.conv import products
from tinygrad_cnn.kernels.conv.products import multiply_rows, sum_of_products


@pytest.fixture(params=[1_000_000, 4000])
def _unpacked(request, monkeypatch):
    monkeypatch.setattr(products, "_UNPACKED", request.param)
    products._block.cache_clear()
    yield
    products._block.cache_clear()


@pytest.mark.usefixtures("_unpacked")
@pytest.mark.parametrize("stack", [1, 3])
@pytest.mark.parametrize("rows", [1, 97, 960])
@pytest.mark.parametrize(("depth", "columns"), [(5, 3), (9, 32), (40, 18), (1, 1)])
def test_both_products_equal_einsum(stack, rows, depth, columns):
    rng = np.random.default_rng(0)
    a = rng.standard_normal((stack, rows, depth))
    b = rng.standard_normal((stack, depth, columns))
    g = rng.standard_normal((rows, columns))
    out = np.full((stack, rows, columns), np.nan)
    multiply_rows(a, b, out)
    np.testing.assert_allclose(out, np.einsum("spk,skm->spm", a, b), rtol=1e-12, atol=1e-12)
    expected = np.einsum("spk,pm->skm", a, g)
    np.testing.assert_allclose(sum_of_products(a, g), expected, rtol=1e-10, atol=1e-10)


def test_blocks_divide_the_rows_and_stay_small():
    assert products._block(4096, 288 * 64, 8) == 32
    assert products._block(4096, 1, 8) == 4096
    assert products._block(97, 100_000, 8) == 97
    assert products._block(64, 1_000_000, 8) == 64
