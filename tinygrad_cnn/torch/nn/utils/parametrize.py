"""``torch.nn.utils.parametrize``."""

from tinygrad_cnn.nn.utils.parametrize import *
from tinygrad_cnn.torch.absent import absent

__getattr__ = absent("torch.nn.utils.parametrize")
