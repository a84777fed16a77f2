import numpy as np
import pytest
import scipy.special

from tinygrad_cnn.kernels.pointwise import special as sp


@pytest.mark.parametrize("sign", [1, -1])
def test_erfinv_is_good_to_the_last_digits_in_all_its_ranges(sign):
    tiny, tail = np.geomspace(1e-300, 0.1, 5001), 1 - np.geomspace(1.2e-16, 0.1, 5001)
    x = sign * np.concatenate([tiny, np.linspace(0.1, 0.9, 5001), tail])
    np.testing.assert_allclose(sp.erfinv(x), scipy.special.erfinv(x), rtol=2e-14)
    inner = np.abs(x) < 0.999
    np.testing.assert_allclose(sp.erfinv(x[inner]), scipy.special.erfinv(x[inner]), rtol=2e-15)


def test_erfinv_at_its_ends_and_beyond():
    x = np.array([0.0, -0.0, 1.0, -1.0, 1.5, -np.inf, np.nan])
    with np.errstate(all="raise"):
        got = sp.erfinv(x)
    np.testing.assert_array_equal(got, [0, 0, np.inf, -np.inf, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(np.signbit(got[:2]), [False, True])
