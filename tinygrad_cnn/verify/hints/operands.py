"""Hints at operands: the rule is right, but for another array than the one it should read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.hints.evidence import Evidence
from tinygrad_cnn.verify.numeric.slopes import dot, norm, slopes_along
from tinygrad_cnn.verify.report import Hint
from tinygrad_cnn.verify.subjects.subject import RuleError

_FEW = 8  # indices of an axis, as of groups
_LARGEST = 200_000  # elements: each candidate is measured


def operand_hints(evidence: Evidence) -> list[Hint]:
    """Say so if the gradient is the right one of the same function at other inputs."""
    if sum(np.size(a) for a in evidence.point.inputs) > _LARGEST:
        return []
    for position, array, text in _candidates(evidence):
        inputs = evidence.point.copies()
        inputs[position] = array
        if _explains(evidence, inputs):
            return [Hint("operand", f"it is the gradient for another operand: {text}")]
    return []


def exchanged_hints(evidence: Evidence) -> list[Hint]:
    """Say so if it is the right gradient of another input of the same shape."""
    point = evidence.point
    for other in point.subject.wanted:
        if other == evidence.index or point.inputs[other].shape != evidence.x.shape:
            continue
        right = evidence.right_of(other)
        if right is not None and evidence.is_given(right):
            names = point.subject.names
            text = f"it is the gradient of {names[other]}: are two gradients exchanged?"
            return [Hint("operand", text)]
    return []


def _explains(evidence: Evidence, inputs: list[Any]) -> bool:
    point, index = evidence.point, evidence.index
    try:
        at_zero = point.forward(inputs)
    except RuleError:
        return False
    if at_zero.shape != point.out.shape:
        return False
    for d in evidence.d:

        def line(t: float, d: Array = d) -> Array:
            moved = list(inputs)
            moved[index] = np.asarray(inputs[index] + t * d)
            return point.forward(moved)

        try:
            slopes = slopes_along(line, at_zero, evidence.smooth_step)
        except RuleError:
            return False
        if not np.isfinite(slopes.value).all():
            return False
        for g, a in zip(evidence.g, evidence.a, strict=True):
            expected, size = dot(g, slopes.value), norm(g * slopes.value)
            if not evidence.agree(a, d, expected, size):
                return False
    return any(a.any() for a in evidence.a)


def _candidates(evidence: Evidence) -> Iterator[tuple[int, Array, str]]:
    """Iterate over inputs replaced by something else, in the order of likelihood."""
    names, inputs, own = evidence.point.subject.names, evidence.point.inputs, evidence.index
    arrays = {
        i: a for i, a in enumerate(inputs) if isinstance(a, np.ndarray) and a.dtype.kind in "fiub"
    }
    for position, array in arrays.items():
        name = names[position]
        if array.dtype.kind != "f":
            continue
        for text, changed in _layouts(array):
            if not np.array_equal(changed, array):
                yield position, changed, f"{name} {text}"
        for axis, count in enumerate(array.shape):
            if position != own and 1 < count <= _FEW:
                for place in (0, count - 1):
                    one = np.repeat(array.take([place], axis), count, axis)
                    where = f"index {place} of axis {axis} of {name} in place of each"
                    yield position, one, where
        for other, values in arrays.items():
            if other != position and values.shape == array.shape:
                yield position, values.astype(np.float64), f"{names[other]} in place of {name}"
        if evidence.out.shape == array.shape:
            yield position, evidence.out, f"the result in place of {name}"
        if position != own:
            yield position, np.ones(array.shape), f"{name} = 1, as if it were not there"
            yield position, np.zeros(array.shape), f"{name} = 0, as if it were not there"
            yield position, -array, f"{name} with its sign flipped"


def _layouts(array: Array) -> Iterator[tuple[str, Array]]:
    n, shape = array.ndim, array.shape
    if n >= 2:
        yield "rotated by 180° (both of the last two axes flipped)", array[..., ::-1, ::-1].copy()
        for i, j in ((n - 2, n - 1), (0, 1)):
            if shape[i] == shape[j]:
                yield f"transposed (axes {i} and {j})", np.swapaxes(array, i, j).copy()
