"""``torch.optim``."""

from tinygrad_cnn.optim import *

del lr_scheduler, swa_utils  # noqa: F821  # the core's: the door's own come next

from tinygrad_cnn.torch.absent import absent
import tinygrad_cnn.torch.optim.lr_scheduler as lr_scheduler
import tinygrad_cnn.torch.optim.swa_utils as swa_utils

__getattr__ = absent("torch.optim")
