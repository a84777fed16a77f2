"""What is given to a check: which inputs are differentiated, and what is said of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.verify.report import InputReport, Verdict


def constants(
    function: str, name: str, inputs: Sequence[Any], wanted: Sequence[int]
) -> list[InputReport]:
    """Return a result for each input that is not differentiated; raise if none is."""
    if not wanted:
        kinds = ", ".join(_kind(x) for x in inputs) or "no inputs"
        raise ValueError(
            f"{function}: expects at least one differentiable input (a floating-point array, or a "
            f"tensor with requires_grad=True), got {kinds}"
        )
    results = []
    for index, x in enumerate(inputs):
        if index in wanted:
            continue
        result = InputReport(name, f"input {index}", index, np.shape(_array(x)))
        result.say(Verdict.SKIPPED, "note", f"a constant ({_kind(x)}): it has no gradient")
        results.append(result)
    return results


def _array(x: Any) -> Any:
    return x._data if isinstance(x, TensorBase) else x


def _kind(x: Any) -> str:
    if isinstance(x, TensorBase):
        return f"a {x.dtype.name} tensor" + ("" if x._requires_grad else " without requires_grad")
    return f"a {x.dtype.name} array" if isinstance(x, np.ndarray) else f"a {type(x).__name__}"


def overlapping(inputs: Sequence[Any]) -> list[str]:
    """Say which inputs share memory: each is checked with a copy of its own."""
    arrays = [_array(x) for x in inputs]
    notes = []
    for i, a in enumerate(arrays):
        for j in range(i):
            b = arrays[j]
            if (
                isinstance(a, np.ndarray)
                and isinstance(b, np.ndarray)
                and np.may_share_memory(a, b)
            ):
                notes.append(
                    f"inputs {j} and {i} share memory; each was checked with a copy of its own, "
                    "so each gradient is that of its own place among the arguments"
                )
    return notes
