"""``torch.utils.data.dataloader``."""

from tinygrad_cnn.data import DataLoader, default_collate, default_convert, get_worker_info
from tinygrad_cnn.torch.absent import absent

__all__ = ["DataLoader", "default_collate", "default_convert", "get_worker_info"]

__getattr__ = absent("torch.utils.data.dataloader")
