"""``torchvision.transforms``: see `tinygrad_cnn.data.transforms`."""

from tinygrad_cnn.data.transforms import *
from tinygrad_cnn.data.transforms import InterpolationMode as InterpolationMode
from tinygrad_cnn.torchvision.absent import absent
from tinygrad_cnn.torchvision.transforms import functional as functional  # type: ignore[no-redef]
from tinygrad_cnn.torchvision.transforms import v2 as v2

__getattr__ = absent(
    "torchvision.transforms",
    {
        "AugMix": "AutoAugment, RandAugment and TrivialAugmentWide are",
        "ElasticTransform": "RandomAffine and RandomPerspective are",
    },
    "Lambda makes a transform of any function",
)
