"""Operations and the faults put into them: borders, interpolation, patches, grids."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tests.verify.fault_kinds import (
    border,
    channel,
    corner,
    double,
    element,
    flipped,
    half,
    mutates_cotangent,
    noise,
    permille,
    shifted,
    sign,
    times,
    transposed,
    written,
    zero,
)
from tests.verify.faults import Array, Call, Fault, Site, image
from tinygrad_cnn.kernels.resample.taps import Along
from tinygrad_cnn.kernels.runtime.window import Window
from tinygrad_cnn.ops.resampling import folding
from tinygrad_cnn.ops.resampling.resample import Resample, ResampleInput

_FOUR = image(1, 2, 4, 4)
_PATCHES = Window((2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1))


def _site(name: str, op: Any, function: Any, inputs: Any, *faults: Fault) -> Site:
    return Site("resampling", name, op, function, inputs, faults)


def _border_dropped(_r: Array, call: Call) -> Array:
    """The gradient of what was mirrored is forgotten."""
    return np.asarray(call.g[:, :, 1:-1, 1:-1])


def _nearest_of_bilinear(_r: Array, call: Call) -> Array:
    """Each output's gradient goes to the nearest pixel alone."""
    N, C, H, W = call.g.shape
    return np.asarray(call.g.reshape(N, C, H // 2, 2, W // 2, 2).sum((3, 5)))


def _overwrites(r: Array, call: Call) -> Array:
    """Overlapping patches whose gradients overwrite each other."""
    found, columns = np.zeros(r.shape), call.g.reshape(1, 2, 2, 2, 3, 3)
    for i, j in np.ndindex(3, 3):
        found[:, :, i : i + 2, j : j + 2] = columns[..., i, j]
    return found


SITES = [
    _site(
        *("bilinear", Resample, lambda x: F.interpolate(x, scale_factor=2, mode="bilinear")),
        (_FOUR,),
        written("to the nearest pixel alone", _nearest_of_bilinear),
        *(times(4, "factor"), transposed(), shifted(), element(), border(), permille(), sign()),
    ),
    _site(
        *("nearest", Resample, lambda x: F.interpolate(x, 8), (_FOUR,)),
        *(half(), flipped(), channel(), zero(), noise(), corner(), mutates_cotangent()),
    ),
    _site(
        *("reflected border", Resample, lambda x: F.pad(x, (1, 1, 1, 1), "reflect"), (_FOUR,)),
        written("border dropped", _border_dropped),
        *(double(), transposed(), element()),
    ),
    _site(
        *("adjoint", ResampleInput, ResampleInput((Along("linear", 3, 4), Along("cubic", 4, 4)))),
        (_FOUR,),
        *(sign(), element(), permille()),
    ),
    _site(
        *("unfold", folding.Unfold, lambda x: F.unfold(x, 2), (_FOUR,)),
        written("overwritten, not added", _overwrites, "overlap"),
        *(flipped(), element(), permille()),
    ),
    _site(
        *("fold", folding.Fold, folding.Fold(_PATCHES, (4, 4))),
        (image(1, 8, 9),),
        *(double(), element(), channel()),
    ),
]
