"""``torch.optim.lr_scheduler``."""

from tinygrad_cnn.optim.lr_scheduler import *
from tinygrad_cnn.optim.lr_scheduler import LRScheduler
from tinygrad_cnn.torch.absent import absent

_LRScheduler = LRScheduler

__getattr__ = absent("torch.optim.lr_scheduler")
