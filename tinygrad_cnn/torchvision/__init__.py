"""torchvision's names: ``from tinygrad_cnn.torchvision import datasets, transforms``.

Everything in here is found elsewhere in the package too, mostly in `tinygrad_cnn.data`; this door
only has it where torchvision does.

>>> from tinygrad_cnn.torchvision import datasets, transforms
>>> noise = datasets.FakeData(2, (3, 8, 8), transform=transforms.ToTensor())
>>> noise[0][0].shape
(3, 8, 8)
"""

from tinygrad_cnn import __version__ as __version__
from tinygrad_cnn.torchvision import datasets, io, models, ops, transforms, utils

__all__ = ["datasets", "io", "models", "ops", "transforms", "utils"]


def set_image_backend(backend: str) -> None:
    """Choose what reads images: "PIL" is what there is.

    Raises
    ------
    ValueError
        If it is something else.
    """
    if backend != "PIL":
        raise ValueError(f"set_image_backend: images are read with PIL, got {backend!r}")


def get_image_backend() -> str:
    """Return what reads images."""
    return "PIL"
