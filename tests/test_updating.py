"""Methods that write the result of an operation: the same values, memory and gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tinygrad_cnn import Tensor, tensor

_FLOATS = np.array([0.4, 0.7, 0.2])
_LARGE = np.array([1.4, 2.7, 3.2])
_WHOLE = np.array([12, 7, 5])
_TRUTH = np.array([True, False, True])
_SQUARE = np.array([[0.4, 0.7], [0.2, 1.1]])
_ROWS = np.array([[0.5, 1.5], [2.5, 3.5]])

# What a method gets: what it is called on, and its arguments.
UPDATES: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(
        [
            "rsqrt_",
            "reciprocal_",
            "exp2_",
            "expm1_",
            "log2_",
            "log10_",
            "logit_",
            "sin_",
            "cos_",
            "tan_",
            "asin_",
            "arcsin_",
            "acos_",
            "arccos_",
            "atan_",
            "arctan_",
            "sinh_",
            "cosh_",
            "asinh_",
            "arcsinh_",
            "atanh_",
            "arctanh_",
            "sinc_",
            "deg2rad_",
            "rad2deg_",
            "erf_",
            "erfc_",
            "erfinv_",
            "lgamma_",
            "digamma_",
            "fix_",
            "frac_",
            "sgn_",
            "absolute_",
            "negative_",
            "nan_to_num_",
        ],
        (_FLOATS,),
    ),
    "acosh_": (_LARGE,),
    "arccosh_": (_LARGE,),
    **dict.fromkeys(
        [
            "subtract_",
            "multiply_",
            "divide_",
            "true_divide_",
            "float_power_",
            "fmod_",
            "atan2_",
            "arctan2_",
            "hypot_",
            "xlogy_",
            "copysign_",
            "heaviside_",
            "nextafter_",
            "eq_",
            "ne_",
            "not_equal_",
            "lt_",
            "less_",
            "le_",
            "less_equal_",
            "gt_",
            "greater_",
            "ge_",
            "greater_equal_",
        ],
        (_FLOATS, _LARGE),
    ),
    "clamp_min_": (_FLOATS, 0.5),
    "clamp_max_": (_FLOATS, 0.5),
    "ldexp_": (_FLOATS, np.array([1, 2, 3])),
    "addmm_": (_SQUARE, _ROWS, _ROWS),
    "addmv_": (_SQUARE[0], _ROWS, _ROWS[0]),
    "addr_": (_SQUARE, _ROWS[0], _ROWS[1]),
    "addbmm_": (_SQUARE, _ROWS[None], _ROWS[None]),
    "baddbmm_": (_SQUARE[None], _ROWS[None], _ROWS[None]),
    "cumsum_": (_FLOATS, 0),
    "cumprod_": (_FLOATS, 0),
    "tril_": (_SQUARE,),
    "triu_": (_SQUARE,),
    "masked_scatter_": (_FLOATS, _TRUTH, _LARGE),
    "scatter_reduce_": (_FLOATS, 0, np.array([0, 0, 2]), _LARGE, "sum"),
    "put_": (_FLOATS, np.array([0, 2]), _LARGE[:2]),
    "gcd_": (_WHOLE, 4),
    "lcm_": (_WHOLE, 4),
    "bitwise_and_": (_WHOLE, 6),
    "bitwise_or_": (_WHOLE, 6),
    "bitwise_xor_": (_WHOLE, 6),
    "bitwise_not_": (_WHOLE,),
    "bitwise_left_shift_": (_WHOLE, 2),
    "bitwise_right_shift_": (_WHOLE, 2),
    "logical_and_": (_TRUTH, _TRUTH[::-1].copy()),
    "logical_or_": (_TRUTH, _TRUTH[::-1].copy()),
    "logical_xor_": (_TRUTH, _TRUTH[::-1].copy()),
    "logical_not_": (_TRUTH,),
    "fill_diagonal_": (_SQUARE, 5.0),
    "random_": (_FLOATS, 10),
    "exponential_": (_FLOATS,),
    "geometric_": (_FLOATS, 0.5),
    "log_normal_": (_FLOATS,),
    "cauchy_": (_FLOATS,),
}
DRAWN = {"random_", "exponential_", "geometric_", "log_normal_", "cauchy_"}


@pytest.mark.parametrize("name", sorted(UPDATES.keys() - DRAWN - {"fill_diagonal_"}))
def test_the_result_of_the_function_is_written(name: str) -> None:
    start, *args = UPDATES[name]
    function = getattr(F, name.removesuffix("_"))
    t = tensor(start.copy())
    memory = t._data
    expected = np.asarray(function(start.copy(), *args)).astype(start.dtype)
    assert getattr(t, name)(*args) is t
    assert t._data is memory
    np.testing.assert_array_equal(t.numpy(), expected)
    if start.dtype.kind != "f" or np.asarray(function(start, *args)).dtype.kind != "f":
        return
    x = tensor(start, requires_grad=True)
    getattr(y := x * 1.0, name)(*args)
    other = tensor(start, requires_grad=True)
    plain = function(other * 1.0, *args)
    weights = np.random.default_rng(0).uniform(1, 2, plain.shape)
    (y * weights).sum().backward()
    (plain * weights).sum().backward()
    assert x.grad is not None
    assert other.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), other.grad.numpy(), rtol=1e-12)


def test_the_diagonal_is_filled() -> None:
    assert tensor(np.zeros((3, 2))).fill_diagonal_(5).tolist() == [[5, 0], [0, 5], [0, 0]]
    wrapped = tensor(np.zeros((4, 2))).fill_diagonal_(5, wrap=True)
    assert wrapped.tolist() == [[5, 0], [0, 5], [0, 0], [5, 0]]
    with pytest.raises(ValueError, match=r"^fill_diagonal_: expects two dimensions"):
        tensor([1.0]).fill_diagonal_(1)


def test_drawn_numbers_have_their_distribution() -> None:
    def drawn(name: str, *args: Any) -> Any:
        t: Tensor = getattr(tensor(np.zeros(4000)), name)(*args, generator=np.random.default_rng(2))
        return t.numpy()

    assert set(drawn("random_", 3)) == {0, 1, 2}
    assert set(drawn("random_", 5, 7)) == {5, 6}
    assert abs(drawn("exponential_", 2.0).mean() - 0.5) < 0.05
    assert abs(drawn("geometric_", 0.5).mean() - 2) < 0.1
    assert abs(np.log(drawn("log_normal_", 1.0, 0.5)).mean() - 1) < 0.05
    assert abs(np.median(drawn("cauchy_", 3.0, 1.0)) - 3) < 0.1
    assert tensor(np.zeros(3, np.int8)).random_().dtype == np.int8
