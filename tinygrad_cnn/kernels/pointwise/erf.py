"""The error function, which NumPy lacks."""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.types import Array

__all__ = ["erf_into"]

# W. J. Cody, "Rational Chebyshev Approximations for the Error Function", Mathematics of
# Computation 23 (1969), 631-637; digits as in the SPECFUN library. Highest power first.
# erf(x) = x · P(x²) / Q(x²) for |x| ≤ 0.46875:
_NEAR_P = (
    1.85777706184603153e-1,
    3.16112374387056560e00,
    1.13864154151050156e02,
    3.77485237685302021e02,
    3.20937758913846947e03,
)
_NEAR_Q = (
    1.0,
    2.36012909523441209e01,
    2.44024637934444173e02,
    1.28261652607737228e03,
    2.84423683343917062e03,
)
# erfc(y) = exp(−y²) · P(y) / Q(y), meant for 0.46875 ≤ y ≤ 4. Its error grows to 1e-12 of
# erfc(y) at y = 6, but 1 − erfc(y) does not see that, so the third range is not needed.
_FAR_P = (
    2.15311535474403846e-8,
    5.64188496988670089e-1,
    8.88314979438837594e00,
    6.61191906371416295e01,
    2.98635138197400131e02,
    8.81952221241769090e02,
    1.71204761263407058e03,
    2.05107837782607147e03,
    1.23033935479799725e03,
)
_FAR_Q = (
    1.0,
    1.57449261107098347e01,
    1.17693950891312499e02,
    5.37181101862009858e02,
    1.62138957456669019e03,
    3.29079923573345963e03,
    4.36261909014324716e03,
    3.43936767414372164e03,
    1.23033935480374942e03,
)
_NEAR = 0.46875
_ONE_FROM = 6.0  # erf(6) = 1 − 2e-17

# float32: erf(x) = x · P(x²) / Q(x²) for |x| ≤ 4, where it evaluates to 1 exactly. Fitted by
# reweighted least squares on Chebyshev nodes; the approximation errs by 2.5e-8, evaluation in
# float32 by up to 4e-7, both relative.
_SINGLE_P = (1.98666219e-6, 2.8455657e-4, 3.88333961e-3, 5.31017453e-2, 1.93546294e-1, 1.12837914)
_SINGLE_Q = (3.74184169e-5, 1.18555179e-3, 1.52072656e-2, 1.15350358e-1, 5.04858495e-1, 1.0)
_SINGLE_LIMIT = 4.0


def erf_into(out: Array, x: Array) -> None:
    """Write erf(x) = 2/√π ∫₀ˣ exp(−t²) dt to `out`; both are vectors of one dtype.

    Examples
    --------
    >>> out = np.empty(3)
    >>> erf_into(out, np.array([-np.inf, 0.0, 0.5]))
    >>> out.round(6)
    array([-1.    ,  0.    ,  0.5205])
    """
    if x.dtype == np.float32:
        _erf_single(out, x)
        return
    y = np.minimum(np.abs(x), _ONE_FROM)
    np.multiply(_ratio(_FAR_P, _FAR_Q, y), np.exp(-y * y), out=out)
    np.subtract(1, out, out=out)
    np.copysign(out, x, out=out)
    near = np.flatnonzero(y <= _NEAR)
    if near.size:
        z = x[near]
        out[near] = z * _ratio(_NEAR_P, _NEAR_Q, z * z)


def _erf_single(out: Array, x: Array) -> None:
    limit = np.float32(_SINGLE_LIMIT)
    clipped = np.clip(x, -limit, limit)
    np.multiply(clipped, _ratio(_SINGLE_P, _SINGLE_Q, clipped * clipped), out=out)
    np.clip(out, -1, 1, out=out)


def _ratio(p: tuple[float, ...], q: tuple[float, ...], x: Array) -> Array:
    """Evaluate P(x) / Q(x) by Horner's rule."""
    top, bottom = _polynomial(p, x), _polynomial(q, x)
    np.divide(top, bottom, out=top)
    return top


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    first, second, *rest = coefficients
    value: Array = x * x.dtype.type(first)
    value += x.dtype.type(second)
    for coefficient in rest:
        value *= x
        value += x.dtype.type(coefficient)
    return value
