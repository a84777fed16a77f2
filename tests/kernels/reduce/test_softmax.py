"""Softmax of rows against double precision, however many rows and columns."""

from __future__ import annotations

import numpy as np
import pytest

from tests.threads import num_threads
from tinygrad_cnn.kernels.reduce import softmax
from tinygrad_cnn.kernels.runtime import tuning


@pytest.mark.parametrize("columns", [1, 2, 10, 33])
@pytest.mark.parametrize("rows", [1, 7, 1025])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_it_equals_the_formula(monkeypatch, rows, columns, threads, offset):
    monkeypatch.setattr(tuning, "SOFTMAX_BLOCK", 100)
    monkeypatch.setattr(tuning, "STRIDED_GRAIN", 100)
    with num_threads(threads):
        x = np.random.default_rng(0).standard_normal((rows, columns)).astype(np.float32) * 4
        x = np.asfortranarray(x + np.float32(offset))
        p, greatest, logarithm = softmax.softmax_rows(x)
    wide = x.astype(np.float64)
    powers = np.exp(wide - wide.max(axis=1, keepdims=True))
    total = powers.sum(axis=1, keepdims=True)
    assert p.dtype == greatest.dtype == logarithm.dtype == np.float32
    np.testing.assert_allclose(p, powers / total, rtol=1e-5)
    np.testing.assert_array_equal(greatest, x.max(axis=1))
    np.testing.assert_allclose(logarithm, np.log(total[:, 0]), rtol=1e-5, atol=1e-6)


def test_floating_point_errors_are_the_callers():
    x = np.zeros((1000, 4), np.float32)
    x[500] = np.inf
    with np.errstate(invalid="raise"), pytest.raises(FloatingPointError):
        softmax.softmax_rows(x)
    with np.errstate(invalid="ignore"):
        p = softmax.softmax_rows(x)[0]
    assert np.isnan(p[500]).all()
    assert np.isfinite(np.delete(p, 500, 0)).all()
