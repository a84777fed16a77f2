"""Images of data sets as what a network from a file takes: size, channels, order of axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import tinygrad_cnn.functional as F
from tinygrad_cnn.data import ImageDataset, Splits
from tinygrad_cnn.kernels.resample.taps import Along
from tinygrad_cnn.onnx.errors import OnnxError
from tinygrad_cnn.onnx.messages import Model, ValueInfo
from tinygrad_cnn.onnx.tensors import type_name

__all__ = ["Form", "form_of", "inputs_of", "resized"]

_CHANNELS = (1, 3)
_AT_ONCE = 256  # images that are resized together


@dataclass(frozen=True)
class Form:
    """The images that a network takes.

    Attributes
    ----------
    channels, height, width
        Of an image.
    last
        Whether channels are the last axis, as TensorFlow has them.
    """

    channels: int
    height: int
    width: int
    last: bool

    def arranged(self, images: Any) -> Any:
        """Return images (N, C, H, W) in the network's order of axes."""
        return F.permute(images, 0, 2, 3, 1) if self.last else images


def inputs_of(model: Model) -> list[ValueInfo]:
    """Return what a network must be given."""
    assert model.graph is not None
    known = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in known]


def form_of(model: Model, size: int | None = None) -> Form:
    """Return the images that a network takes.

    Parameters
    ----------
    model
        Of a single input of images.
    size
        Height and width, where the file leaves them open.

    Raises
    ------
    OnnxError
        If the file's input is not of images, or leaves a size open that is not given.
    """
    inputs = inputs_of(model)
    shape = _sizes(inputs[0]) if len(inputs) == 1 else None
    if shape is None or len(shape) != 4:
        shown = ", ".join(value.name for value in inputs)
        raise OnnxError(f"expects a network of one input of images (N, C, H, W), got {shown}")
    last = shape[1] not in _CHANNELS and shape[3] in _CHANNELS
    channels, height, width = (shape[3], *shape[1:3]) if last else shape[1:]
    if channels not in _CHANNELS:
        raise OnnxError(f"expects images of 1 or 3 channels, got an input of {shape}")
    if (height is None or width is None) and size is None:
        raise OnnxError(f"the input {inputs[0].name} is of any size: say which with --size N")
    if size is not None and any(side not in (None, size) for side in (height, width)):
        raise OnnxError(f"--size {size}: the network takes images of {height}×{width}")
    return Form(channels, height or size or 0, width or size or 0, last)


def _sizes(value: ValueInfo) -> list[int | None] | None:
    """Return the sizes of an input; None for those that are open."""
    tensor = value.type.tensor_type if value.type is not None else None
    if tensor is None or tensor.shape is None:
        return None
    if type_name(tensor.elem_type) != "float":
        raise OnnxError(f"the input {value.name} is of {type_name(tensor.elem_type)}, not of float")
    return [dim.size for dim in tensor.shape.dim]


def resized(splits: Splits, form: Form) -> Splits:
    """Return a data set whose images have a network's channels, height and width.

    Grey images are repeated, coloured ones averaged; sizes are changed by bilinear interpolation
    that counts every pixel.
    """
    return Splits(*(_resized(part, form) for part in splits))


def _resized(part: ImageDataset, form: Form) -> ImageDataset:
    images = part.images[:, None] if part.images.ndim == 3 else part.images  # (N, C, H, W)
    if images.shape[1] != form.channels:
        if form.channels == 1:
            images = np.rint(images.mean(1, keepdims=True)).astype(np.uint8)
        elif images.shape[1] == 1:
            images = np.repeat(images, form.channels, 1)
        else:
            raise OnnxError(f"images of {images.shape[1]} channels for a network of 3")
    size = form.height, form.width
    if images.shape[2:] != size:
        parts = [
            _scaled(images[at : at + _AT_ONCE], size) for at in range(0, len(images), _AT_ONCE)
        ]
        images = np.concatenate(parts) if parts else np.zeros((0, form.channels, *size), np.uint8)
    return ImageDataset(np.ascontiguousarray(images), part.labels, part.classes)


def _scaled(images: npt.NDArray[Any], size: tuple[int, int]) -> npt.NDArray[Any]:
    """Resize as `interpolate` does with antialias; as products, which is quicker for thousands."""
    down, right = (_weights(old, new) for old, new in zip(images.shape[2:], size, strict=True))
    values = down @ images.astype(np.float32) @ right.T
    scaled: npt.NDArray[Any] = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return scaled


def _weights(size: int, out_size: int) -> npt.NDArray[Any]:
    """Return the weights (out, in) of an axis."""
    weights = np.zeros((out_size, size), np.float32)
    for i, row in enumerate(Along("linear", size, out_size, (None, False, True)).rows()):
        for k, weight in row:
            weights[i, k] = weight
    return weights
