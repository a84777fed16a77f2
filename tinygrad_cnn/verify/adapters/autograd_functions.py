"""Functions of HIPS autograd, those with rules of their own (``primitive``) included."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.adapters.methods import same_draws
from tinygrad_cnn.verify.adapters.pairs import argument_names
from tinygrad_cnn.verify.core import Options, check_subject
from tinygrad_cnn.verify.numeric.probe import Tolerance
from tinygrad_cnn.verify.report import Report
from tinygrad_cnn.verify.subjects.inputs import constants, overlapping
from tinygrad_cnn.verify.subjects.subject import Pull, Subject, in_float64


def framework() -> Any:
    """Return autograd, which whoever has a function of it has imported."""
    autograd = sys.modules.get("autograd")
    if autograd is None:
        raise ValueError("check: autograd's functions need autograd, which nobody has imported")
    return autograd


class AutogradSubject(Subject):
    """A function that HIPS autograd differentiates."""

    def __init__(
        self,
        function: Callable[..., Any],
        inputs: Sequence[Any],
        wanted: Sequence[int],
        dtype: np.dtype[Any] | None = None,
    ) -> None:
        self.function = function
        self.inputs, self.wanted = list(inputs), tuple(wanted)
        self.name = getattr(function, "__name__", type(function).__name__)
        self.names = argument_names(getattr(function, "fun", function), len(inputs))
        self.dtype = dtype

    def forward(self, inputs: Sequence[Any]) -> Array:
        """Return the result as an array."""
        with same_draws():
            return np.asarray(self.function(*inputs))

    def record(
        self, inputs: Sequence[Any], wanted: Sequence[int] | None = None
    ) -> tuple[Array, Pull]:
        """Let autograd make the rule."""
        wanted = self.wanted if wanted is None else wanted
        with same_draws():
            rule, out = framework().make_vjp(self.function, tuple(wanted))(*inputs)
        result = np.asarray(out)

        def pull(g: Array) -> list[Any]:
            found = rule(g if result.shape else g.item())
            gradients: list[Any] = [None] * len(inputs)
            for index, gradient in zip(wanted, found, strict=True):
                gradients[index] = np.asarray(gradient)
            return gradients

        return result, pull


def check_autograd(
    function: Any,
    *inputs: Any,
    raise_exception: bool = False,
    eps: float | None = None,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    max_elements: int = 512,
    seed: int = 0,
) -> Report:
    """Verify the gradients of a function of HIPS autograd, as a ``primitive`` with ``defvjp``.

    Parameters
    ----------
    function
        Takes the inputs positionally, returns an array or a number.
    inputs
        Floating-point arrays and numbers are differentiated, in float64; all else is constant.
    raise_exception, eps, atol, rtol, max_elements, seed
        As for `check_graph`.

    Raises
    ------
    ValueError
        If no input is differentiable.
    """
    framework()
    options = Options(Tolerance(eps, atol, rtol), max_elements, seed)
    inputs = tuple(np.asarray(x) if isinstance(x, float) else x for x in inputs)
    floats = [i for i, x in enumerate(inputs) if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    own = {inputs[i].dtype for i in floats}
    single = np.dtype(np.float32) if own == {np.dtype(np.float32)} else None
    subject = AutogradSubject(function, [in_float64(x) for x in inputs], floats, single)
    skipped = constants("check_autograd", subject.name, inputs, floats)
    for result in skipped:
        result.input = subject.names[result.position]
    results = check_subject(subject, options)
    report = Report(f"check_autograd of {subject.name}", results, overlapping(inputs), seed)
    report.results += skipped
    if raise_exception:
        report.raise_if_wrong()
    return report
