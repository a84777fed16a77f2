"""``torch.utils.data.dataloader``: the names of `data`."""

from tinygrad_cnn.data import *
from tinygrad_cnn.torch.absent import absent

__getattr__ = absent("torch.utils.data.dataloader")
