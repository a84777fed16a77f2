"""Functions that NumPy lacks: the gamma function's logarithm and its derivatives, erfc, erfinv.

Computed in float64. What nobody calls for millions of elements is Python's own function, one
element at a time (about 0.1 µs each).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.sweep import sweep
from tinygrad_cnn.types import Array

__all__ = ["digamma", "erfc", "erfinv", "lgamma", "polygamma"]


def _one_by_one(function: Callable[[float], float], x: Array) -> Array:
    """Apply a function of Python numbers; the result has the dtype of x."""
    numbers = x.reshape(-1).tolist()
    return np.fromiter(map(function, numbers), x.dtype, len(numbers)).reshape(x.shape)


def erfc(x: Array) -> Array:
    """Complement of the error function, 1 − erf(x), accurate where it is small.

    >>> erfc(np.array([0.0, 10.0]))
    array([1.00000000e+00, 2.08848758e-45])
    """
    return _one_by_one(math.erfc, x)


def _lgamma(x: float) -> float:
    try:
        return math.lgamma(x)
    except (ValueError, OverflowError):
        return math.inf  # at 0 and the negative integers, and beyond the greatest number


def lgamma(x: Array) -> Array:
    """Logarithm of the gamma function's magnitude; inf at 0 and the negative integers.

    >>> lgamma(np.array([1.0, 5.0, 0.0])).round(4)
    array([0.    , 3.1781,    inf])
    """
    if x.dtype != np.float32 or x.size < tuning.MANY_VALUES:
        return _one_by_one(_lgamma, x)
    return _in_blocks(_lgamma_series, x)


# Bernoulli numbers B₂, B₄, …; DLMF 24.2.
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
_FROM = 7  # where the first term left out, of lgamma and digamma, is 1e-15


def _in_blocks(function: Callable[[Array], Array], x: Array) -> Array:
    """Apply a function of float64 vectors, a part at a time that stays in the cache, by threads."""
    out = np.empty(x.size, x.dtype)

    def step(part: Array, source: Array) -> None:
        part[...] = function(source.astype(np.float64))

    sweep(step, out, x.reshape(-1), most=tuning.SPECIAL_BLOCK, grain=tuning.SPECIAL_BLOCK)
    return out.reshape(x.shape)


def _shifted(y: Array) -> tuple[Array, Array]:
    """Return y, or y + 7 where y < 7; and the product Π (y + k) of what is passed by, else 1."""
    low = y < _FROM
    z = np.where(low, y, 1.0)
    product = z.copy()
    for k in range(1, _FROM):
        product *= z + k
    product[~low] = 1.0
    return np.where(low, y + _FROM, y), product


def _passed(y: Array) -> Array:
    """Return the sum Σ 1 / (y + k) of what `_shifted` passes by, else 0: one division in all."""
    low = y < _FROM
    z = np.where(low, y, 1.0)
    product, slope = z.copy(), np.ones_like(z)
    for k in range(1, _FROM):
        factor = z + k
        slope *= factor
        slope += product
        product *= factor
    return np.where(low, slope / product, 0.0)


def _series(inverse: Array, divide: Callable[[int], int]) -> Array:
    """Sum Σ_k B₂ₖ / divide(2k) · inverse²ᵏ from the end."""
    square = inverse * inverse
    tail = np.zeros_like(square)
    for k in range(len(_BERNOULLI), 0, -1):
        tail += _BERNOULLI[k - 1] / divide(2 * k)
        tail *= square
    return tail


def _lgamma_series(x: Array) -> Array:
    """Stirling's series (DLMF 5.11.1), shifted up; of negative numbers one by one.

    Near 1 and 2, where the result is 0, it has an absolute error of 1e-14.
    """
    with np.errstate(all="ignore"):
        y, product = _shifted(np.where(x > 0, x, 1.0))
        tail = _series(1.0 / y, lambda n: n * (n - 1)) * y
        out = (y - 0.5) * np.log(y) - y + (0.5 * math.log(2 * math.pi)) + tail - np.log(product)
        out[np.isposinf(x)] = np.inf
    rest = np.flatnonzero(~(x > 0))
    out[rest] = [_lgamma(value) for value in x[rest].tolist()]
    return np.asarray(out)


def digamma(x: Array) -> Array:
    """Take the derivative of lgamma; −inf at 0, inf at −0, NaN at the negative integers.

    Shifted up by ψ(x) = ψ(x + 1) − 1/x to the asymptotic series (DLMF 5.11.2), or reflected:
    ψ(1 − x) − ψ(x) = π / tan(πx).

    >>> digamma(np.array([1.0])).round(6)
    array([-0.577216])
    """
    return _in_blocks(_digamma_series, x)


def _digamma_series(x: Array) -> Array:
    with np.errstate(all="ignore"):
        turned = x < 0
        start = np.where(turned, 1.0 - x, x)
        y = np.where(start < _FROM, start + _FROM, start)
        inverse = 1.0 / y
        tail = _series(inverse, lambda n: n)
        found = np.log(y) - 0.5 * inverse - tail - _passed(start)
        if not turned.any() and (x > 0).all():
            return np.where(np.isposinf(x), np.inf, found)
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

    >>> polygamma(1, np.array([1.0])).round(6)
    array([1.644934])
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


# M. J. Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution", Applied
# Statistics 37 (1988), 477-484: the quantile of p = (1 + x) / 2 is √2 · erfinv(x). Each pair is a
# ratio of polynomials, highest power first.
_MIDDLE = (
    (
        *(2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4),
        *(4.5921953931549871457e4, 1.3731693765509461125e4, 1.9715909503065514427e3),
        *(1.3314166789178437745e2, 3.3871328727963666080e0),
    ),
    (
        *(5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4),
        *(2.1213794301586595867e4, 5.3941960214247511077e3, 6.8718700749205790830e2),
        *(4.2313330701600911252e1, 1.0),
    ),
)
_TAIL = (
    (
        *(7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1),
        *(1.27045825245236838258e0, 3.64784832476320460504e0, 5.76949722146069140550e0),
        *(4.63033784615654529590e0, 1.42343711074968357734e0),
    ),
    (
        *(1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2),
        *(1.48103976427480074590e-1, 6.89767334985100004550e-1, 1.67638483018380384940e0),
        *(2.05319162663775882187e0, 1.0),
    ),
)
_FAR_TAIL = (
    (
        *(2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3),
        *(2.65321895265761230930e-2, 2.96560571828504891230e-1, 1.78482653991729133580e0),
        *(5.46378491116411436990e0, 6.65790464350110377720e0),
    ),
    (
        *(2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5),
        *(7.86869131145613259100e-4, 1.48753612908506148525e-2, 1.36929880922735805310e-1),
        *(5.99832206555887937690e-1, 1.0),
    ),
)


def _ratio(pair: tuple[tuple[float, ...], tuple[float, ...]], x: Array) -> Array:
    top, bottom = pair
    return np.asarray(np.polyval(top, x) / np.polyval(bottom, x))


def erfinv(x: Array) -> Array:
    """Inverse of the error function on [−1, 1]; ±inf at the ends, NaN outside.

    >>> erfinv(np.array([0.0, 0.5, 1.0])).round(4)
    array([0.    , 0.4769,    inf])
    """
    return _in_blocks(_erfinv, x)


def _erfinv(x: Array) -> Array:
    with np.errstate(all="ignore"):
        half = x / 2.0
        middle = half * _ratio(_MIDDLE, 0.180625 - half * half)
        r = np.sqrt(-np.log((1.0 - np.abs(x)) / 2.0))
        tail = np.where(r <= 5.0, _ratio(_TAIL, r - 1.6), _ratio(_FAR_TAIL, r - 5.0))
        found = np.where(np.abs(half) <= 0.425, middle, np.copysign(tail, x)) / math.sqrt(2.0)
        found = np.where(np.abs(x) == 1, np.copysign(np.inf, x), found)
        return np.where(np.abs(x) > 1, np.nan, found)
