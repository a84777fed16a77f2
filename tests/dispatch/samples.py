"""Calls of NumPy's functions, many with the numbers of NumPy's documentation.

Each is called with arrays, which gives the expected values and by differences the expected
gradients, and with tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Call:
    """A call of one of NumPy's functions.

    Attributes
    ----------
    name
        The function, as ``linalg.norm``.
    function
        Takes the inputs, as arrays or as tensors.
    inputs
        Arrays of floats, each of which gets a gradient.
    """

    name: str
    function: Callable[..., Any]
    inputs: tuple[Array, ...]

    @property
    def id(self) -> str:
        return f"{self.name}-{'x'.join(str(x.ndim) for x in self.inputs)}"


def call(name: str, function: Callable[..., Any], *inputs: Any) -> Call:
    return Call(name, function, tuple(np.array(x, float) for x in inputs))


V = [0.7, -1.3, 2.4]
W = [1.9, 0.6, -0.8]
P = [0.5, 1.5, 2.5]  # positive
M = [[0.9, 2.1, -1.2], [3.3, -0.4, 1.6]]
N = [[1.1, -2.2, 0.3], [0.8, 1.7, -1.9]]
S = [[2.0, 0.3], [-0.7, 1.4]]
_HEAVY = np.eye(4) * 3 + np.sin(np.arange(16.0).reshape(4, 4))
T3 = np.arange(24.0).reshape(2, 3, 4) * 0.1 - 1.1
MASK = np.array([[True, False, True], [True, True, False]])

UFUNCS = [
    call("add", np.add, M, V),
    call("subtract", np.subtract, M, V),
    call("multiply", np.multiply, M, V),
    call("divide", np.divide, M, P),
    call("negative", np.negative, V),
    call("positive", np.positive, V),
    call("power", np.power, P, W),
    call("power", lambda x: np.power(x, 3), V),
    call("float_power", np.float_power, P, W),
    call("square", np.square, V),
    call("sqrt", np.sqrt, P),
    call("reciprocal", np.reciprocal, P),
    call("matmul", np.matmul, M, np.transpose(N)),
    call("exp", np.exp, V),
    call("log", np.log, P),
    call("log1p", np.log1p, P),
    call("tanh", np.tanh, V),
    call("deg2rad", np.deg2rad, V),
    call("radians", np.radians, V),
    call("rad2deg", np.rad2deg, V),
    call("degrees", np.degrees, V),
    call("absolute", np.absolute, V),
    call("fabs", np.fabs, V),
    call("sign", np.sign, V),
    call("maximum", np.maximum, V, W),
    call("minimum", np.minimum, V, W),
    call("floor", np.floor, V),
    call("ceil", np.ceil, V),
    call("trunc", np.trunc, V),
    call("rint", np.rint, V),
    call("floor_divide", np.floor_divide, V, P),
    call("remainder", np.remainder, V, [1.9, 0.6, -0.7]),
    call("fmod", np.fmod, V, [1.9, 0.6, -0.7]),
    call("divmod", np.divmod, V, P),
    call("conjugate", np.conjugate, V),
    call("exp2", np.exp2, V),
    call("expm1", np.expm1, V),
    call("log2", np.log2, P),
    call("log10", np.log10, P),
    call("cbrt", np.cbrt, V),
    call("logaddexp", np.logaddexp, V, W),
    call("logaddexp2", np.logaddexp2, V, W),
    call("sin", np.sin, V),
    call("cos", np.cos, V),
    call("tan", np.tan, V),
    call("arcsin", np.arcsin, [0.3, -0.8]),
    call("arccos", np.arccos, [0.3, -0.8]),
    call("arctan", np.arctan, V),
    call("arctan2", np.arctan2, V, W),
    call("hypot", np.hypot, V, W),
    call("sinh", np.sinh, V),
    call("cosh", np.cosh, V),
    call("arcsinh", np.arcsinh, V),
    call("arccosh", np.arccosh, [1.4, 2.5]),
    call("arctanh", np.arctanh, [0.3, -0.8]),
    call("fmax", np.fmax, V, W),
    call("fmin", np.fmin, V, W),
    call("copysign", np.copysign, V, W),
    call("heaviside", lambda x: np.heaviside(x, 0.5), V),
    call("modf", np.modf, V),
    call("frexp", lambda x: np.frexp(x)[0], V),
    call("ldexp", lambda x: np.ldexp(x, np.array([1, -2, 3])), V),
    call("vecdot", np.vecdot, M, N),
    call("matvec", np.matvec, M, V),
    call("vecmat", np.vecmat, [0.5, -1.5], M),
]

# Steps of the last digit: no differences can be taken.
TINY = [call("nextafter", np.nextafter, V, W)]

METHODS = [
    call("add", lambda x: np.add.reduce(x), M),
    call("add", lambda x: np.add.reduce(x, axis=1, keepdims=True), M),
    call("multiply", lambda x: np.multiply.reduce(x, 1), M),
    call("maximum", lambda x: np.maximum.reduce(x, axis=None), M),
    call("minimum", lambda x: np.minimum.reduce(x), M),
    call("logaddexp", lambda x: np.logaddexp.reduce(x, axis=1), M),
    call("add", lambda x: np.add.accumulate(x, axis=1), M),
    call("multiply", lambda x: np.multiply.accumulate(x), M),
    call("maximum", lambda x: np.maximum.accumulate(x, axis=1), M),
    call("minimum", lambda x: np.minimum.accumulate(x), M),
    call("multiply", lambda x, y: np.multiply.outer(x, y), M, V),
    call("subtract", lambda x, y: np.subtract.outer(x, y), V, W),
    call("exp", lambda x: np.exp(x, dtype=np.float64), V),
]

REDUCTIONS = [
    call("sum", lambda x: np.sum(x), M),
    call("sum", lambda x: np.sum(x, axis=1, where=MASK, initial=2.5), M),
    call("sum", lambda x: np.sum(x, 0, keepdims=True), M),
    call("prod", lambda x: np.prod(x, axis=1), M),
    call("prod", lambda x: np.prod(x, where=MASK, initial=3.0), M),
    call("mean", lambda x: np.mean(x, axis=(0, 1)), M),
    call("mean", lambda x: np.mean(x, axis=0, where=MASK, keepdims=True), M),
    call("var", lambda x: np.var(x, axis=0), M),
    call("var", lambda x: np.var(x, ddof=1, where=MASK), M),
    call("std", lambda x: np.std(x, axis=1, keepdims=True), M),
    call("std", lambda x: np.std(x, correction=1), M),
    call("std", lambda x: np.std(x, where=MASK), M),
    call("max", lambda x: np.max(x, axis=1), M),
    call("max", lambda x: np.max(x, initial=-5.0, where=MASK), M),
    call("amax", lambda x: np.amax(x), M),
    call("min", lambda x: np.min(x, axis=0, keepdims=True), M),
    call("min", lambda x: np.min(x, initial=9.0, where=MASK), M),
    call("amin", lambda x: np.amin(x, axis=(0, 1)), M),
    call("ptp", lambda x: np.ptp(x, axis=1), M),
    call("average", lambda x: np.average(x), M),
    call("average", lambda x, w: np.average(x, axis=1, weights=w), M, P),
    call("average", lambda x, w: np.average(x, weights=w, returned=True), M, np.abs(N)),
    call("average", lambda x: np.average(x, axis=0, returned=True), M),
    call("nansum", lambda x: np.nansum(_with_nan(x), axis=1), M),
    call("nanprod", lambda x: np.nanprod(_with_nan(x), axis=1), M),
    call("nanmean", lambda x: np.nanmean(_with_nan(x), axis=1), M),
    call("nanvar", lambda x: np.nanvar(_with_nan(x), axis=1), M),
    call("nanstd", lambda x: np.nanstd(_with_nan(x), ddof=1), M),
    call("nanmax", lambda x: np.nanmax(_with_nan(x), axis=1), M),
    call("nanmin", lambda x: np.nanmin(_with_nan(x), axis=0), M),
]


def _with_nan(x: Any) -> Any:
    return np.where(np.array([[False, False, True], [False, False, False]]), np.nan, x)


SHAPES = [
    call("reshape", lambda x: np.reshape(x, (3, -1)), M),
    call("reshape", lambda x: np.reshape(x, (3, 2), order="F"), M),
    call("ravel", lambda x: np.ravel(x), M),
    call("ravel", lambda x: np.ravel(x, order="F"), M),
    call("squeeze", lambda x: np.squeeze(x, axis=1), [[V]]),
    call("squeeze", lambda x: np.squeeze(x), [[V]]),
    call("expand_dims", lambda x: np.expand_dims(x, axis=(0, 2)), V),
    call("atleast_1d", lambda x: np.atleast_1d(x), 3.0),
    call("atleast_1d", lambda x, y: np.atleast_1d(x, y), 3.0, M),
    call("atleast_2d", lambda x: np.atleast_2d(x), V),
    call("atleast_3d", lambda x: np.atleast_3d(x), V),
    call("atleast_3d", lambda x: np.atleast_3d(x), M),
    call("atleast_3d", lambda x: np.atleast_3d(x), 1.5),
    call("transpose", lambda x: np.transpose(x), T3),
    call("transpose", lambda x: np.transpose(x, (1, 0, 2)), T3),
    call("permute_dims", lambda x: np.permute_dims(x, (2, 0, 1)), T3),
    call("swapaxes", lambda x: np.swapaxes(x, 0, 2), T3),
    call("moveaxis", lambda x: np.moveaxis(x, 0, -1), T3),
    call("moveaxis", lambda x: np.moveaxis(x, [0, 1], [-1, -2]), T3),
    call("rollaxis", lambda x: np.rollaxis(x, 2), T3),
    call("rollaxis", lambda x: np.rollaxis(x, 0, 3), T3),
    call("matrix_transpose", lambda x: np.matrix_transpose(x), T3),
    call("linalg.matrix_transpose", lambda x: np.linalg.matrix_transpose(x), T3),
    call("concatenate", lambda x, y: np.concatenate((x, y), axis=0), M, N),
    call("concatenate", lambda x, y: np.concatenate((x, y), axis=None), M, V),
    call("concat", lambda x, y: np.concat([x, y, np.ones((2, 1))], axis=1), M, N),
    call("stack", lambda x, y: np.stack((x, y), axis=-1), V, W),
    call("hstack", lambda x, y: np.hstack((x, y)), V, W),
    call("hstack", lambda x, y: np.hstack((x, y)), M, N),
    call("vstack", lambda x, y: np.vstack((x, y)), V, W),
    call("dstack", lambda x, y: np.dstack((x, y)), V, W),
    call("column_stack", lambda x, y: np.column_stack((x, y)), V, W),
    call("append", lambda x, y: np.append(x, y, axis=0), M, N),
    call("append", lambda x: np.append(x, [[7.0, 8.0]]), M),
    call("block", lambda x, y: np.block([[x, np.zeros((2, 2))], [np.ones((2, 3)), y]]), M, S),
    call("block", lambda x, y: np.block([x, y, 10]), V, W),
    call("array_split", lambda x: np.array_split(x, 3), np.arange(8.0)),
    call("array_split", lambda x: np.array_split(x, [1, 3], axis=2), T3),
    call("split", lambda x: np.split(x, 3), np.arange(9.0)),
    call("split", lambda x: np.split(x, [3, 5, 6, 10]), np.arange(8.0)),
    call("hsplit", lambda x: np.hsplit(x, 2), np.arange(16.0).reshape(4, 4)),
    call("vsplit", lambda x: np.vsplit(x, np.array([3, 6])), np.arange(16.0).reshape(4, 4)),
    call("dsplit", lambda x: np.dsplit(x, 2), T3),
    call("unstack", lambda x: np.unstack(x, axis=1), M),
    call("delete", lambda x: np.delete(x, 1, 0), M),
    call("delete", lambda x: np.delete(x, np.s_[::2], 1), M),
    call("delete", lambda x: np.delete(x, [1, 3], None), M),
    call("insert", lambda x: np.insert(x, 1, 6.0, axis=1), M),
    call("insert", lambda x, y: np.insert(x, 1, y, axis=1), M, [5.0, 6.0]),
    call("insert", lambda x, y: np.insert(x, [1, 2], y), V, [5.0, 6.0]),
    call("broadcast_to", lambda x: np.broadcast_to(x, (3, 3)), V),
    call("broadcast_arrays", lambda x, y: np.broadcast_arrays(x, y), [[1.0, 2.0]], [[4.0], [5.0]]),
    call("meshgrid", lambda x, y: np.meshgrid(x, y), V, [0.0, 1.0]),
    call("meshgrid", lambda x, y: np.meshgrid(x, y, indexing="ij", sparse=True), V, [0.0, 1.0]),
    call("tile", lambda x: np.tile(x, (2, 2)), V),
    call("tile", lambda x: np.tile(x, 2), M),
    call("copy", lambda x: np.copy(x), M),
    call("astype", lambda x: np.astype(x, np.float64), M),
    call("full_like", lambda x: np.full_like(x, x[0]), V),
    call("resize", lambda x: np.resize(x, (2, 3)), S),
    call("trim_zeros", lambda x: np.trim_zeros(x * [0.0, 1.0, 0.0]), V),
]

SELECTIONS = [
    call("where", lambda x, y: np.where(MASK, x, y), M, N),
    call("where", lambda x: np.where(x < 1, x, 10 * x), V),
    call("clip", lambda x: np.clip(x, -1, 1), V),
    call("clip", lambda x, y: np.clip(x, None, y), V, P),
    call("clip", lambda x: np.clip(x, min=0.5), V),
    call("round", lambda x: np.round(x, 1), [0.37, 1.64]),
    call("around", lambda x: np.around(x, decimals=-1), [1.0, 2.0, 13.0, 11.0]),
    call("fix", lambda x: np.fix(x), [2.1, 2.9, -2.1, -2.9]),
    call("take", lambda x: np.take(x, [0, 1, 4]), [4.0, 3.0, 5.0, 7.0, 6.0, 8.0]),
    call("take", lambda x: np.take(x, [[0, 1], [2, 2]], axis=1), M),
    call("take", lambda x: np.take(x, [-7, 9], mode="wrap"), V),
    call("take", lambda x: np.take(x, [-7, 9], mode="clip"), V),
    call("compress", lambda x: np.compress([False, True, True], x, axis=1), M),
    call("compress", lambda x: np.compress([0, 1], x), M),
    call("extract", lambda x: np.extract(MASK, x), M),
    call("select", lambda x: np.select([x < 0, x > 2], [x, x**2], 42.0), V),
    call("choose", lambda x, y: np.choose([0, 1, 0], [x, y]), V, W),
    call("choose", lambda x: np.choose([[2, 0, 1]], [x, 2 * x, 9.0], mode="wrap"), V),
    call("piecewise", lambda x: np.piecewise(x, [x < 0, x >= 0], [-1, 1]), V),
    call("piecewise", lambda x: np.piecewise(x, [x < 0, x > 2], [lambda v: v**2, np.exp, 3.0]), V),
    call("take_along_axis", lambda x: np.take_along_axis(x, np.argsort(x, axis=1), axis=1), M),
    call("take_along_axis", lambda x: np.take_along_axis(x, np.array([1, 4]), axis=None), M),
    call("unique", lambda x: np.unique(np.take(x, [0, 2, 0, 1])), V),
    call("unique", lambda x: np.unique(x, axis=0, return_index=True)[0], M),
    call("unique_values", lambda x: np.unique_values(x), V),
    call("apply_along_axis", lambda x: np.apply_along_axis(np.sum, 0, x), M),
    call("apply_along_axis", lambda x: np.apply_along_axis(lambda v: v * v[0], 1, x), M),
    call("apply_over_axes", lambda x: np.apply_over_axes(np.sum, x, [0, 2]), T3),
]

CURVES = [
    call("nan_to_num", lambda x: np.nan_to_num(_with_nan(x), nan=7.0), M),
    call("trapezoid", lambda x: np.trapezoid(x), V),
    call("trapezoid", lambda x, t: np.trapezoid(x, t), V, [4.0, 6.0, 8.0]),
    call("trapezoid", lambda x: np.trapezoid(x, dx=2.0, axis=0), M),
    call("gradient", lambda x: np.gradient(x), [1.0, 2.0, 4.0, 7.0, 11.0, 16.0]),
    call("gradient", lambda x: np.gradient(x, 2.0, edge_order=2), [1.0, 2.0, 4.0, 7.0, 11.0]),
    call(
        "gradient", lambda x: np.gradient(x, [0.0, 1.0, 1.5, 3.5, 4.0]), [1.0, 2.0, 4.0, 7.0, 1.0]
    ),
    call("gradient", lambda x: np.gradient(x), [[1.0, 2.0, 6.0], [3.0, 4.0, 5.0]]),
    call("gradient", lambda x: np.gradient(x, axis=1, edge_order=2), M),
    call(
        "interp",
        lambda x, f: np.interp(x, [1.0, 2.0, 3.0], f),
        [0.3, 1.2, 2.72, 3.14],
        [3.0, 2.0, 0.0],
    ),
    call(
        "interp",
        lambda x: np.interp(x, [190.0, 350.0, 5.0], [5.0, 10.0, 3.0], period=360),
        [-180.0, 10.0],
    ),
    call("convolve", lambda x, y: np.convolve(x, y), V, [0.0, 1.0, 0.5]),
    call("convolve", lambda x, y: np.convolve(x, y, "same"), V, [0.5, 1.0]),
    call("convolve", lambda x, y: np.convolve(x, y, "same"), [0.5, 1.0], [1.0, 2.0, 3.0, 4.0]),
    call("convolve", lambda x, y: np.convolve(x, y, "valid"), V, [0.5, 1.0]),
    call("correlate", lambda x, y: np.correlate(x, y), V, [0.0, 1.0, 0.5]),
    call("correlate", lambda x, y: np.correlate(x, y, "full"), V, [0.5, 1.0]),
    call("correlate", lambda x, y: np.correlate(x, y, "full"), [0.5, 1.0], V),
    call("correlate", lambda x, y: np.correlate(x, y, "same"), [0.5, 1.0], V),
    call("correlate", lambda x, y: np.correlate(x, y, "same"), V, [0.5, 1.0]),
    call("cov", lambda x: np.cov(x), M),
    call("cov", lambda x, y: np.cov(x, y, bias=True), V, W),
    call("cov", lambda x: np.cov(x, rowvar=False, ddof=0), M),
    call("cov", lambda x: np.cov(x), V),
    call("corrcoef", lambda x: np.corrcoef(x), M),
    call("corrcoef", lambda x, y: np.corrcoef(x, y), V, W),
    call("polyval", lambda p, x: np.polyval(p, x), [3.0, 0.0, 1.0], [5.0, 0.3]),
    call("polyadd", lambda p, q: np.polyadd(p, q), [1.0, 2.0], [9.0, 5.0, 4.0]),
    call("polysub", lambda p, q: np.polysub(p, q), [2.0, 10.0, -2.0], [3.0, 10.0]),
    call("polymul", lambda p, q: np.polymul(p, q), [1.0, 2.0, 3.0], [9.0, 5.0, 1.0]),
    call("polyder", lambda p: np.polyder(p, 2), [1.0, 1.0, 1.0, 1.0]),
    call("polyint", lambda p: np.polyint(p, 2), [1.0, 1.0, 1.0]),
    call("sinc", lambda x: np.sinc(x), V),
    call("vander", lambda x: np.vander(x, 3), [1.0, 2.0, 3.0, 5.0]),
    call("vander", lambda x: np.vander(x, increasing=True), V),
    call(
        "ediff1d",
        lambda x: np.ediff1d(x, to_begin=-99.0, to_end=[88.0, 99.0]),
        [1.0, 2.0, 4.0, 7.0],
    ),
    call("unwrap", lambda x: np.unwrap(x), [0.0, 0.78, 5.49, 6.28]),
    call("linspace", lambda a, b: np.linspace(a, b, num=5), 2.0, 3.0),
    call(
        "linspace", lambda a, b: np.linspace(a, b, 4, endpoint=False, retstep=True), [2.0, 1.0], 3.0
    ),
    call("logspace", lambda a, b: np.logspace(a, b, num=4), 2.0, 3.0),
    call("geomspace", lambda a, b: np.geomspace(a, b, num=4), 1.0, 1000.0),
    call(
        "bincount",
        lambda w: np.bincount([0, 1, 1, 2, 2, 2], weights=w),
        [0.3, 0.5, 0.2, 0.7, 1.0, -0.6],
    ),
    call(
        "histogram",
        lambda w: np.histogram([1, 2, 1, 3], bins=3, weights=w)[0],
        [0.3, 0.5, 0.2, 0.7],
    ),
    call("histogram", lambda w: np.histogram([1, 2, 1], [0, 1, 2], weights=w, density=True)[0], V),
    call("real", lambda x: np.real(x), V),
    call("real_if_close", lambda x: np.real_if_close(x), V),
    call("imag", lambda x: np.imag(x), V),
    call("angle", lambda x: np.angle(x), V),
]

REARRANGING = [
    call("flip", lambda x: np.flip(x), T3),
    call("flip", lambda x: np.flip(x, (0, 2)), T3),
    call("fliplr", lambda x: np.fliplr(x), M),
    call("flipud", lambda x: np.flipud(x), M),
    call("roll", lambda x: np.roll(x, 2), M),
    call("roll", lambda x: np.roll(x, (1, -1), axis=(1, 0)), M),
    call("roll", lambda x: np.roll(x, 1, axis=(1, 0)), M),
    call("rot90", lambda x: np.rot90(x), M),
    call("rot90", lambda x: np.rot90(x, 2, (1, 2)), T3),
    call("fft.fftshift", lambda x: np.fft.fftshift(x), [0.0, 1.0, 2.0, -2.0, -1.0]),
    call("fft.ifftshift", lambda x: np.fft.ifftshift(x, axes=1), M),
    call(
        "lib.stride_tricks.sliding_window_view",
        lambda x: np.lib.stride_tricks.sliding_window_view(x, (2, 2)),
        M,
    ),
    call("repeat", lambda x: np.repeat(x, 2), M),
    call("repeat", lambda x: np.repeat(x, [1, 2], axis=0), M),
    call("repeat", lambda x: np.repeat(x, 3, axis=1), M),
    call("tril", lambda x: np.tril(x, -1), np.ones((4, 3))),
    call("triu", lambda x: np.triu(x), T3),
    call("diag", lambda x: np.diag(x), M),
    call("diag", lambda x: np.diag(x, k=1), V),
    call("diagflat", lambda x: np.diagflat(x, 1), S),
    call("diagonal", lambda x: np.diagonal(x, 0, 0, 1), T3),
    call("trace", lambda x: np.trace(x), T3),
    call("linalg.diagonal", lambda x: np.linalg.diagonal(x), T3),
    call("linalg.trace", lambda x: np.linalg.trace(x, offset=1), T3),
    call("pad", lambda x: np.pad(x, (2, 3), "constant", constant_values=(4, 6)), V),
    call("pad", lambda x: np.pad(x, ((1, 0), (0, 2))), M),
    call("pad", lambda x: np.pad(x, 2, "edge"), M),
    call("pad", lambda x: np.pad(x, (2, 3), "reflect"), [1.0, 2.0, 3.0, 4.0, 5.0]),
    call("pad", lambda x: np.pad(x, (2, 3), mode="symmetric"), V),
    call("pad", lambda x: np.pad(x, 1, mode="wrap"), M),
]

ORDERING = [
    call("cumsum", lambda x: np.cumsum(x), M),
    call("cumsum", lambda x: np.cumsum(x, axis=0), M),
    call("cumprod", lambda x: np.cumprod(x, axis=1), M),
    call("cumulative_sum", lambda x: np.cumulative_sum(x, axis=1, include_initial=True), M),
    call("cumulative_prod", lambda x: np.cumulative_prod(x), V),
    call("nancumsum", lambda x: np.nancumsum(_with_nan(x), axis=1), M),
    call("nancumprod", lambda x: np.nancumprod(_with_nan(x), axis=1), M),
    call("diff", lambda x: np.diff(x, n=2), [1.0, 2.0, 4.0, 7.0, 0.0]),
    call("diff", lambda x: np.diff(x, axis=0), M),
    call("diff", lambda x: np.diff(x, prepend=0.0, append=[[9.0], [8.0]]), M),
    call("sort", lambda x: np.sort(x), M),
    call("sort", lambda x: np.sort(x, axis=None), M),
    call("sort", lambda x: np.sort(x, axis=0), M),
    call("partition", lambda x: np.partition(x, 3), [7.0, 1.0, 7.7, 2.0, 6.0, 2.5, 3.0, 0.0]),
    call("median", lambda x: np.median(x), M),
    call("median", lambda x: np.median(x, axis=0, keepdims=True), M),
    call("quantile", lambda x: np.quantile(x, 0.3), M),
    call("quantile", lambda x: np.quantile(x, [0.1, 0.6], axis=1), M),
    call("quantile", lambda x: np.quantile(x, 0.5, axis=(0, 2), keepdims=True), T3),
    call("quantile", lambda x: np.quantile(x, 0.3, method="nearest"), M),
    call("quantile", lambda x: np.quantile(x, [[0.2], [0.7]], method="median_unbiased"), M),
    call("percentile", lambda x: np.percentile(x, 50, axis=1), [[10.0, 7.0, 4.0], [3.0, 2.0, 1.0]]),
]

LINEAR = [
    call("dot", lambda x, y: np.dot(x, y), V, W),
    call("dot", lambda x, y: np.dot(x, y), M, np.transpose(N)),
    call("dot", lambda x, y: np.dot(x, y), M, T3.reshape(2, 3, 4)),
    call("dot", lambda x: np.dot(x, 3.0), M),
    call("vdot", lambda x, y: np.vdot(x, y), M, N),
    call("inner", lambda x, y: np.inner(x, y), V, W),
    call("inner", lambda x, y: np.inner(x, y), T3.reshape(2, 4, 3), M),
    call("outer", lambda x, y: np.outer(x, y), V, W),
    call("linalg.outer", lambda x, y: np.linalg.outer(x, y), V, W),
    call(
        "tensordot",
        lambda x, y: np.tensordot(x, y, axes=([1, 0], [0, 1])),
        T3,
        np.swapaxes(T3, 0, 1),
    ),
    call("tensordot", lambda x, y: np.tensordot(x, y, axes=0), V, S),
    call("linalg.tensordot", lambda x, y: np.linalg.tensordot(x, y, axes=1), M, np.transpose(N)),
    call("linalg.matmul", lambda x, y: np.linalg.matmul(x, y), M, np.transpose(N)),
]

SYMMETRIC = [[2.0, 0.3, -0.1], [0.3, 1.5, 0.4], [-0.1, 0.4, 3.0]]


def _symmetric(x: Any) -> Any:
    return (x + np.matrix_transpose(x)) / 2


MATRICES = [
    call("einsum", lambda x: np.einsum("ii", x), S),
    call("einsum", lambda x: np.einsum("ij->ji", x), M),
    call("einsum", lambda x, y: np.einsum("ij,j", x, y), M, V),
    call("einsum", lambda x, y: np.einsum("...j, ...j -> ...", x, y), M, N),
    call("kron", lambda x, y: np.kron(x, y), [1.0, 10.0, 100.0], [5.0, 6.0, 7.0]),
    call("cross", lambda x, y: np.cross(x, y), [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]),
    call("cross", lambda x, y: np.cross(x, y, axis=0), np.transpose(M), V),
    call("linalg.cross", lambda x, y: np.linalg.cross(x, y), M, N),
    call("linalg.norm", lambda x: np.linalg.norm(x), T3),
    call("linalg.norm", lambda x: np.linalg.norm(x, axis=0), M),
    call("linalg.norm", lambda x: np.linalg.norm(x, 1, axis=1, keepdims=True), M),
    call("linalg.norm", lambda x: np.linalg.norm(x, np.inf), M),
    call("linalg.norm", lambda x: np.linalg.norm(x, 2), S),
    call("linalg.norm", lambda x: np.linalg.norm(x, "nuc"), S),
    call("linalg.norm", lambda x: np.linalg.norm(x, axis=(1, 2)), T3),
    call("linalg.norm", lambda x: np.linalg.norm(x, 3), V),
    call("linalg.norm", lambda x: np.linalg.norm(x, keepdims=True), M),
    call("linalg.vector_norm", lambda x: np.linalg.vector_norm(x, ord=3, axis=1), M),
    call("linalg.matrix_norm", lambda x: np.linalg.matrix_norm(x), T3),
    call("linalg.inv", lambda x: np.linalg.inv(x), S),
    call("linalg.det", lambda x: np.linalg.det(x), S),
    call("linalg.slogdet", lambda x: np.linalg.slogdet(x), S),
    call("linalg.solve", lambda x, y: np.linalg.solve(x, y), [[1.0, 2.0], [3.0, 5.0]], [1.0, 2.0]),
    call("linalg.solve", lambda x, y: np.linalg.solve(x, y), S, M),
    call("linalg.matrix_power", lambda x: np.linalg.matrix_power(x, 3), S),
    call("linalg.cholesky", lambda x: np.linalg.cholesky(_symmetric(x)), SYMMETRIC),
    call("linalg.qr", lambda x: np.linalg.qr(x), np.transpose(M)),
    call("linalg.eigh", lambda x: np.linalg.eigh(_symmetric(x)), SYMMETRIC),
    call("linalg.eigvalsh", lambda x: np.linalg.eigvalsh(_symmetric(x)), SYMMETRIC),
    call("linalg.svd", lambda x: np.linalg.svd(x, full_matrices=False), M),
    call("linalg.svd", lambda x: np.linalg.svd(x, compute_uv=False), M),
    call("linalg.svdvals", lambda x: np.linalg.svdvals(x), M),
    call("linalg.pinv", lambda x: np.linalg.pinv(x), M),
    call("linalg.cond", lambda x: np.linalg.cond(x), S),
    call("linalg.cond", lambda x: np.linalg.cond(x, "fro"), S),
    call("linalg.tensorinv", lambda x: np.linalg.tensorinv(x, ind=1), _HEAVY.reshape(4, 2, 2)),
    call(
        "linalg.tensorsolve", lambda x, y: np.linalg.tensorsolve(x, y), _HEAVY.reshape(2, 2, 4), S
    ),
    call("linalg.multi_dot", lambda x, y, z: np.linalg.multi_dot([x, y, z]), S, M, np.transpose(N)),
    call("linalg.vecdot", lambda x, y: np.linalg.vecdot(x, y, axis=0), M, N),
]


def _written(write: Callable[..., Any]) -> Callable[..., Any]:
    """Return what a function that writes to its first argument leaves there."""

    def function(x: Any, *rest: Any) -> Any:
        copy = np.copy(x)
        write(copy, *rest)
        return copy

    return function


WRITES = [
    call("log", lambda x: np.log(x, where=x > 0, out=np.zeros_like(x)), V),
    call("add", lambda x, y: np.add(x, y, where=MASK, out=np.ones_like(x)), M, V),
    call("copyto", _written(lambda x, y: np.copyto(x, y)), M, V),
    call("copyto", _written(lambda x, y: np.copyto(x, y, where=MASK)), M, V),
    call("put", _written(lambda x, y: np.put(x, [0, 2], y)), M, [-44.0, -55.0]),
    call("put", _written(lambda x, y: np.put(x, 22, y, mode="clip")), M, -5.0),
    call("place", _written(lambda x, y: np.place(x, np.array(MASK), y)), M, [44.0, 55.0]),
    call("putmask", _written(lambda x, y: np.putmask(x, MASK, y)), M, [-33.0, -44.0]),
    call(
        "put_along_axis",
        _written(lambda x, y: np.put_along_axis(x, np.array([[1], [0]]), y, axis=1)),
        M,
        99.0,
    ),
    call("fill_diagonal", _written(lambda x, y: np.fill_diagonal(x, y)), np.ones((3, 3)), 5.0),
]

CALLS = [
    *UFUNCS,
    *METHODS,
    *REDUCTIONS,
    *SHAPES,
    *SELECTIONS,
    *CURVES,
    *REARRANGING,
    *ORDERING,
    *LINEAR,
    *MATRICES,
    *WRITES,
]
