"""``torch.func``."""

from tinygrad_cnn.func import *
from tinygrad_cnn.torch.absent import absent

__getattr__ = absent("torch.func")
