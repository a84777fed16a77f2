"""``torch.backends.mkldnn``: not here."""

from tinygrad_cnn.torch.backends.cudnn import enabled, is_available

is_built = is_available

__all__ = ["enabled", "is_available", "is_built"]
