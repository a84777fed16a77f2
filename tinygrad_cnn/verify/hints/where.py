"""Where elements lie, in words."""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.numeric.elements import border_and_corner


def describe(shape: tuple[int, ...], x: Array, looked: Array, wrong: Array) -> str:
    """Say where the wrong ones among the elements looked at lie.

    >>> x = np.ones((4, 4))
    >>> border = border_and_corner((4, 4))[0].reshape(-1)
    >>> describe((4, 4), x, np.arange(16), border)
    'only the border'
    """
    if wrong.all():
        return "every element"
    if np.count_nonzero(wrong) == 1:
        return "one element"
    places = np.stack(np.unravel_index(looked, shape), axis=1)
    if len(shape) >= 2:
        border, corner = (m.reshape(-1)[looked] for m in border_and_corner(shape))
        if np.array_equal(wrong, corner):
            return "only the corners"
        if np.array_equal(wrong, border):
            return "only the border"
        if np.array_equal(wrong, ~border):
            return "everywhere but on the border"
    same = np.ones(len(looked), bool)
    names = []
    for axis, size in enumerate(shape):
        values = np.unique(places[wrong, axis])
        if size > 1 and len(values) == 1:
            same &= places[:, axis] == values[0]
            names.append(f"{_axis_name(shape, axis)} {values[0]}")
    if names:
        return f"{'only' if wrong[same].all() else 'only in'} {', '.join(names)}"
    for axis in range(len(shape)):
        for among, word in ((wrong, "only"), (~wrong, "everywhere but in")):
            values = np.unique(places[among, axis])
            low, high = values[0], values[-1]
            inside = (places[:, axis] >= low) & (places[:, axis] <= high)
            if np.array_equal(inside, among) and len(values) == high - low + 1:
                until = f" to {high}" if high > low else ""
                return f"{word} {_axis_name(shape, axis)} {low}{until}"
    return _by_value(x.reshape(-1)[looked], wrong)


def _by_value(values: Array, wrong: Array) -> str:
    for text, mask in (
        ("only where the input is 0", values == 0),
        ("only where the input is not 0", values != 0),
        ("only where the input is positive", values > 0),
        ("only where the input is negative", values < 0),
    ):
        if mask.any() and np.array_equal(mask, wrong):
            return text
    for text, mask in (
        ("only at elements that are 0", values == 0),
        ("only at positive elements", values > 0),
        ("only at negative elements", values < 0),
    ):
        if not wrong[~mask].any() and not mask.all():
            return text
    return "scattered"


def _axis_name(shape: tuple[int, ...], axis: int) -> str:
    names = {4: ("image", "channel", "row", "column"), 2: ("row", "column"), 1: ("index",)}
    return names[len(shape)][axis] if len(shape) in names else f"index of axis {axis}:"
