"""``torchvision.utils``: images in a grid, and as files."""

from tinygrad_cnn.data.grids import make_grid, save_image
from tinygrad_cnn.torchvision.absent import absent

__all__ = ["make_grid", "save_image"]

__getattr__ = absent(
    "torchvision.utils", {}, "make_grid and save_image are; Pillow's ImageDraw draws on images"
)
