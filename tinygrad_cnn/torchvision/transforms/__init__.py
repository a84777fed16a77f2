"""``torchvision.transforms``: see `tinygrad_cnn.data.transforms`."""

from tinygrad_cnn.data.transforms import *
from tinygrad_cnn.data.transforms import InterpolationMode as InterpolationMode
from tinygrad_cnn.torchvision.absent import absent
from tinygrad_cnn.torchvision.transforms import functional as functional  # type: ignore[no-redef]
from tinygrad_cnn.torchvision.transforms import v2 as v2

_POLICIES = "RandomApply and RandomChoice put transforms together, with their probabilities"

__getattr__ = absent(
    "torchvision.transforms",
    {
        "AugMix": _POLICIES,
        "AutoAugment": _POLICIES,
        "AutoAugmentPolicy": _POLICIES,
        "RandAugment": _POLICIES,
        "TrivialAugmentWide": _POLICIES,
        "ElasticTransform": "RandomAffine is",
        "RandomPerspective": "RandomAffine is",
        "RandomAdjustSharpness": "GaussianBlur is",
        "RandomAutocontrast": "ColorJitter is",
        "RandomEqualize": "ColorJitter is",
    },
    "Lambda makes a transform of any function",
)
