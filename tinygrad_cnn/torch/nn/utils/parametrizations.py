"""``torch.nn.utils.parametrizations``."""

from tinygrad_cnn.nn.utils.parametrizations import *
from tinygrad_cnn.torch.absent import absent

__getattr__ = absent("torch.nn.utils.parametrizations")
