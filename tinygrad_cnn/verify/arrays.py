"""Verification of plain NumPy functions with a hand-written backward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.nn.restoring import left_alone
from tinygrad_cnn.verify.adapters.methods import same_draws
from tinygrad_cnn.verify.adapters.pairs import CachedSubject, ValueSubject
from tinygrad_cnn.verify.core import Options, check_subject
from tinygrad_cnn.verify.numeric.probe import Tolerance
from tinygrad_cnn.verify.report import InputReport, Report, Verdict
from tinygrad_cnn.verify.subjects.arrays import ArraysSubject
from tinygrad_cnn.verify.subjects.inputs import constants, overlapping
from tinygrad_cnn.verify.subjects.subject import Subject, in_float64


def check_backward(
    forward: Callable[..., Any],
    backward: Callable[..., Any] | None,
    inputs: Sequence[Any],
    *,
    reference: Callable[..., Any] | None = None,
    raise_exception: bool = True,
    eps: float | None = None,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    max_elements: int = 512,
    seed: int = 0,
) -> Report:
    """Verify a backward pass written by hand for a function of NumPy arrays.

    A gradient check compares the backward pass with the forward pass that is there. A forward
    pass that computes something else than was meant (a loop over the filter's size instead of the
    output's) has a gradient of its own, and a backward pass that matches it is right: what a
    forward pass should compute only a ``reference`` can tell.

    Parameters
    ----------
    forward
        ``forward(*inputs)`` returns an array or a number; or ``(out, cache)``.
    backward
        ``backward(g, *inputs)`` returns one gradient for each input, of its shape (None for an
        input without one), given the gradient ``g`` of the result, of its shape. Where forward
        returns a cache, ``backward(g, cache)`` does. None says that ``forward`` returns
        ``(value, gradients)``, the value a number.
    inputs
        Arrays and Python floats; arrays of float32 are checked in float64; integers are constants.
    reference
        ``reference(*inputs)`` computes the same as ``forward`` by other means; the two are
        compared.
    raise_exception
        Raise a `GradientError` with the report's text unless all is well.
    eps, atol, rtol, max_elements, seed
        As for `check_graph`.

    Returns
    -------
    A report with one result for each input.

    Raises
    ------
    ValueError
        If there is no floating-point input.

    >>> import numpy as np
    >>> def forward(x, w):
    ...     return x @ w
    >>> def backward(g, x, w):
    ...     return g @ w.T, x.T @ g
    >>> x, w = np.arange(6.0).reshape(2, 3), np.ones((3, 4))
    >>> print(check_backward(forward, backward, [x, w]))
    check_backward of forward: PASS (2 PASS)
    """
    name = getattr(forward, "__name__", type(forward).__name__)
    points = [in_float64(np.float64(x).item() if isinstance(x, np.floating) else x) for x in inputs]
    wanted = [
        i
        for i, x in enumerate(points)
        if isinstance(x, float) or (isinstance(x, np.ndarray) and x.dtype.kind == "f")
    ]
    skipped = constants("check_backward", name, points, wanted)
    with left_alone(forward, backward):
        subject = _subject_of(forward, backward, points, wanted)
    for result in skipped:
        result.input = subject.names[result.position]
    with left_alone(forward, backward, reference):
        results = check_subject(subject, Options(Tolerance(eps, atol, rtol), max_elements, seed))
        if reference is not None:
            results.insert(0, _compare_forward(name, forward, reference, points))
    report = Report(f"check_backward of {name}", results + skipped, overlapping(inputs), seed)
    if raise_exception:
        report.raise_if_wrong()
    return report


def _subject_of(
    forward: Callable[..., Any],
    backward: Callable[..., Any] | None,
    points: Sequence[Any],
    wanted: Sequence[int],
) -> Subject:
    """Tell by a call in which of three forms a backward pass is written."""
    if backward is None:
        return ValueSubject(forward, _as_arrays(points), wanted)
    try:
        with np.errstate(all="ignore"), same_draws():
            out = forward(*[in_float64(x) for x in points])
    except Exception:  # the check says what was raised
        out = None
    if isinstance(out, tuple) and len(out) == 2:
        return CachedSubject(forward, backward, _as_arrays(points), wanted)
    return ArraysSubject(forward, backward, points, wanted)


def _as_arrays(points: Sequence[Any]) -> list[Any]:
    return [np.asarray(x) if isinstance(x, float) else x for x in points]


def _compare_forward(
    name: str, forward: Callable[..., Any], reference: Callable[..., Any], points: Sequence[Any]
) -> InputReport:
    """Compare the values of two forward passes."""
    result = InputReport(name, "forward", -1, ())
    copies = [[in_float64(x) for x in points] for _ in range(2)]
    try:
        with np.errstate(all="ignore"):
            out = forward(*copies[0])
            got = np.asarray(out[0] if isinstance(out, tuple) else out, np.float64)
            wanted = np.asarray(reference(*copies[1]), np.float64)
    except Exception as error:  # anything that a user's function raises
        result.say(Verdict.FAIL, "error", f"forward raised {type(error).__name__}: {error}")
        return result
    result.shape = got.shape
    if got.shape != wanted.shape:
        result.say(
            Verdict.FAIL,
            "forward",
            f"forward returns shape {got.shape}, the reference {wanted.shape}",
        )
        return result
    size = float(np.max(np.abs(wanted), initial=0.0, where=np.isfinite(wanted)))
    wrong = ~np.isclose(got, wanted, rtol=1e-9, atol=1e-9 * size, equal_nan=True)
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        result.say(
            Verdict.FAIL,
            "forward",
            f"forward differs from the reference in {np.count_nonzero(wrong)} of {wrong.size} "
            f"values, first at {list(place)}: {got[place]:.9g} instead of {wanted[place]:.9g}",
        )
    return result
