"""``torch.utils.data.distributed``."""

from tinygrad_cnn.distributed import DistributedSampler
from tinygrad_cnn.torch.absent import absent

__all__ = ["DistributedSampler"]

__getattr__ = absent("torch.utils.data.distributed")
