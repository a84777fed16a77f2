"""``torch.nn.utils.prune``."""

from tinygrad_cnn.nn.utils.prune import *
from tinygrad_cnn.torch.absent import absent

__getattr__ = absent("torch.nn.utils.prune")
