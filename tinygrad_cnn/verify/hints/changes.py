"""What a wrong gradient looks like: explanations that are tried one after the other.

Each is given only if it makes the wrong gradient of the right one, for random cotangents along
random directions: undone, it gives a gradient that passes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.hints.evidence import Change, Evidence, unchanged
from tinygrad_cnn.verify.hints.jacobian import jacobian_hints, weight_hints
from tinygrad_cnn.verify.hints.masks import mask_hints
from tinygrad_cnn.verify.hints.operands import exchanged_hints, operand_hints
from tinygrad_cnn.verify.hints.products import product_hints
from tinygrad_cnn.verify.hints.ratios import (
    constant_term_hints,
    ratio_hints,
    slope_hints,
    straight_through,
    term_hints,
)
from tinygrad_cnn.verify.hints.rows import row_hints
from tinygrad_cnn.verify.hints.sums import sum_hints
from tinygrad_cnn.verify.report import Hint

_FAR = 3  # elements that a gradient may be shifted by


def find_hints(evidence: Evidence) -> list[Hint]:
    """Return the explanations that hold; most often one."""
    if not evidence.usable or not evidence.wrong:
        return []
    for family in _FAMILIES:
        found = family(evidence)
        if found:
            return found
    return []


def _permutations(evidence: Evidence) -> list[Hint]:
    """Explanations in which axes are permuted in another way, or elements read in another order."""
    shape = evidence.out.shape
    n = len(shape)
    if n > 4 or n < 2:
        return []
    for order in itertools.permutations(range(n)):
        if order == tuple(range(n)):
            continue
        if tuple(shape[i] for i in order) == shape:
            text = f"the incoming gradient's axes are permuted by {list(order)}"
            if evidence.explains(cotangent=lambda g, o=order: g.transpose(o)):  # type: ignore[misc]
                return [Hint("permuted", f"{text}: the permutation, not its inverse?")]
        if evidence.explains(cotangent=_reread(shape, order)):
            text = f"the incoming gradient is reshaped where its axes {list(order)} are permuted"
            return [Hint("permuted", text)]
    return []


def _reread(shape: tuple[int, ...], order: tuple[int, ...]) -> Change:
    """Read the elements as if the axes had been permuted already."""
    other = [shape[i] for i in order]
    back = np.argsort(order)
    return lambda g: g.reshape(other).transpose(back)


# ------------------------------------------------------------------------------- factors


def _factor(evidence: Evidence) -> list[Hint]:
    r = evidence.ratio()
    if r is None or abs(r) < 1e-9:
        return []
    hints = []
    if r < 0:
        hints.append(Hint("sign", "the sign is flipped"))
    size = abs(r)
    if math.isclose(size, 1.0, rel_tol=1e-7):
        return hints
    inverse = 1 / size
    if math.isclose(size, 2.0, rel_tol=1e-6):
        hints.append(Hint("times 2", "it is twice too large"))
    elif math.isclose(size, 0.5, rel_tol=1e-6):
        hints.append(Hint("times 1/2", "it is half of what it should be"))
    for count, name in named_counts(evidence).items():
        if count > 1 and math.isclose(size, count, rel_tol=1e-6):
            hints.append(Hint("times N", f"it is {count} times too large: {name}"))
        elif count > 1 and math.isclose(inverse, count, rel_tol=1e-6):
            hints.append(Hint("times 1/N", f"it is {count} times too small: {name}"))
    if not any(hint.code != "sign" for hint in hints):
        hints.append(Hint("factor", f"it is {size:.6g} times what it should be, everywhere"))
    return hints


def named_counts(evidence: Evidence) -> dict[int, str]:
    """Return the counts that gradients are divided by, each with the names it goes by."""
    x, out = evidence.x.shape, evidence.out.shape
    named: list[tuple[int, str]] = []
    for position, other in enumerate(evidence.point.inputs):
        if isinstance(other, np.ndarray) and other.ndim:
            name = evidence.point.subject.names[position]
            named.append((other.shape[0], f"the batch, the length of {name}"))
            if other.ndim == 4:
                named.append((math.prod(other.shape[2:]), f"the pixels of {name}"))
            named.append((other.size, f"the elements of {name}"))
            named += [(n, f"axis {i} of {name}") for i, n in enumerate(other.shape) if i]
    if out:
        named.append((out[0], "the batch, the length of the result"))
        named.append((math.prod(out), "the elements of the result"))
        named += [(n, f"axis {i} of the result") for i, n in enumerate(out) if i]
        if len(out) >= 2:
            named.append((math.prod(out[-2:]), "the last two axes of the result"))
            named.append((math.prod(out) // out[1], "the values of a channel of the result"))
    if math.prod(x) and not math.prod(out) % math.prod(x):
        named.append((math.prod(out) // math.prod(x), "the results that read one element"))
    if math.prod(out) and not math.prod(x) % math.prod(out):
        count = math.prod(x) // math.prod(out)
        named.append((count, "the elements that one result sums"))
        named.append((count - 1, "one less than the elements that one result sums"))
    if len(x) == len(out) == 4:
        window = [a // b for a, b in zip(x[2:], out[2:], strict=True)]
        named.append((math.prod(window), "the elements of a window"))
        named.append((x[0] * math.prod(x[2:]), "the values of a channel"))
    counts: dict[int, str] = {}
    for count, name in named:
        if name not in counts.get(count, ""):
            counts[count] = f"{counts[count]}; {name}" if count in counts else name
    return counts


# ------------------------------------------------------------------------------- cotangents


def _of_cotangent(evidence: Evidence) -> list[Hint]:
    """Explanations in which the rule is right, but does not use the whole cotangent as it is."""
    smaller = evidence.x.ndim < evidence.out.ndim and _is_summed(evidence)
    for code, text, change in _cotangent_changes(evidence.out.shape, smaller):
        if evidence.explains(cotangent=change):
            return [Hint(code, text)]
    return []


def _activation(evidence: Evidence) -> list[Hint]:
    """Say so if the derivative of an activation that comes last is left out, or counts twice."""
    y = evidence.out
    with np.errstate(all="ignore"):
        for text, slope in (
            ("y · (1 − y) (the derivative of a sigmoid)", y * (1 - y)),
            ("1 − y² (that of tanh)", 1 - y * y),
            ("y (that of exp)", y),
            ("1 / (2 y) (that of a square root)", 0.5 / y),
        ):
            if not np.isfinite(slope).all() or not slope.all() or np.ptp(slope) == 0:
                continue
            if evidence.explains(cotangent=lambda g, s=slope: g / s):  # type: ignore[misc]
                return [Hint("slope", f"the factor {text} is left out; y is the result")]
            if evidence.explains(cotangent=lambda g, s=slope: g * s):  # type: ignore[misc]
                text = f"it has the factor {text} too much: it counts twice, or a division lacks"
                return [Hint("slope", f"{text}; y is the result")]
    return []


def _is_summed(evidence: Evidence) -> bool:
    """Whether some element is read by several results, so that the rule sums over them."""
    J = evidence.jacobian
    return J is None or bool((np.count_nonzero(J, axis=0) > 1).any())


def _cotangent_changes(shape: tuple[int, ...], smaller: bool) -> Iterator[tuple[str, str, Change]]:
    n = len(shape)
    axes = [axis for axis in range(n) if shape[axis] > 1]
    subsets = [c for size in (1, 2, 3) for c in itertools.combinations(axes, size)]
    for end, word in ((-1, "last"), (0, "first")):
        for subset in subsets:
            image = subset == (0,) and n in (1, 2, 4)
            what = "image" if image else "window"
            names = ", ".join(map(str, subset))
            text = f"only the {word} {what} counts (axis {names} of the result): = for +=?"
            yield f"{word} {what}", text, _only(subset, end)
    for i, j in itertools.combinations(range(n), 2):
        if shape[i] == shape[j] and shape[i] > 1:
            code = "wrong axis" if smaller else "transposed"
            text = f"axes {i} and {j} of the incoming gradient are exchanged"
            if smaller:
                text = f"summed over the wrong axis: {text}"
            yield code, text, _swap(i, j)
    for axis in axes:
        if shape[axis] == 2:
            text = f"the two parts along axis {axis} of the incoming gradient are exchanged"
            yield "flipped", text, _flip((axis,))
    for axis in axes:
        for step in (1, -1):
            text = f"the incoming gradient is shifted by one along axis {axis}"
            yield "shifted", text, _shift(axis, step, wrap=False)
            if shape[axis] > 2:  # of two, it exchanges them
                yield "shifted", text, _shift(axis, step, wrap=True)
        for step in (2, -2):
            if shape[axis] > 4:
                text = f"the incoming gradient is rolled by two along axis {axis}: the wrong way?"
                yield "shifted", text, _shift(axis, step, wrap=True)
    for axis, other in itertools.combinations(axes[-2:], 2):
        for step, side in itertools.product((1, -1), repeat=2):
            text = f"the incoming gradient is shifted by one along axes {axis} and {other}"
            change = _then(_shift(axis, step, wrap=False), _shift(other, side, wrap=False))
            yield "shifted", text, change
    for subset in [tuple(range(max(n - 2, 0), n)), *((axis,) for axis in axes)]:
        if subset:
            text = f"the incoming gradient is flipped along axes {list(subset)}"
            yield "flipped", text, _flip(subset)


def _only(axes: tuple[int, ...], end: int) -> Change:
    def change(g: Array) -> Array:
        kept = np.zeros_like(g)
        key = tuple(end if axis in axes else slice(None) for axis in range(g.ndim))
        kept[key] = g[key]
        return kept

    return change


def _swap(i: int, j: int) -> Change:
    return lambda a: np.swapaxes(a, i, j)


def _flip(axes: tuple[int, ...]) -> Change:
    return lambda a: np.flip(a, axes)


def _shift(axis: int, step: int, wrap: bool) -> Change:
    def change(a: Array) -> Array:
        moved = np.roll(a, step, axis)
        if not wrap:
            edge = 0 if step > 0 else -1
            moved[(slice(None),) * axis + (edge,)] = 0.0
        return moved

    return change


# ------------------------------------------------------------------------------- inputs


def _of_input(evidence: Evidence) -> list[Hint]:
    """Explanations in which the right gradient is laid out wrongly."""
    if evidence.x.shape == evidence.out.shape:
        for axis, size in enumerate(evidence.x.shape):
            turn = _flip((axis,))
            if size > 1 and evidence.explains(turn, turn):
                return [Hint("reversed", f"it runs the other way along axis {axis}")]
    for code, text, adjoint in _input_changes(evidence.x.shape):
        if evidence.explains(unchanged, adjoint):
            return [Hint(code, text)]
    return []


def _input_changes(shape: tuple[int, ...]) -> Iterator[tuple[str, str, Change]]:
    """Iterate over changes of the gradient; each is given by its adjoint, which acts on d."""
    n = len(shape)
    axes = [axis for axis in range(n) if shape[axis] > 1]
    for i, j in itertools.combinations(axes, 2):
        if shape[i] == shape[j]:
            yield "transposed", f"axes {i} and {j} are exchanged", _swap(i, j)
    if n >= 2 and n - 1 in axes and n - 2 in axes:
        last = (n - 2, n - 1)
        yield "flipped", "it is flipped spatially (both of the last two axes)", _flip(last)
    if n >= 2 and 0 in axes and 1 in axes and n > 2:
        yield "flipped", "it is flipped along the first two axes", _flip((0, 1))
    for axis in axes:
        yield "flipped", f"it is flipped along axis {axis}", _flip((axis,))
    for axis in axes:
        for step in (1, -1):
            text = f"it is shifted by one pixel along axis {axis}"
            yield "shifted", text, _shift(axis, step, wrap=False)
            yield "shifted", text, _shift(axis, step, wrap=True)
    for axis, other in itertools.combinations(axes[-2:], 2):
        for step, side in itertools.product((1, -1), repeat=2):
            for wrap in (False, True):
                one, two = _shift(axis, step, wrap), _shift(other, side, wrap)
                text = f"it is shifted by one pixel along axes {axis} and {other}"
                yield "shifted", text, _then(one, two)


def _inside(evidence: Evidence) -> list[Hint]:
    """Try the right gradient moved by some elements, whatever has become of its border."""
    x, right = evidence.x, evidence.right
    if right is None:
        return []
    axes = [axis for axis in range(x.ndim) if x.shape[axis] > 2 * _FAR][-2:]
    for steps in itertools.product(range(-_FAR, _FAR + 1), repeat=len(axes)):
        if not any(steps):
            continue
        here, there = [slice(None)] * x.ndim, [slice(None)] * x.ndim
        for axis, step in zip(axes, steps, strict=True):
            here[axis] = slice(max(-step, 0), x.shape[axis] - max(step, 0))
            there[axis] = slice(max(step, 0), x.shape[axis] - max(-step, 0))
        pairs = [(a[tuple(here)], r[tuple(there)]) for a, r in zip(evidence.a, right, strict=True)]
        if all(
            2 * a.size > x.size and a.any() and np.allclose(a, r, 1e-5, 1e-6 * np.max(np.abs(r)))
            for a, r in pairs
        ):
            moved = ", ".join(
                f"{s:+d} along axis {axis}" for s, axis in zip(steps, axes, strict=True) if s
            )
            text = f"but for its border it is shifted: what is right for one element {moved}"
            return [Hint("shifted", f"{text} is given: padding cut off at one side?")]
    return []


def _then(one: Change, two: Change) -> Change:
    return lambda a: two(one(a))


_FAMILIES = (
    *(straight_through, _factor, _of_cotangent, _of_input, mask_hints, sum_hints),
    *(jacobian_hints, term_hints, _permutations, _activation, exchanged_hints, operand_hints),
    *(ratio_hints, constant_term_hints, slope_hints, weight_hints, row_hints, _inside),
    product_hints,
)
