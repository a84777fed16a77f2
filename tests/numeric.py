"""Numeric differentiation, independent of the package: the oracle of every gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Scalar = Callable[..., Any]

STEP = 1e-3  # truncation is of the order of STEP⁴, rounding of 1e-16 / STEP


def slope(f: Callable[[float], Any]) -> float:
    """Derivative of a function of a number at 0: central differences, extrapolated once."""
    coarse = (float(f(STEP)) - float(f(-STEP))) / (2 * STEP)
    fine = (float(f(STEP / 2)) - float(f(-STEP / 2))) / STEP
    return (4 * fine - coarse) / 3


def gradient(f: Scalar, arrays: Sequence[Array], index: int) -> Array:
    """Gradient of a function of arrays by the one at `index`, element by element."""
    result = np.zeros(arrays[index].shape)
    for where in np.ndindex(result.shape):

        def moved(t: float, where: tuple[int, ...] = where) -> Any:
            changed = [np.array(a) for a in arrays]
            changed[index][where] += t
            return f(*changed)

        result[where] = slope(moved)
    return result


def along(f: Scalar, arrays: Sequence[Array], directions: Sequence[Array | None]) -> float:
    """Derivative of a function of arrays along a direction; None keeps an array as it is."""

    def moved(t: float) -> Any:
        return f(
            *[
                a if d is None else np.asarray(a + t * d)
                for a, d in zip(arrays, directions, strict=True)
            ]
        )

    return slope(moved)
