"""Batch normalisations folded into the convolutions before them, for inference.

``scale · (w ∗ x + b − mean) / √(var + eps) + shift`` is a convolution with other weights. They are
made once, and again when a parameter or a statistic has changed; the result differs from the two
steps by rounding. The file, what is recorded and what is learnt stay as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.graph import tick
from tinygrad_cnn.inplace import was_changed
from tinygrad_cnn.onnx.operators.base import array
from tinygrad_cnn.onnx.operators.norms import Normalisation
from tinygrad_cnn.onnx.operators.windows import Convolution
from tinygrad_cnn.onnx.plan import Step
from tinygrad_cnn.types import Array

__all__ = ["with_folded_norms"]


class Folded:
    """A convolution with the batch normalisation that follows it."""

    def __init__(self, conv: Convolution, norm: Normalisation) -> None:
        self.conv, self.norm = conv, norm
        self._arrays: list[Any] = []
        self._when = 0
        self._weights: tuple[Array, Array]

    def __call__(self, x: Any, weight: Any, bias: Any, *norm: Any) -> Any:
        """Convolve with the folded weights; `norm` is scale, shift, mean and variance."""
        arrays = [None if v is None else array(v) for v in (weight, bias, *norm)]
        known = self._arrays
        if not known or any(
            a is not b or (a is not None and was_changed(a, self._when))
            for a, b in zip(arrays, known, strict=True)
        ):
            self._when = tick()
            self._weights = _folded(arrays, self.norm.eps)
            self._arrays = arrays
        return self.conv(x, *self._weights)


def _folded(arrays: Sequence[Any], eps: float) -> tuple[Array, Array]:
    weight, bias, scale, shift, mean, var = arrays
    factor = scale / np.sqrt(var.astype(np.float64) + eps)
    new = weight * factor.astype(weight.dtype).reshape(-1, *(1,) * (weight.ndim - 1))
    offset = ((0.0 if bias is None else bias) - mean) * factor + shift
    return new, offset.astype(weight.dtype)


def with_folded_norms(steps: Sequence[Step], kept: Iterable[int]) -> list[Step]:
    """Return steps with one in the place of a convolution and its batch normalisation.

    That is where nothing else reads the convolution's result; `kept` are places that somebody reads
    in the end.
    """
    reads = Counter(place for step in steps for place in step.inputs)
    reads.update(kept)
    makers = {place: step for step in steps for place in step.outputs}
    gone: set[int] = set()
    found = []
    for step in steps:
        before = makers.get(step.inputs[0]) if step.inputs else None
        if (
            isinstance(step.run, Normalisation)
            and not step.run.always
            and before is not None
            and isinstance(before.run, Convolution)
            and reads[before.outputs[0]] == 1
        ):
            conv = (*before.inputs, -1)[:3]
            step = step._replace(
                run=Folded(before.run, step.run),
                inputs=(*conv, *step.inputs[1:]),
                op_type="Conv and BatchNormalization",
            )
            gone.add(before.outputs[0])
        found.append(step)
    return [s for s in found if not (isinstance(s.run, Convolution) and s.outputs[0] in gone)]
