"""Verification of modules, in training and in evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import enable_grad, record_source
from tinygrad_cnn.graph import nodes_below
from tinygrad_cnn.nn import Module
from tinygrad_cnn.nn.restoring import left_alone
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.core import Options
from tinygrad_cnn.verify.numeric.elements import generator
from tinygrad_cnn.verify.numeric.probe import Tolerance
from tinygrad_cnn.verify.recorded import check_recorded
from tinygrad_cnn.verify.report import InputReport, Report
from tinygrad_cnn.verify.subjects.inputs import overlapping
from tinygrad_cnn.verify.subjects.subject import in_float64
from tinygrad_cnn.verify.subjects.tensors import leaf, wrap
from tinygrad_cnn.verify.unreached import unreached
from tinygrad_cnn.verify.walk import Selection


def check_module(
    module: Module,
    *inputs: Any,
    modes: Sequence[str] = ("train", "eval"),
    eps: float | None = None,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    max_elements: int = 24,
    seed: int = 0,
    raise_exception: bool = False,
    only: str | None = None,
    every: int = 1,
    max_seconds: float | None = None,
    thorough: bool = False,
    progress: bool | None = None,
) -> Report:
    """Verify a module: every operation, parameter and input, in training and in evaluation.

    Parameters
    ----------
    module
        Called as ``module(*inputs)``; it, and the default generator, are the same afterwards.
    inputs
        Tensors and arrays; floating-point ones are differentiated.
    modes
        "train", "eval" or both.
    eps, atol, rtol, max_elements, seed, raise_exception
        As for `check_graph`.
    only, every, max_seconds, thorough, progress
        As for `check_graph`.

    Returns
    -------
    A report with the results of each mode; parameters that no gradient reaches are listed.

    Raises
    ------
    ValueError
        If a mode is not one, or the module returns nothing recorded.

    >>> import numpy as np
    >>> from tinygrad_cnn import nn
    >>> print(check_module(nn.Linear(3, 2), np.ones((2, 3))))
    check_module of Linear: PASS (12 PASS)
    """
    options = Options(Tolerance(eps, atol, rtol), max_elements, seed)
    selection = Selection(only, every, max_seconds, thorough, progress)
    results: list[InputReport] = []
    for mode in modes:
        if mode not in ("train", "eval"):
            raise ValueError(f"check_module: modes are 'train' and 'eval', got {mode!r}")
        with left_alone(module), _in_float64(module, mode == "train"):
            found = _check_mode(module, inputs, options, selection)
        for result in found:
            result.op += f" [{mode}]" if len(modes) > 1 else ""
        results += found
    report = Report(f"check_module of {type(module).__name__}", results, overlapping(inputs), seed)
    if raise_exception:
        report.raise_if_wrong()
    return report


@contextmanager
def _in_float64(module: Module, training: bool) -> Iterator[None]:
    """Give a module's parameters and buffers float64 copies for a while, and set its mode."""
    tensors = [*module.parameters(), *module.buffers()]
    held = [tensor._data for tensor in tensors]
    modes = [(part, part.training) for part in module.modules()]
    try:
        for tensor in tensors:
            tensor._data = np.array(in_float64(tensor._data))
        for part, _ in modes:
            part.training = training
        yield
    finally:
        for tensor, data in zip(tensors, held, strict=True):
            tensor._data = data
        for part, was in modes:
            part.training = was


def _check_mode(
    module: Module, inputs: Sequence[Any], options: Options, selection: Selection
) -> list[InputReport]:
    points = [in_float64(x._data if isinstance(x, TensorBase) else x) for x in inputs]
    tensors = [
        _named_leaf(p, f"input {i}")
        if isinstance(p, np.ndarray) and p.dtype.kind == "f"
        else wrap(p)
        for i, p in enumerate(points)
    ]
    for path, parameter in module.named_parameters():
        parameter._name = parameter._name or path
    forward = _Forward(module, tensors, generator(options.seed))
    root = forward.root
    value = np.array(root._data)
    again = forward({})
    deterministic = again.shape == value.shape and np.array_equal(again, value, equal_nan=True)
    results = check_recorded(
        "check_module", root, options, forward if deterministic else None, selection
    )

    def changes_result(parameter: TensorBase) -> bool:
        moved = parameter._data * 1.01 + 0.01
        return not np.array_equal(forward({parameter: moved}), value, equal_nan=True)

    return results + unreached(module, nodes_below(root), changes_result if deterministic else None)


class _Forward:
    """The forward of a module as a function of the arrays in its leaves.

    Several results become one number: their sum, weighted at random, so that errors in two of them
    do not cancel. `root` is what it gave first, recorded.
    """

    def __init__(self, module: Module, tensors: Sequence[Any], rng: np.random.Generator) -> None:
        self.module, self.tensors = module, tensors
        self.buffers = [(b, np.array(b._data)) for b in module.buffers()]
        results = self._results()
        self.weights = [rng.standard_normal(result.shape) for result in results]
        self.root = self._combined(results)

    def __call__(self, leaves: Mapping[TensorBase, Array]) -> Array:
        """Compute it with other arrays in some of the leaves; they and all buffers stay as is."""
        held = {x: x._data for x in leaves}
        try:
            for x, array in leaves.items():
                x._data = array
            return np.asarray(self._combined(self._results())._data)
        finally:
            for x, array in held.items():
                x._data = array
            for buffer, array in self.buffers:
                buffer._data = np.array(array)

    def _results(self) -> list[Tensor]:
        with enable_grad(), record_source():
            out = self.module(*self.tensors)
        return _recorded(self.module, out)

    def _combined(self, results: Sequence[Any]) -> Any:
        if len(results) == 1:
            return results[0]
        total = None
        for result, weight in zip(results, self.weights, strict=True):
            part = (result * Tensor._wrap(np.asarray(weight), None)).sum()
            total = part if total is None else total + part
        return total


def _recorded(module: Module, out: Any) -> list[Tensor]:
    """Return the results of a module that were recorded."""
    outs = out if isinstance(out, (tuple, list)) else (out,)
    live = [o for o in outs if isinstance(o, Tensor) and o.requires_grad]
    if not live:
        raise ValueError(
            f"check_module: {type(module).__name__} returns nothing recorded, got "
            + ", ".join(type(o).__name__ for o in outs)
        )
    return live


def _named_leaf(array: Array, name: str) -> Tensor:
    tensor = leaf(array)
    tensor._name = name
    return tensor
