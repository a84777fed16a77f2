"""Verification of PyTorch's functions and modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.verify.adapters.torch_functions import (
    TorchSubject,
    callable_of,
    framework,
    gradient_function,
    names_of,
    same_torch_draws,
    tensors_of,
    to_array,
    to_tensor,
)
from tinygrad_cnn.verify.core import Options, check_subject
from tinygrad_cnn.verify.numeric.elements import generator
from tinygrad_cnn.verify.numeric.probe import Tolerance
from tinygrad_cnn.verify.report import Report
from tinygrad_cnn.verify.subjects.inputs import constants, overlapping
from tinygrad_cnn.verify.subjects.subject import in_float64


def points_of(inputs: Sequence[Any]) -> tuple[list[Any], list[int], np.dtype[Any] | None]:
    """Return inputs as float64 arrays, which are differentiated, and the dtype they came in.

    Those tensors that require a gradient; if none does, all of floating point, and arrays.
    """
    torch = framework()
    arrays = [to_array(x) for x in inputs]
    floats = [i for i, a in enumerate(arrays) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
    asked = [i for i in floats if isinstance(inputs[i], torch.Tensor) and inputs[i].requires_grad]
    dtypes = {arrays[i].dtype for i in floats}
    own = dtypes.pop() if len(dtypes) == 1 else None
    points = [in_float64(a) for a in arrays]
    return points, asked or floats, own if own == np.float32 else None


def check_torch(
    function: Any,
    *inputs: Any,
    order: int = 1,
    raise_exception: bool = False,
    eps: float | None = None,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    max_elements: int = 512,
    seed: int = 0,
) -> Report:
    """Verify the gradients of a PyTorch function, or of an ``autograd.Function``.

    Parameters
    ----------
    function
        Takes the inputs positionally and returns a tensor, or several in any nesting; or a class
        that inherits ``torch.autograd.Function``.
    inputs
        Tensors, arrays and constants. Tensors that require a gradient are differentiated, or if
        there are none all of floating point; in float64 whatever they came in.
    order
        2 verifies second derivatives too, as ``gradgradcheck`` does.
    raise_exception, eps, atol, rtol, max_elements, seed
        As for `check_graph`.

    Raises
    ------
    ValueError
        If no input is differentiable.
    """
    options = Options(Tolerance(eps, atol, rtol), max_elements, seed)
    points, wanted, own = points_of(inputs)
    name = getattr(function, "__name__", type(function).__name__)
    arrays = [to_array(x) for x in inputs]
    skipped = constants("check_torch", name, arrays, wanted)
    names = names_of(function, len(points))
    for result in skipped:
        result.input = names[result.position]
    called = callable_of(function)
    report = Report(f"check_torch of {name}", [], overlapping(arrays), seed)
    for level in range(1, order + 1):
        label = name if level == 1 else f"{'gradient of ' * (level - 1)}{name}"
        subject = TorchSubject(called, points, wanted, names, label, own if level == 1 else None)
        report.results += check_subject(subject, options)
        if level < order:
            with same_torch_draws():
                leaves = [to_tensor(p) for p in points]
                for index in wanted:
                    leaves[index].requires_grad_()
                outs = tensors_of(called(*leaves))
            live = [k for k, out in enumerate(outs) if out.requires_grad]
            count = len(points)
            rng = generator(seed)
            cotangents = [np.asarray(rng.standard_normal(tuple(outs[k].shape))) for k in live]
            called = gradient_function(called, wanted, count, live)
            points, wanted = [*points, *cotangents], [*wanted, *range(count, count + len(live))]
            names = (*names, *(f"cotangent {k}" for k in live))
    report.results += skipped
    if raise_exception:
        report.raise_if_wrong()
    return report
