"""NumPy's functions of samples and statistics, and those that leave out NaNs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.dispatch.out import into, typed
from tinygrad_cnn.dispatch.shapes import array_of, concatenate, moveaxis, plain_of, ravel, stack
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.ops import curves, elementwise, nans, piecewise, rounding
from tinygrad_cnn.ops.index import ScatterAdd, getitem, plain_key
from tinygrad_cnn.ops.pointwise import trigonometry
from tinygrad_cnn.ops.shape import reshape

Dim = Any


def _without_nans(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Make ``numpy.nansum`` and its kin of the operation of that name."""

    def reduced(
        a: Any, axis: Dim = None, dtype: Any = None, out: Any = None, keepdims: bool = False
    ) -> Any:
        return into(out, function(typed(array_of(a), dtype), axis, keepdims), f"numpy.{name}")

    return reduced


def _extreme(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    def reduced(a: Any, axis: Dim = None, out: Any = None, keepdims: bool = False) -> Any:
        return into(out, function(array_of(a), axis, keepdims), f"numpy.{name}")

    return reduced


def _spread(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    def reduced(
        a: Any,
        axis: Dim = None,
        dtype: Any = None,
        out: Any = None,
        ddof: float = 0,
        keepdims: bool = False,
    ) -> Any:
        result = function(typed(array_of(a), dtype), axis, ddof, keepdims)
        return into(out, result, f"numpy.{name}")

    return reduced


def nan_to_num(
    x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    """Replace NaNs and infinities, as ``numpy.nan_to_num``; without ``copy`` in place."""
    result = nans.nan_to_num(x, nan, posinf, neginf)
    return result if copy else into(x, result, "numpy.nan_to_num")


def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    """Integrate by trapezoids, as ``numpy.trapezoid``."""
    return curves.trapezoid(array_of(y), None if x is None else array_of(x), dx=dx, dim=axis)


def gradient(f: Any, *varargs: Any, axis: Dim = None, edge_order: int = 1) -> Any:
    """Estimate slopes, as ``numpy.gradient``: one result for one axis, else a tuple."""
    spacing = list(varargs) if len(varargs) > 1 else varargs[0] if varargs else 1.0
    if len(varargs) == 1 and np.ndim(plain_of(spacing)):
        spacing = [spacing]
    slopes = curves.gradient(array_of(f), spacing=spacing, dim=axis, edge_order=edge_order)
    return slopes[0] if len(slopes) == 1 else slopes


def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    """Read a piecewise linear curve, as ``numpy.interp``."""
    x, xp, fp = array_of(x), array_of(xp), array_of(fp)
    if period is not None:
        x, xp = rounding.remainder(x, period), rounding.remainder(xp, period)
        order = np.argsort(plain_of(xp), kind="stable")
        xp, fp = getitem(xp, order), getitem(fp, order)
        xp = concatenate([xp[-1:] - period, xp, xp[:1] + period])
        fp = concatenate([fp[-1:], fp, fp[:1]])
    return curves.interp(x, xp, fp, left, right)


def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """Covariances, as ``numpy.cov``, without weights."""
    if fweights is not None or aweights is not None:
        raise TypeError(
            "numpy.cov: weights are not known with tensors: use `numpy.average` of products"
        )
    rows = _variables(typed(m, dtype), y, rowvar)
    return curves.cov(rows, correction=(0 if bias else 1) if ddof is None else ddof)


def _variables(m: Any, y: Any, rowvar: bool) -> Any:
    """Return the variables as rows; a vector is one variable."""
    rows = [array_of(x) for x in (m, y) if x is not None]
    rows = [x if rowvar or x.ndim < 2 else x.T for x in rows]
    if y is None:
        return rows[0] if rows[0].ndim < 2 or rows[0].shape[0] > 1 else reshape(rows[0], -1)
    return concatenate([x if x.ndim == 2 else reshape(x, 1, -1) for x in rows])


def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    """Correlation coefficients, as ``numpy.corrcoef``."""
    return curves.corrcoef(_variables(typed(x, dtype), y, rowvar))


def polyval(p: Any, x: Any) -> Any:
    """Evaluate a polynomial, as ``numpy.polyval``."""
    return curves.polyval(array_of(p), array_of(x))


def _poly(name: str, joined: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Make a function of two polynomials, the shorter one filled up with zeros in front."""

    def function(a1: Any, a2: Any) -> Any:
        one, two = ravel(array_of(a1)), ravel(array_of(a2))
        size = max(one.shape[0], two.shape[0])
        one, two = (concatenate([np.zeros(size - x.shape[0], x.dtype), x]) for x in (one, two))
        return joined(one, two)

    function.__name__ = name
    return function


def polyder(p: Any, m: int = 1) -> Any:
    """Differentiate a polynomial, as ``numpy.polyder``."""
    for _ in range(m):
        powers = np.arange(p.shape[0] - 1, 0, -1, dtype=p.dtype)
        p = p[:-1] * powers
    return p


def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    """Integrate a polynomial, as ``numpy.polyint``."""
    constants = [0.0] * m if k is None else k if isinstance(k, (list, tuple)) else [k] * m
    for constant in constants:
        powers = np.arange(p.shape[0], 0, -1, dtype=p.dtype)
        p = concatenate([p / powers, np.full(1, constant, p.dtype)])
    return p


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Make the matrix of powers, as ``numpy.vander``."""
    count = x.shape[0] if N is None else N
    powers = range(count) if increasing else reversed(range(count))
    return stack([elementwise.pow(x, power) for power in powers], 1)


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Differences of neighbours in a row, as ``numpy.ediff1d``."""
    row = ravel(ary)
    parts = [to_begin, row[1:] - row[:-1], to_end]
    return concatenate([ravel(array_of(part)) for part in parts if part is not None])


def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: float = 2 * np.pi) -> Any:
    """Take jumps by a period away, as ``numpy.unwrap``: whole periods have no gradient."""
    plain = plain_of(p)
    return p + (np.unwrap(plain, discont, axis, period=period) - plain)


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    **_: Any,
) -> Any:
    """Equal steps from start to stop, as ``numpy.linspace``."""
    start, stop = array_of(start), array_of(stop)
    steps = max(num - 1 if endpoint else num, 1)
    away = stop - start
    share = np.arange(num) / steps
    places = reshape(share.astype(away.dtype), -1, *(1,) * away.ndim)
    result = typed(moveaxis(start + places * away, 0, axis), dtype)
    return (result, away / steps) if retstep else result


def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, **words: Any
) -> Any:
    """Equal ratios from base**start to base**stop, as ``numpy.logspace``."""
    return elementwise.pow(base, linspace(start, stop, num, endpoint, **words))


def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, **words: Any) -> Any:
    """Equal ratios from start to stop, positive numbers, as ``numpy.geomspace``."""
    logs = elementwise.log(array_of(start)), elementwise.log(array_of(stop))
    return elementwise.exp(linspace(*logs, num, endpoint, **words))


def bincount(x: Any, weights: Any = None, minlength: int = 0) -> Any:
    """Count whole numbers, or add their weights up, as ``numpy.bincount``."""
    places = np.asarray(plain_of(x))
    maker = x if isinstance(x, TensorBase) else weights
    if not isinstance(weights, TensorBase):
        return maker._wrap(np.bincount(places, weights, minlength), None)
    size = max(int(places.max(initial=-1)) + 1, minlength)
    return ScatterAdd(plain_key(places), (size,))(weights)


def histogram(
    a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    """Count into bins, or add weights up, as ``numpy.histogram``; bins and places are constants."""
    edges = np.histogram_bin_edges(plain_of(a), plain_of(bins), range, plain_of(weights))
    maker = next(x for x in (a, bins, weights) if isinstance(x, TensorBase))
    if not isinstance(weights, TensorBase):
        counts, _ = np.histogram(plain_of(a), edges, density=density, weights=weights)
        return maker._wrap(counts, None), maker._wrap(edges, None)
    places = np.searchsorted(edges, np.ravel(plain_of(a)), "right") - 1
    places[np.ravel(plain_of(a)) == edges[-1]] -= 1
    inside = np.flatnonzero((places >= 0) & (places < len(edges) - 1))
    chosen = getitem(ravel(weights), inside)
    counts = ScatterAdd(plain_key(places[inside]), (len(edges) - 1,))(chosen)
    if density:
        counts = counts / np.diff(edges).astype(counts.dtype) / counts.sum()
    return counts, maker._wrap(edges, None)


RECORDED: dict[str, Callable[..., Any]] = {
    "nansum": _without_nans(nans.nansum, "nansum"),
    "nanprod": _without_nans(nans.nanprod, "nanprod"),
    "nanmean": _without_nans(nans.nanmean, "nanmean"),
    "nanvar": _spread(nans.nanvar, "nanvar"),
    "nanstd": _spread(nans.nanstd, "nanstd"),
    "nanmax": _extreme(nans.nanmax, "nanmax"),
    "nanmin": _extreme(nans.nanmin, "nanmin"),
    "nan_to_num": nan_to_num,
    "trapezoid": trapezoid,
    "gradient": gradient,
    "interp": interp,
    "convolve": lambda a, v, mode="full": curves.convolve(array_of(a), array_of(v), mode),
    "correlate": lambda a, v, mode="valid": curves.correlate(array_of(a), array_of(v), mode),
    "cov": cov,
    "corrcoef": corrcoef,
    "polyval": polyval,
    "polyadd": _poly("polyadd", lambda a, b: a + b),
    "polysub": _poly("polysub", lambda a, b: a - b),
    "polymul": lambda a1, a2: curves.convolve(ravel(array_of(a1)), ravel(array_of(a2))),
    "polyder": polyder,
    "polyint": polyint,
    "vander": vander,
    "ediff1d": ediff1d,
    "unwrap": unwrap,
    "linspace": linspace,
    "logspace": logspace,
    "geomspace": geomspace,
    "bincount": bincount,
    "histogram": histogram,
    "sinc": trigonometry.sinc,
    # Real numbers have no imaginary part.
    "real": lambda val: val,
    "real_if_close": lambda a, tol=100: a,
    "imag": lambda val: elementwise.mul(val, 0.0),
    "angle": lambda z, deg=False: elementwise.mul(
        piecewise.where(plain_of(z) < 0, 1.0, elementwise.mul(z, 0.0)), 180.0 if deg else np.pi
    ),
}
"""NumPy's functions of samples by name."""
