"""``torch.linalg``."""

from tinygrad_cnn.linalg import *
from tinygrad_cnn.torch.absent import absent

__getattr__ = absent("torch.linalg")
