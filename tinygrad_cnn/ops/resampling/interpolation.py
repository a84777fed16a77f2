"""Signals, images and volumes of another size: interpolate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from tinygrad_cnn.kernels.resample.taps import Along
from tinygrad_cnn.ops.arguments import names_operands
from tinygrad_cnn.ops.pool import adaptive
from tinygrad_cnn.ops.resampling.resample import Resample
from tinygrad_cnn.types import Operand, Shape

__all__ = ["interpolate"]

Scale: TypeAlias = float | Sequence[float]
Plan: TypeAlias = tuple[Shape, tuple[float | None, ...]]
"""The new sizes, and the factors from which positions are reckoned where those were given."""

_KINDS = {
    "nearest": ("nearest", (1, 2, 3)),
    "nearest-exact": ("nearest-exact", (1, 2, 3)),
    "linear": ("linear", (1,)),
    "bilinear": ("linear", (2,)),
    "trilinear": ("linear", (3,)),
    "bicubic": ("cubic", (2,)),
    "area": ("area", (1, 2, 3)),
}
"""What each mode does along an axis, and of how many dimensions it is."""


@names_operands
def interpolate(
    input: Operand,
    size: int | Sequence[int] | None = None,
    scale_factor: Scale | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:
    """Resample signals, images or volumes to another size.

    Each output lies at ``(i + ½) / scale − ½`` of the input's axis, or with `align_corners` at
    ``i · (size − 1) / (new size − 1)``, and is a weighted sum of the inputs about that place:

    - nearest: the one at ``⌊i / scale⌋``; nearest-exact: the one that is nearest
    - linear, bilinear, trilinear: two along each axis, by their distance
    - bicubic: four along each axis; Keys (1981) with a = -0.75, with antialias -0.5
    - area: the mean of all that an output covers (`adaptive_avg_pool2d`)

    Parameters
    ----------
    input
        (N, C, L), (N, C, H, W) or (N, C, D, H, W).
    size
        The new sizes: an int, or one for each of L; H, W; or D, H, W.
    scale_factor
        Instead of `size`: a number, or one for each.
    mode
        One of those above.
    align_corners
        Whether the centres of the outermost pixels lie on each other, instead of their edges;
        False if None. Only for the linear and cubic modes.
    recompute_scale_factor
        Whether positions are reckoned from the new sizes, which are whole numbers, instead of from
        `scale_factor`.
    antialias
        Whether an output counts all that it covers where the size is reduced, as Pillow does.
        For bilinear and bicubic.

    Returns
    -------
    (N, C, *sizes).

    Raises
    ------
    ValueError
        If the mode or a setting does not fit the input or another setting, or a size would be 0.

    >>> interpolate(np.array([[[0.0, 4.0]]]), scale_factor=2, mode="linear")
    array([[[0., 1., 3., 4.]]])
    """
    old = tuple(input.shape)[2:]
    kind = _kind_of(mode, len(old), tuple(input.shape), align_corners, antialias)
    sizes, scales = _sizes_of(old, size, scale_factor, recompute_scale_factor)
    if 0 in tuple(input.shape)[1:] or min(sizes) < 1:
        raise ValueError(
            f"interpolate: expects sizes of at least 1, got {sizes} from shape {tuple(input.shape)}"
        )
    if kind == "area":
        return getattr(adaptive, f"adaptive_avg_pool{len(old)}d")(input, sizes)
    axes = [
        Along(kind, before, after, (scale, bool(align_corners), bool(antialias)))
        for before, after, scale in zip(old, sizes, scales, strict=True)
    ]
    return Resample(tuple(axes))(input)


def _kind_of(
    mode: str, dims: int, shape: Shape, align_corners: bool | None, antialias: bool
) -> str:
    """Return what the mode does along an axis, or raise."""
    if mode not in _KINDS:
        raise ValueError(f"interpolate: mode expects one of {', '.join(_KINDS)}, got {mode!r}")
    kind, of_dims = _KINDS[mode]
    if dims not in of_dims:
        shapes = " or ".join(f"(N, C, {('L', 'H, W', 'D, H, W')[d - 1]})" for d in of_dims)
        fitting = [m for m, (_, ds) in _KINDS.items() if dims in ds]
        hint = f"; for it there are {', '.join(fitting)}" if fitting else ""
        raise ValueError(f"interpolate: mode {mode!r} expects {shapes}, got shape {shape}{hint}")
    if align_corners is not None and kind not in ("linear", "cubic"):
        raise ValueError(
            f"interpolate: align_corners is for linear, bilinear, trilinear and bicubic, "
            f"got mode {mode!r}"
        )
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError(f"interpolate: antialias is for bilinear and bicubic, got mode {mode!r}")
    return kind


def _sizes_of(
    old: Shape,
    size: int | Sequence[int] | None,
    scale_factor: Scale | None,
    recompute_scale_factor: bool | None,
) -> Plan:
    """Return the new sizes, and what positions are reckoned from."""
    if (size is None) == (scale_factor is None):
        raise ValueError(
            f"interpolate: expects either size or scale_factor, got size={size} and "
            f"scale_factor={scale_factor}"
        )
    none = (None,) * len(old)
    if scale_factor is None:
        if recompute_scale_factor:
            raise ValueError("interpolate: recompute_scale_factor is for scale_factor, got a size")
        return tuple(int(s) for s in _each("size", size, len(old), (int, np.integer))), none
    scales = tuple(float(s) for s in _each("scale_factor", scale_factor, len(old), (int, float)))
    if not all(0 < s < math.inf for s in scales):
        raise ValueError(f"interpolate: scale_factor expects positive numbers, got {scale_factor}")
    sizes = tuple(math.floor(n * s) for n, s in zip(old, scales, strict=True))
    return sizes, none if recompute_scale_factor else scales


def _each(argument: str, value: Any, dims: int, kinds: tuple[type, ...]) -> tuple[Any, ...]:
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * dims
    if len(values) != dims or not all(isinstance(v, (*kinds, np.number)) for v in values):
        raise ValueError(
            f"interpolate: {argument} expects a number, or one for each of {dims} dimensions, "
            f"got {value!r}"
        )
    return values
