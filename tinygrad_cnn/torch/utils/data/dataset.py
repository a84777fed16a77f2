"""``torch.utils.data.dataset``: the names of `data`."""

from tinygrad_cnn.data import *
from tinygrad_cnn.torch.absent import absent

__getattr__ = absent("torch.utils.data.dataset")
