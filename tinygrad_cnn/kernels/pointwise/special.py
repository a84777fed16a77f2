"""Functions that NumPy lacks: the error function, the gamma function, and what belongs to them.

All but erf are computed in float64. What nobody calls for millions of elements is Python's own
function, one element at a time (about 0.1 µs each).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import TypeAlias

import numpy as np

from tinygrad_cnn.kernels.pointwise.elementwise import map_blocks
from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.types import Array

__all__ = ["digamma", "erf_into", "erfc", "erfinv", "lgamma", "polygamma"]

Ratio: TypeAlias = tuple[tuple[float, ...], tuple[float, ...]]
"""Coefficients of two polynomials P and Q, highest power first."""

# W. J. Cody, "Rational Chebyshev Approximations for the Error Function", Mathematics of
# Computation 23 (1969), 631-637; digits as in the SPECFUN library.
# erf(x) = x · P(x²) / Q(x²) for |x| ≤ 0.46875:
_ERF_NEAR: Ratio = (
    (
        *(1.85777706184603153e-1, 3.16112374387056560e00, 1.13864154151050156e02),
        *(3.77485237685302021e02, 3.20937758913846947e03),
    ),
    (
        *(1.0, 2.36012909523441209e01, 2.44024637934444173e02),
        *(1.28261652607737228e03, 2.84423683343917062e03),
    ),
)
# erfc(y) = exp(−y²) · P(y) / Q(y), meant for 0.46875 ≤ y ≤ 4. Its error grows to 1e-12 of
# erfc(y) at y = 6, but 1 − erfc(y) does not see that, so the third range is not needed.
_ERF_FAR: Ratio = (
    (
        *(2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e00),
        *(6.61191906371416295e01, 2.98635138197400131e02, 8.81952221241769090e02),
        *(1.71204761263407058e03, 2.05107837782607147e03, 1.23033935479799725e03),
    ),
    (
        *(1.0, 1.57449261107098347e01, 1.17693950891312499e02),
        *(5.37181101862009858e02, 1.62138957456669019e03, 3.29079923573345963e03),
        *(4.36261909014324716e03, 3.43936767414372164e03, 1.23033935480374942e03),
    ),
)
_NEAR = 0.46875
_ONE_FROM = 6.0  # erf(6) = 1 − 2e-17

# float32: erf(x) = x · P(x²) / Q(x²) for |x| ≤ 4, where it evaluates to 1 exactly. Fitted by
# reweighted least squares on Chebyshev nodes; the approximation errs by 2.5e-8, evaluation in
# float32 by up to 4e-7, both relative.
_ERF_SINGLE: Ratio = (
    (1.98666219e-6, 2.8455657e-4, 3.88333961e-3, 5.31017453e-2, 1.93546294e-1, 1.12837914),
    (3.74184169e-5, 1.18555179e-3, 1.52072656e-2, 1.15350358e-1, 5.04858495e-1, 1.0),
)
_SINGLE_LIMIT = np.float32(4.0)


def erf_into(out: Array, x: Array) -> None:
    """Write erf(x) = 2/√π ∫₀ˣ exp(−t²) dt to `out`; both are vectors of one dtype."""
    if x.dtype == np.float32:
        clipped = np.clip(x, -_SINGLE_LIMIT, _SINGLE_LIMIT)
        np.multiply(clipped, _ratio(_ERF_SINGLE, clipped * clipped), out=out)
        np.clip(out, -1, 1, out=out)
        return
    y = np.minimum(np.abs(x), _ONE_FROM)
    np.multiply(_ratio(_ERF_FAR, y), np.exp(-y * y), out=out)
    np.subtract(1, out, out=out)
    np.copysign(out, x, out=out)
    near = np.flatnonzero(y <= _NEAR)
    if near.size:
        z = x[near]
        out[near] = z * _ratio(_ERF_NEAR, z * z)


def _ratio(coefficients: Ratio, x: Array) -> Array:
    """Evaluate P(x) / Q(x)."""
    top, bottom = (_polynomial(each, x) for each in coefficients)
    np.divide(top, bottom, out=top)
    return top


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """Evaluate by Horner's rule."""
    first, second, *rest = coefficients
    value: Array = x * x.dtype.type(first)
    value += x.dtype.type(second)
    for coefficient in rest:
        value *= x
        value += x.dtype.type(coefficient)
    return value


def erfc(x: Array) -> Array:
    """Complement of the error function, 1 − erf(x), accurate where it is small."""
    return _one_by_one(math.erfc, x)


def _one_by_one(function: Callable[[float], float], x: Array) -> Array:
    """Apply a function of Python numbers; the result has the dtype of x."""
    numbers = x.reshape(-1).tolist()
    return np.fromiter(map(function, numbers), x.dtype, len(numbers)).reshape(x.shape)


def _in_blocks(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Return a function of arrays that calls one of float64 vectors in blocks; see `map_blocks`."""

    def formula(out: Array, x: Array) -> None:
        out[...] = function(x.astype(np.float64))

    @wraps(function)
    def whole(x: Array) -> Array:
        return map_blocks(formula, x, block=tuning.SPECIAL_BLOCK, grain=tuning.SPECIAL_BLOCK)

    return whole


@_in_blocks
def erfinv(x: Array) -> Array:
    """Inverse of the error function on [−1, 1]; ±inf at the ends, NaN outside.

    Two steps of Halley's method from the approximation of S. Winitzki, "A handy approximation for
    the error function and its inverse" (2008), which is good to 0.2 %.
    """
    target = np.abs(x)
    logarithm = np.log1p(-target * target)
    middle = 2 / (math.pi * 0.147) + logarithm / 2
    y = np.sqrt(np.sqrt(middle * middle - logarithm / 0.147) - middle)
    for _ in range(2):
        bell = np.exp(-y * y)
        near = y * _ratio(_ERF_NEAR, y * y) - target
        far = (1 - target) - bell * _ratio(_ERF_FAR, y)  # the same, in the digits of erfc
        step = np.where(y <= _NEAR, near, far) / (bell * (2 / math.sqrt(math.pi)))
        y = y - step / (1 + y * step)
    return np.copysign(np.where(target == 1, np.inf, y), x)


def lgamma(x: Array) -> Array:
    """Logarithm of the gamma function's magnitude; inf at 0 and the negative integers."""
    if x.dtype != np.float32 or x.size < tuning.MANY_VALUES:
        return _one_by_one(_lgamma, x)
    return _lgamma_series(x)


def _lgamma(x: float) -> float:
    try:
        return math.lgamma(x)
    except (ValueError, OverflowError):
        return math.inf  # at 0 and the negative integers, and beyond the greatest number


# Bernoulli numbers B₂, B₄, …; DLMF 24.2.
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
_FROM = 7  # where the first term left out, of lgamma and digamma, is 1e-15


def _shifted(y: Array) -> tuple[Array, Array, Array]:
    """Return y, or y + 7 where y < 7; and the product Π (y + k) of what is passed by, else 1.

    And that product's derivative: divided by it, the sum Σ 1 / (y + k) by one division in all.
    """
    low = y < _FROM
    z = np.where(low, y, 1.0)
    product, slope = z.copy(), np.ones_like(z)
    for k in range(1, _FROM):
        factor = z + k
        slope *= factor
        slope += product
        product *= factor
    return np.where(low, y + _FROM, y), np.where(low, product, 1.0), np.where(low, slope, 0.0)


def _series(inverse: Array, divide: Callable[[int], int]) -> Array:
    """Sum Σ_k B₂ₖ / divide(2k) · inverse²ᵏ from the end."""
    square = inverse * inverse
    tail = np.zeros_like(square)
    for k in range(len(_BERNOULLI), 0, -1):
        tail += _BERNOULLI[k - 1] / divide(2 * k)
        tail *= square
    return tail


@_in_blocks
def _lgamma_series(x: Array) -> Array:
    """Stirling's series (DLMF 5.11.1), shifted up; of negative numbers one by one.

    Near 1 and 2, where the result is 0, it has an absolute error of 1e-14.
    """
    y, product, _ = _shifted(np.where(x > 0, x, 1.0))
    tail = _series(1.0 / y, lambda n: n * (n - 1)) * y
    out = (y - 0.5) * np.log(y) - y + (0.5 * math.log(2 * math.pi)) + tail - np.log(product)
    out[np.isposinf(x)] = np.inf
    rest = np.flatnonzero(~(x > 0))
    out[rest] = [_lgamma(value) for value in x[rest].tolist()]
    return np.asarray(out)


@_in_blocks
def digamma(x: Array) -> Array:
    """Take the derivative of lgamma; −inf at 0, inf at −0, NaN at the negative integers.

    Shifted up by ψ(x) = ψ(x + 1) − 1/x to the asymptotic series (DLMF 5.11.2), or reflected:
    ψ(1 − x) − ψ(x) = π / tan(πx).
    """
    turned = x < 0
    y, product, slope = _shifted(np.where(turned, 1.0 - x, x))
    inverse = 1.0 / y
    found = np.log(y) - 0.5 * inverse - _series(inverse, lambda n: n) - slope / product
    if not (x > 0).all():
        # The tangent of the fraction: its period is 1, and πx would be rounded.
        fraction = x - np.round(x)
        reflected = np.where(fraction == 0, np.nan, found - math.pi / np.tan(math.pi * fraction))
        found = np.where(turned, reflected, found)
        found = np.where(x == 0, -np.copysign(np.inf, x), found)
    return np.where(np.isposinf(x), np.inf, found)


_DEEPEST = 10_000
_FROM_DERIVATIVES = 10


def polygamma(n: int, x: Array) -> Array:
    """Take digamma's derivative of order n ≥ 1: (−1)ⁿ⁺¹ n! Σ_{k ≥ 0} (x + k)⁻ⁿ⁻¹.

    The first terms one by one, the others by the Euler–Maclaurin formula (DLMF 25.11.43).
    """
    dtype, y = x.dtype, x.astype(np.float64)
    s = n + 1
    lowest = float(np.min(y[np.isfinite(y)], initial=0.0))
    if lowest < -_DEEPEST:
        raise ValueError(f"polygamma: expects inputs above {-_DEEPEST}, got {lowest:g}")
    total = np.zeros_like(y)
    with np.errstate(all="ignore"):
        for _ in range(_FROM_DERIVATIVES + n - math.floor(lowest)):
            low = y < _FROM_DERIVATIVES + n
            total += np.where(low, y**-s, 0.0)
            y = np.where(low, y + 1.0, y)
        total += y ** (1.0 - s) / (s - 1.0) + 0.5 * y**-s
        factor, power = float(s), y ** (-s - 1.0)
        for k, number in enumerate(_BERNOULLI, 1):
            total += number / math.factorial(2 * k) * factor * power
            factor *= (s + 2 * k - 1) * (s + 2 * k)
            power = power / (y * y)
        total = np.where(np.isposinf(y), 0.0, total)
        return ((-1.0) ** (n + 1) * math.factorial(n) * total).astype(dtype)
