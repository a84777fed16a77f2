"""``torch.cuda.amp``."""

from tinygrad_cnn.torch.amp import *
from tinygrad_cnn.torch.absent import absent

__getattr__ = absent("torch.cuda.amp")
