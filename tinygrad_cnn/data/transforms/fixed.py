"""Transforms that do the same to every image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.data.collate import fresh
from tinygrad_cnn.data.transforms import functional as F
from tinygrad_cnn.data.transforms.resampling import InterpolationMode
from tinygrad_cnn.tensor import Tensor, as_tensor

__all__ = [
    "CenterCrop",
    "ConvertImageDtype",
    "FiveCrop",
    "Grayscale",
    "LinearTransformation",
    "Normalize",
    "PILToTensor",
    "Pad",
    "Resize",
    "TenCrop",
    "ToPILImage",
    "ToTensor",
]

Size = int | Sequence[int]


@dataclass
class ToTensor:
    """Make a tensor (C, H, W) of an image of Pillow or an array; uint8 becomes 0 to 1.

    >>> ToTensor()(np.full((2, 2), 51, np.uint8)).shape
    (1, 2, 2)
    """

    def __call__(self, pic: Any) -> Tensor:
        """Return the tensor."""
        return F.to_tensor(pic)


@dataclass
class PILToTensor:
    """Make a tensor (C, H, W) of an image of Pillow, its numbers as they are."""

    def __call__(self, pic: Any) -> Tensor:
        """Return the tensor."""
        return F.pil_to_tensor(pic)


@dataclass
class ToPILImage:
    """Make an image of Pillow of a tensor or an array; see `functional.to_pil_image`."""

    mode: str | None = None

    def __call__(self, pic: Any) -> Any:
        """Return the image."""
        return F.to_pil_image(pic, self.mode)


@dataclass
class ConvertImageDtype:
    """Change the type of a tensor's numbers, scaled to that type's range."""

    dtype: npt.DTypeLike

    def __call__(self, image: Any) -> Any:
        """Return the image."""
        return F.convert_image_dtype(image, self.dtype)


@dataclass
class Normalize:
    """Shift and scale each channel of a tensor: (x − mean) / std.

    >>> image = ToTensor()(np.full((1, 1), 255, np.uint8))
    >>> Normalize((0.5,), (0.25,))(image)
    tensor([[[2.]]])
    """

    mean: float | Sequence[float]
    std: float | Sequence[float]
    inplace: bool = False

    def __call__(self, tensor: Any) -> Any:
        """Return the normalised image."""
        return F.normalize(tensor, self.mean, self.std, self.inplace)


@dataclass
class Resize:
    """Scale images to a height and width or, given one number, to that smaller side.

    >>> Resize(10)(np.zeros((20, 30, 3), np.uint8)).shape
    (10, 15, 3)
    """

    size: Size
    interpolation: Any = InterpolationMode.BILINEAR
    max_size: int | None = None
    antialias: bool | None = True

    def __call__(self, img: Any) -> Any:
        """Return the scaled image."""
        return F.resize(img, self.size, self.interpolation, self.max_size, self.antialias)


@dataclass
class CenterCrop:
    """Cut the middle out of images.

    >>> CenterCrop(2)(np.zeros((4, 6))).shape
    (2, 2)
    """

    size: Size

    def __call__(self, img: Any) -> Any:
        """Return the middle."""
        return F.center_crop(img, self.size)


@dataclass
class Pad:
    """Give images a border; see `functional.pad`.

    >>> Pad(2)(np.zeros((4, 6))).shape
    (8, 10)
    """

    padding: Size
    fill: float | Sequence[float] = 0
    padding_mode: str = "constant"

    def __call__(self, img: Any) -> Any:
        """Return the larger image."""
        return F.pad(img, self.padding, self.fill, self.padding_mode)


@dataclass
class FiveCrop:
    """Make of an image a tuple: its four corners and its middle."""

    size: Size

    def __call__(self, img: Any) -> tuple[Any, ...]:
        """Return five images."""
        return F.five_crop(img, self.size)


@dataclass
class TenCrop:
    """Make of an image a tuple: corners and middle, of it and of its mirror image."""

    size: Size
    vertical_flip: bool = False

    def __call__(self, img: Any) -> tuple[Any, ...]:
        """Return ten images."""
        return F.ten_crop(img, self.size, self.vertical_flip)


@dataclass
class Grayscale:
    """Make images grey, of one channel or three."""

    num_output_channels: int = 1

    def __call__(self, img: Any) -> Any:
        """Return the grey image."""
        return F.rgb_to_grayscale(img, self.num_output_channels)


class LinearTransformation:
    """Flatten an image's D numbers x, and return (x − mean) W in its shape (whitening).

    Parameters
    ----------
    transformation_matrix
        W of shape (D, D).
    mean_vector
        The mean, of shape (D,).

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """

    def __init__(self, transformation_matrix: Any, mean_vector: Any) -> None:
        matrix, mean = as_tensor(transformation_matrix), as_tensor(mean_vector)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or mean.size != len(matrix):
            raise ValueError(
                "LinearTransformation: expects a square matrix and as many means, "
                f"got shapes {matrix.shape} and {mean.shape}"
            )
        self.transformation_matrix = matrix
        self.mean_vector = mean

    def __call__(self, tensor: Any) -> Any:
        """Return the image."""
        array, matrix = np.asarray(tensor), np.asarray(self.transformation_matrix)
        if array.size % len(matrix):
            raise ValueError(
                f"LinearTransformation: {len(matrix)} numbers are expected, got {array.shape}"
            )
        flat = array.reshape(-1, len(matrix)) - np.asarray(self.mean_vector).reshape(-1)
        return fresh((flat @ matrix).reshape(array.shape))
