"""Inputs to run a network from a file with: drawn at random, or images of a data set."""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.data import Splits
from tinygrad_cnn.onnx.errors import OnnxError
from tinygrad_cnn.onnx.messages import ValueInfo
from tinygrad_cnn.onnx.module import OnnxModule
from tinygrad_cnn.onnx.pictures import form_of, inputs_of, resized
from tinygrad_cnn.onnx.tensors import dtype_of
from tinygrad_cnn.types import Array

__all__ = ["from_data", "random_inputs"]

_USUAL = 64  # an open size that is not given


def random_inputs(network: OnnxModule, batch: int, size: int | None, seed: int) -> dict[str, Array]:
    """Return inputs drawn from N(0, 1), integers 0, in the shapes that the file says.

    Open sizes are `size`, the first one `batch`.
    """
    rng = np.random.default_rng(seed)
    return {
        value.name: _drawn(value, batch, size or _USUAL, rng) for value in inputs_of(network.model)
    }


def _drawn(value: ValueInfo, batch: int, size: int, rng: np.random.Generator) -> Array:
    tensor = value.type.tensor_type if value.type is not None else None
    if tensor is None or tensor.shape is None:
        raise OnnxError(f"the file does not say the shape of {value.name}: give it with --input")
    shape = [dim.size or (size if at else batch) for at, dim in enumerate(tensor.shape.dim)]
    dtype = dtype_of(tensor.elem_type, f"input {value.name!r}")
    if dtype.kind != "f":
        return np.zeros(shape, dtype)
    return rng.standard_normal(shape).astype(dtype)


def from_data(
    network: OnnxModule, splits: Splits, count: int, size: int | None
) -> dict[str, Array]:
    """Return the first images of a data set as the network takes them, from -2 to 2."""
    form = form_of(network.model, size)
    train = splits.train
    part = type(train)(train.images[:count], train.labels[:count], train.classes)
    pixels = resized(Splits(part, part), form).train.images.astype(np.float32)
    arranged: Array = np.ascontiguousarray(form.arranged((pixels / 255 - 0.5) / 0.25))
    return {network.inputs[0]: arranged}
