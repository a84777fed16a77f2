"""``torchvision.transforms.v2``: the transforms of images under their newer names.

An image goes in and an image comes out; boxes, masks and labels beside it are not transformed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.data.transforms import *
from tinygrad_cnn.data.transforms import InterpolationMode as InterpolationMode
from tinygrad_cnn.data.transforms.kinds import is_pillow
from tinygrad_cnn.tensor import Tensor, as_tensor
from tinygrad_cnn.torchvision.absent import absent
from tinygrad_cnn.torchvision.transforms import functional as functional  # type: ignore[no-redef]
from tinygrad_cnn.torchvision.transforms.functional import convert_image_dtype, pil_to_tensor

__getattr__ = absent(
    "torchvision.transforms.v2", {}, "torchvision.transforms has the transforms of images"
)


@dataclass
class ToImage:
    """Make a tensor (C, H, W) of an image of Pillow or an array, its numbers as they are."""

    def __call__(self, image: Any) -> Tensor:
        """Return the tensor."""
        if isinstance(image, Tensor):
            return image
        if is_pillow(image):
            return pil_to_tensor(image)
        array = np.atleast_3d(image)
        return as_tensor(np.ascontiguousarray(np.moveaxis(array, -1, 0)))


@dataclass
class ToDtype:
    """Change the type of a tensor's numbers; with `scale`, to that type's range."""

    dtype: npt.DTypeLike
    scale: bool = False

    def __call__(self, image: Tensor) -> Tensor:
        """Return the tensor."""
        if self.scale:
            converted: Tensor = convert_image_dtype(image, self.dtype)
            return converted
        return as_tensor(image.numpy().astype(self.dtype))


@dataclass
class ToPureTensor:
    """Return the tensor: it is a pure one."""

    def __call__(self, image: Tensor) -> Tensor:
        """Return the tensor."""
        return image
