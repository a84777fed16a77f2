"""Ties: a gradient that is handed to every one of several equal maxima."""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.verify.numeric.probe import Prober
from tinygrad_cnn.verify.numeric.slopes import dot
from tinygrad_cnn.verify.report import Hint

_LOOKED_AT = 24


def tie_hint(prober: Prober) -> list[Hint]:
    """Say so if equal inputs each get the gradient of one of them.

    A result whose gradient goes to k elements of one value must, with all of these moved
    together, change by the sum of their shares; if it changes by a k-th of that sum, the gradient
    was counted k times.
    """
    if not prober.misses:
        return []
    x = prober.base
    g = max(prober.misses, key=lambda m: abs(m.analytic - m.numeric)).g
    candidates = np.flatnonzero(g.reshape(-1))
    if len(candidates) > _LOOKED_AT:
        candidates = candidates[np.linspace(0, len(candidates) - 1, _LOOKED_AT).astype(int)]
    wrong = explained = most = 0
    for flat in candidates:
        one = np.zeros(g.shape)
        one.reshape(-1)[flat] = 1.0
        share = prober.point.gradient(one)[prober.index]
        receivers = share != 0
        count = int(np.count_nonzero(receivers))
        if not count:
            continue
        direction = np.where(receivers, 1.0, 0.0)
        slopes = prober.measure(direction, prober.h)
        if slopes.rough.reshape(-1)[flat]:
            continue
        numeric, analytic = float(slopes.value.reshape(-1)[flat]), dot(share, direction)
        if abs(analytic - numeric) < 1e-6 * (abs(analytic) + abs(numeric)):
            continue
        wrong += 1
        equal = count > 1 and np.ptp(x[receivers]) <= 1e-9 * (np.max(np.abs(x)) or 1.0)
        if equal and abs(analytic - count * numeric) < 1e-6 * abs(analytic):
            explained += 1
            most = max(most, count)
    if wrong and wrong == explained:
        return [
            Hint(
                "ties",
                f"ties are counted more than once: each of up to {most} equal elements gets the "
                "whole gradient",
            )
        ]
    return []
