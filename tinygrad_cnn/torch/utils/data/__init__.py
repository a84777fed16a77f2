"""``torch.utils.data``."""

from tinygrad_cnn.data import *
from tinygrad_cnn.torch.absent import absent
import tinygrad_cnn.torch.utils.data.dataloader as dataloader
import tinygrad_cnn.torch.utils.data.dataset as dataset
import tinygrad_cnn.torch.utils.data.sampler as sampler

__getattr__ = absent("torch.utils.data")
