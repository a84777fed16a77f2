"""``torch.utils``."""

from tinygrad_cnn.torch.absent import absent
from tinygrad_cnn.torch.utils import checkpoint, data

__all__ = ["checkpoint", "data"]

__getattr__ = absent("torch.utils")
