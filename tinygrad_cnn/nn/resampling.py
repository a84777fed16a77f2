"""Modules that make images of other sizes: upsampling, pixels for channels, patches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tinygrad_cnn.functional as F
from tinygrad_cnn.nn.applying import Applies
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.ops.conv.arguments import Sizes

__all__ = [
    "ChannelShuffle",
    "Fold",
    "PixelShuffle",
    "PixelUnshuffle",
    "Unfold",
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
]


class Upsample(Module):
    """Resample signals, images or volumes to another size, as `functional.interpolate`.

    Input (N, C, H, W), result (N, C, OH, OW); likewise with one dimension or three.

    >>> import numpy as np
    >>> Upsample(scale_factor=2, mode="bilinear")(np.zeros((1, 3, 4, 4))).shape
    (1, 3, 8, 8)
    """

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        scale_factor: float | Sequence[float] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        self.size = size
        self.scale_factor = scale_factor
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Any) -> Any:
        """Apply `functional.interpolate`."""
        return F.interpolate(
            input,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.recompute_scale_factor,
        )

    def extra_repr(self) -> str:
        """Return the settings."""
        by_size = f"size={self.size}" if self.size is not None else ""
        return f"{by_size or f'scale_factor={self.scale_factor}'}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """`Upsample` of images by the nearest pixel.

    >>> import numpy as np
    >>> UpsamplingNearest2d(scale_factor=2)(np.ones((1, 1, 1, 1))).shape
    (1, 1, 2, 2)
    """

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        scale_factor: float | Sequence[float] | None = None,
    ) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """`Upsample` of images, bilinear with the corners' centres on each other.

    >>> import numpy as np
    >>> UpsamplingBilinear2d(size=3)(np.array([[[[0.0, 2.0], [4.0, 6.0]]]]))[0, 0]
    array([[0., 1., 2.],
           [2., 3., 4.],
           [4., 5., 6.]])
    """

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        scale_factor: float | Sequence[float] | None = None,
    ) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)


class PixelShuffle(Applies, Module):
    """Make each group of r² channels a square of r × r pixels.

    Input (…, C·r², H, W), result (…, C, H·r, W·r).

    >>> import numpy as np
    >>> PixelShuffle(2)(np.zeros((1, 8, 3, 3))).shape
    (1, 2, 6, 6)
    """

    function = staticmethod(F.pixel_shuffle)
    settings = ("upscale_factor",)

    def __init__(self, upscale_factor: int) -> None:
        self.upscale_factor = upscale_factor


class PixelUnshuffle(Applies, Module):
    """Make each square of r × r pixels r² channels.

    Input (…, C, H·r, W·r), result (…, C·r², H, W).

    >>> import numpy as np
    >>> PixelUnshuffle(2)(np.zeros((1, 2, 6, 6))).shape
    (1, 8, 3, 3)
    """

    function = staticmethod(F.pixel_unshuffle)
    settings = ("downscale_factor",)

    def __init__(self, downscale_factor: int) -> None:
        self.downscale_factor = downscale_factor


class ChannelShuffle(Applies, Module):
    """Deal the channels out: the first of each group comes first.

    >>> import numpy as np
    >>> ChannelShuffle(2)(np.arange(4.0).reshape(1, 4, 1)).reshape(-1)
    array([0., 2., 1., 3.])
    """

    function = staticmethod(F.channel_shuffle)
    settings = ("groups",)

    def __init__(self, groups: int) -> None:
        self.groups = groups


class Unfold(Applies, Module):
    """Take every window of an image as a column.

    Input (N, C, H, W), result (N, C · KH · KW, L).

    >>> import numpy as np
    >>> Unfold(3, padding=1)(np.zeros((1, 2, 5, 5))).shape
    (1, 18, 25)
    """

    function = staticmethod(F.unfold)
    settings = ("kernel_size", "dilation", "padding", "stride")

    def __init__(
        self, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1
    ) -> None:
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride


class Fold(Applies, Module):
    """Add every column to its window of an image of zeros.

    Input (N, C · KH · KW, L), result (N, C, H, W).

    >>> import numpy as np
    >>> Fold((5, 5), 3, padding=1)(np.zeros((1, 18, 25))).shape
    (1, 2, 5, 5)
    """

    function = staticmethod(F.fold)
    settings = ("output_size", "kernel_size", "dilation", "padding", "stride")

    def __init__(
        self,
        output_size: Sizes,
        kernel_size: Sizes,
        dilation: Sizes = 1,
        padding: Sizes = 0,
        stride: Sizes = 1,
    ) -> None:
        self.output_size = output_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride
