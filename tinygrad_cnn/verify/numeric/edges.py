"""Where a gradient is infinite and may be: vertical functions, and the edges of domains."""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.numeric.probe import Prober

_MOST = 8  # elements looked at
_FINER = 1024.0  # a step to the next finer one
_STEEPER = 2.0  # x^0.9 grows by so much; a finite slope stays


def why_infinite(prober: Prober) -> str | None:
    """Return "vertical" or "edge" where that explains all elements that are not finite, or None.

    The slope of √x at 0 is infinite, and so may the gradient be, with its sign. Of x·√x it is 0,
    but only to one side: there a rule that goes through √x cannot do better than NaN.
    """
    gradient = prober.point.analytic[0][prober.index].reshape(-1)
    bad = np.flatnonzero(~np.isfinite(gradient))[:_MOST]
    kinds = {_kind_of(prober, int(place), float(gradient[place])) for place in bad}
    if None in kinds:
        return None
    return "edge" if "edge" in kinds else "vertical"


def _kind_of(prober: Prober, place: int, gradient: float) -> str | None:
    direction = np.zeros(prober.base.shape)
    direction.reshape(-1)[place] = 1.0
    if any(_is_vertical(prober, sign * direction, sign * gradient) for sign in (1.0, -1.0)):
        return "vertical"
    line = prober.line(direction)
    forth, back = (np.isfinite(line(t)) & prober.finite for t in (prober.h, -prober.h))
    return "edge" if (forth ^ back).any() else None


def _is_vertical(prober: Prober, direction: Array, gradient: float) -> bool:
    """Whether the slope along a direction grows without end, as the gradient says."""
    g = prober.point.cotangents[0]
    line = prober.line(direction)
    wide, narrow = (
        float(np.sum(g * np.where(prober.finite, line(h) - prober.point.out, 0.0))) / h
        for h in (prober.h, prober.h / _FINER)
    )
    return bool(
        np.isinf(gradient)
        and np.isfinite(narrow)
        and abs(narrow) > _STEEPER * abs(wide)
        and np.sign(narrow) == np.sign(gradient)
    )
