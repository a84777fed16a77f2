"""``torchvision.models``: not here; `tinygrad_cnn.models` has networks of the same families.

They are built for images of 32×32, so their weights are not torchvision's. torchvision's own source
files run as they are, with its names mapped to this package's; its weights are read by
``load_weights``.
"""

from tinygrad_cnn.torchvision.absent import absent

__all__: list[str] = []

__getattr__ = absent(
    "torchvision.models",
    {},
    "tinygrad_cnn.models has networks of the same families, for images of 32×32",
)
