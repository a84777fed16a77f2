"""``torch.nn.modules.module``."""

from tinygrad_cnn.nn import Module

__all__ = ["Module"]
