"""``torch.nn.parameter``."""

from tinygrad_cnn.nn import Buffer, Parameter
from tinygrad_cnn.torch.absent import absent

__all__ = ["Buffer", "Parameter"]

__getattr__ = absent("torch.nn.parameter")
