"""Weights made ready for inference: in the kernels' order, batch normalisations folded into them.

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
from tinygrad_cnn.tensor import Tensor
from tinygrad_cnn.types import Array

__all__ = ["with_prepared_weights"]

_LARGE = 1 << 21  # elements of weights alone that are not kept twice


class Prepared:
    """A convolution, with the batch normalisation that follows it if one does."""

    def __init__(self, conv: Convolution, norm: Normalisation | None = None) -> None:
        self.conv, self.norm = conv, norm
        self._arrays: list[Any] = []
        self._when = 0
        self._weights: tuple[Any, Any] = (None, None)

    def __call__(self, x: Any, weight: Any, bias: Any = None, *norm: Any) -> Any:
        """Convolve with the weights that are ready; `norm` is scale, shift, mean and variance."""
        if self.norm is None and (weight.ndim < 3 or array(weight).size > _LARGE):
            return self.conv(x, weight, bias)
        arrays = [None if v is None else array(v) for v in (weight, bias, *norm)]
        known = self._arrays
        if not known or any(
            a is not b or (a is not None and was_changed(a, self._when))
            for a, b in zip(arrays, known, strict=True)
        ):
            self._when = tick()
            self._weights = self._made(arrays)
            self._arrays = arrays
        return self.conv(x, *self._weights)

    def _made(self, arrays: Sequence[Any]) -> tuple[Any, Any]:
        weight, bias = arrays[:2]
        if self.norm is not None:
            weight, bias = _folded(weight, bias, arrays[2:], self.norm.eps)
        # Tensors: an array from elsewhere would be copied at each call.
        ready = Tensor._wrap(_in_order(weight), None)
        return ready, None if bias is None else Tensor._wrap(bias, None)


def _folded(
    weight: Array, bias: Array | None, norm: Sequence[Array], eps: float
) -> tuple[Array, Array]:
    scale, shift, mean, var = norm
    factor = scale / np.sqrt(var.astype(np.float64) + eps)
    new = weight * factor.astype(weight.dtype).reshape(-1, *(1,) * (weight.ndim - 1))
    offset = ((0.0 if bias is None else bias) - mean) * factor + shift
    return new, offset.astype(weight.dtype)


def _in_order(weight: Array) -> Array:
    """Return filters (O, C, *kernel) in memory (*kernel, C, O), as kernels multiply by them."""
    axes = *range(2, weight.ndim), 1, 0
    return np.ascontiguousarray(weight.transpose(axes)).transpose(np.argsort(axes))


def with_prepared_weights(steps: Sequence[Step], kept: Iterable[int]) -> list[Step]:
    """Return steps with convolutions that keep their weights, batch normalisations folded in.

    A normalisation is where nothing else reads the convolution's result; `kept` are places that
    somebody reads in the end.
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
                run=Prepared(before.run, step.run),
                inputs=(*conv, *step.inputs[1:]),
                op_type="Conv and BatchNormalization",
            )
            gone.add(before.outputs[0])
        found.append(step)
    return [_prepared(s) for s in found if not (_is_conv(s) and s.outputs[0] in gone)]


def _is_conv(step: Step) -> bool:
    return isinstance(step.run, Convolution)


def _prepared(step: Step) -> Step:
    return step._replace(run=Prepared(step.run)) if isinstance(step.run, Convolution) else step
