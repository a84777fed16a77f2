"""From one kind of image to another, and from one type of numbers to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.data.collate import fresh
from tinygrad_cnn.data.transforms.kinds import (
    from_planes,
    is_pillow,
    largest_of,
    pillow,
    planes_of,
)
from tinygrad_cnn.tensor import Tensor

__all__ = ["convert_image_dtype", "normalize", "pil_to_tensor", "to_pil_image", "to_tensor"]


def to_tensor(pic: Any) -> Tensor:
    """Make a tensor (C, H, W) of an image of Pillow or an array (H, W) or (H, W, C).

    Pixels of uint8 become float32 from 0 to 1, and those of Pillow's mode "1" zeros and ones; other
    numbers stay what they are.

    Raises
    ------
    TypeError
        If it is something else.

    >>> to_tensor(np.full((2, 2, 3), 51, np.uint8)).shape
    (3, 2, 2)
    """
    if not isinstance(pic, np.ndarray) and not is_pillow(pic):
        raise TypeError(
            f"to_tensor: expects an image of Pillow or an array, got {type(pic).__name__}"
        )
    planes = planes_of(pic, "to_tensor")
    if planes.dtype == np.uint8:
        return fresh(np.divide(planes, np.float32(255), dtype=np.float32, order="C"))
    if planes.dtype == bool:
        return fresh(planes.astype(np.float32))
    return fresh(np.array(planes, order="C"))


def pil_to_tensor(pic: Any) -> Tensor:
    """Make a tensor (C, H, W) of an image of Pillow, its numbers as they are."""
    if not is_pillow(pic):
        raise TypeError(f"pil_to_tensor: expects an image of Pillow, got {type(pic).__name__}")
    planes = planes_of(pic, "pil_to_tensor")
    if planes.dtype == bool:
        planes = planes * np.uint8(255)
    return fresh(np.array(planes, order="C"))


_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """Make an image of Pillow of a tensor (C, H, W) or (H, W), or an array (H, W) or (H, W, C).

    Floating-point tensors are taken to be from 0 to 1. `mode` is one of Pillow's that fits the
    number of channels; None is grey, "LA", "RGB" or "RGBA".

    Raises
    ------
    ValueError
        If there are no 1 to 4 channels, or `mode` does not fit them.
    ImportError
        If Pillow is not installed.
    """
    Image = pillow("to_pil_image")
    planes = planes_of(pic, "to_pil_image")
    if planes.ndim != 3 or planes.shape[0] not in _MODES:
        raise ValueError(f"to_pil_image: expects 1 to 4 channels, got shape {planes.shape}")
    if isinstance(pic, Tensor) and planes.dtype.kind == "f" and mode != "F":
        planes = (planes * 255).astype(np.uint8)
    channels = planes.shape[0]
    array = planes[0] if channels == 1 else np.moveaxis(planes, 0, -1)
    if array.dtype not in (np.uint8, np.int16, np.int32, np.float32) or (
        channels > 1 and array.dtype != np.uint8
    ):
        raise ValueError(
            f"to_pil_image: Pillow has no images of {channels} channels of {array.dtype}"
        )
    if array.dtype == np.int16:
        array = array.astype(np.uint16)
    image = Image.fromarray(np.ascontiguousarray(array))
    if mode is None or mode == image.mode:
        return image
    if len(Image.new(mode, (1, 1)).getbands()) != channels:
        raise ValueError(f"to_pil_image: mode {mode} does not have {channels} channels")
    if channels == 1:
        return image.convert(mode)
    return Image.frombytes(mode, image.size, image.tobytes())  # the same numbers, read otherwise


def convert_image_dtype(image: Any, dtype: npt.DTypeLike = np.float32) -> Any:
    """Return an image, tensor or array, in another dtype, its values scaled to that type's range.

    >>> convert_image_dtype(np.array([[0, 51, 255]], np.uint8))
    array([[0. , 0.2, 1. ]], dtype=float32)
    """
    planes, target = planes_of(image, "convert_image_dtype"), np.dtype(dtype)
    if planes.dtype == target:
        return image
    most, white = largest_of(planes.dtype), largest_of(target)
    if target.kind == "f":
        out = planes.astype(target)
        if planes.dtype.kind != "f":
            out /= most
        return from_planes(out, image)
    if planes.dtype.kind == "f":
        if white >= 2.0 ** np.finfo(planes.dtype).nmant:
            raise ValueError(
                f"convert_image_dtype: {planes.dtype} is not exact enough for {target}"
            )
        # Each integer has an equal part of the values from 0 to 1.
        return from_planes((planes * (white + 1 - 1e-3)).astype(target), image)
    ratio = int((white + 1) // (most + 1)) or int((most + 1) // (white + 1))
    out = planes.astype(np.int64)
    return from_planes((out * ratio if white > most else out // ratio).astype(target), image)


def normalize(
    tensor: Any, mean: float | Sequence[float], std: float | Sequence[float], inplace: bool = False
) -> Any:
    """Shift and scale each channel: (x − mean) / std. Of a tensor with a gradient it is recorded.

    Parameters
    ----------
    tensor
        A floating-point tensor (…, C, H, W), or an array (H, W, C).
    mean, std
        A number for each channel, or one for all.
    inplace
        Write the result to the memory of the image.

    Raises
    ------
    TypeError
        If the image does not hold floating-point numbers.
    ValueError
        If it has no three dimensions, or `std` holds a zero.

    >>> normalize(to_tensor(np.full((1, 1), 255, np.uint8)), 0.5, 0.25)
    tensor([[[2.]]])
    """
    if not isinstance(tensor, (Tensor, np.ndarray)) or tensor.dtype.kind != "f":
        kind = getattr(tensor, "dtype", type(tensor).__name__)
        raise TypeError(
            f"normalize: expects a tensor of floating-point numbers, got {kind}; ToTensor makes one"
        )
    if tensor.ndim < 3:
        raise ValueError(f"normalize: expects a tensor (…, C, H, W), got shape {tensor.shape}")
    side = (-1, 1, 1) if isinstance(tensor, Tensor) else (-1,)
    shift, scale = (np.asarray(v, tensor.dtype).reshape(side) for v in (mean, std))
    if not scale.all():
        raise ValueError(f"normalize: std must not be zero, got {std}")
    if inplace:
        tensor -= shift
        tensor /= scale
        return tensor
    if isinstance(tensor, Tensor) and not tensor.requires_grad:
        out = tensor._data - shift
        out /= scale
        return fresh(out)
    return (tensor - shift) / scale
