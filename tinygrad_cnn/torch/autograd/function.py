"""``torch.autograd.function``."""

from tinygrad_cnn.function import Function, once_differentiable
from tinygrad_cnn.torch.absent import absent

__all__ = ["Function", "once_differentiable"]

__getattr__ = absent("torch.autograd.function")
