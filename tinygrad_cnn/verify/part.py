"""A large operation: as a whole along one direction, and closely on a part of its inputs.

What a fault does anywhere in a large array shows along one direction of everything; what it does
at kinks, ties, zeros, for other inputs or in another dtype shows in a part as well, at a fraction
of the time and of the memory. A part is the same operation on fewer images, channels or pixels. It
can only acquit: whatever is found there is looked at again on the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.calls import called, is_exact
from tinygrad_cnn.verify.core import Options, check_subject
from tinygrad_cnn.verify.light import check_lightly
from tinygrad_cnn.verify.numeric.along import Line
from tinygrad_cnn.verify.numeric.point import elements_of
from tinygrad_cnn.verify.numeric.slopes import norm
from tinygrad_cnn.verify.report import InputReport, Verdict
from tinygrad_cnn.verify.subjects.tensors import OpSubject

LARGE = 20_000  # elements of the result and of differentiated inputs
_PART = 8_000  # elements that a part should have about
_WORTH = 4  # a part must be so many times smaller, or the whole is looked at
_LEAST = 2  # of an axis that is kept
_SHORT = 6  # axes up to this length, as those of a kernel, are left whole
_NOTE = "large: compared along one direction, and closely on a part of {part} elements"
_SAME = 1e-4  # of the gradient: what float32 keeps of it; a closer look at more


def check_in_part(subject: OpSubject, options: Options) -> list[InputReport] | None:
    """Return the verdicts on a large operation; None where it must be looked at as a whole."""
    part = part_of(subject)
    if part is None:
        return None
    size = elements_of(part, part.forward(part.inputs))
    found = check_lightly(subject, options, _NOTE.format(part=size), _agrees_as_recorded)
    if found is None or any(r.verdict is Verdict.UNSEEN for r in found):
        return None
    if check_lightly(_elsewhere(subject), options, "") is None:
        return None
    closely = check_subject(part, options)
    if any(not r.ok or r.verdict is Verdict.SKIPPED for r in closely):
        return None
    for result, close in zip(found, closely, strict=True):
        result.counts.add(close.counts)
        if close.verdict is Verdict.KINK:
            result.say(Verdict.KINK, "note", close.findings[0].text)
    return found


def _elsewhere(subject: OpSubject) -> OpSubject:
    """Return the operation at other inputs of the same shapes: what an earlier call left shows."""
    inputs = list(subject.inputs)
    for index in subject.wanted:
        x = inputs[index]
        inputs[index] = np.asarray(0.97 * (x[::-1] if x.ndim else x))
    return subject.at(inputs)


def _agrees_as_recorded(subject: OpSubject, line: Line) -> bool:
    """Whether the rule of the very call that was recorded gives what it gives anew."""
    pull = subject.as_recorded()
    if pull is None or (subject.choice(subject.inputs) is not None and not is_exact(subject)):
        return True  # near ties, what was computed again in float64 may choose otherwise
    found = called(pull, line.g)
    if found is None:
        return False
    for index in subject.wanted:
        anew, kept = line.gradients[index], found[index]
        if kept is None or norm(kept - anew) > _SAME * norm(anew):
            return False
    return True


def part_of(subject: OpSubject) -> OpSubject | None:
    """Return the same operation on a part of its inputs; None where there is none, or no need.

    Axes of one length are cut together, the images first: if the operation takes what is left, it
    is one of its points, whatever that length means to it.
    """
    try:
        with np.errstate(all="ignore"):
            out = subject.forward(subject.inputs)
    except Exception:  # whatever somebody's operation raises, the close check says it
        return None
    total = whole = elements_of(subject, out)
    if whole <= LARGE:
        return None
    inputs = list(subject.inputs)
    for length, first in _lengths(inputs, out):
        kept = max(_LEAST, length * _PART // total)
        cut = [_cut(x, length, kept, first) for x in inputs]
        try:
            with np.errstate(all="ignore"):
                made = subject.forward(cut)
        except Exception:  # it takes no other length there
            continue
        size = elements_of(subject.at(cut), made)
        if made.size and made.ndim == out.ndim and np.isfinite(made).all() and size < 0.8 * total:
            inputs, out, total = cut, made, size
        if total <= _PART:
            break
    return subject.at(inputs) if total * _WORTH <= whole else None


def _lengths(inputs: Sequence[Any], out: Array) -> Iterator[tuple[int, bool]]:
    """Iterate over lengths of axes, the batch's first, then the longest; and whether it is it."""
    arrays = [x for x in inputs if isinstance(x, np.ndarray)]
    if out.ndim and out.shape[0] > _LEAST and any(x.shape[:1] == out.shape[:1] for x in arrays):
        yield out.shape[0], True
    for length in sorted({n for x in arrays for n in x.shape}, reverse=True):
        if length > _SHORT:
            yield length, False


def _cut(x: Any, length: int, kept: int, first: bool) -> Any:
    """Return an array with fewer elements along its axes of a length, or its first one alone."""
    if not isinstance(x, np.ndarray) or length not in x.shape[: 1 if first else None]:
        return x
    if first:
        return x[np.linspace(0, length - 1, kept).astype(int)]
    start = (length - kept) // 2
    middle = slice(start, start + kept)
    return np.array(x[tuple(middle if n == length else slice(None) for n in x.shape)])
