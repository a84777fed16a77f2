"""``torch.nn.utils.clip_grad``."""

from tinygrad_cnn.optim import clip_grad_norm_, clip_grad_value_
from tinygrad_cnn.torch.absent import absent

__all__ = ["clip_grad_norm_", "clip_grad_value_"]

__getattr__ = absent("torch.nn.utils.clip_grad")
