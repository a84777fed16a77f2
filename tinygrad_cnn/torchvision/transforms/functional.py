"""``torchvision.transforms.functional``: see `tinygrad_cnn.data.transforms.functional`."""

from tinygrad_cnn.data.transforms.functional import *
from tinygrad_cnn.data.transforms.functional import InterpolationMode as InterpolationMode
from tinygrad_cnn.torchvision.absent import absent

__getattr__ = absent(
    "torchvision.transforms.functional",
    {
        "elastic_transform": "affine and perspective are",
        "get_image_num_channels": "get_dimensions is",
    },
    "adjust_brightness, adjust_contrast, affine and their like are",
)
