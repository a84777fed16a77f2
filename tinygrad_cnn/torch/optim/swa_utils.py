"""``torch.optim.swa_utils``."""

from tinygrad_cnn.optim.swa_utils import *
from tinygrad_cnn.torch.absent import absent

__getattr__ = absent("torch.optim.swa_utils")
