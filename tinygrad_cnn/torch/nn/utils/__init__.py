"""``torch.nn.utils``: with clipping, which stands in `optim` here."""

from tinygrad_cnn.nn.utils import *

del parametrizations, parametrize, prune  # noqa: F821  # the core's: the door's own come next

from tinygrad_cnn.optim import (
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
)
from tinygrad_cnn.torch.absent import absent
import tinygrad_cnn.torch.nn.utils.clip_grad as clip_grad
import tinygrad_cnn.torch.nn.utils.parametrizations as parametrizations
import tinygrad_cnn.torch.nn.utils.parametrize as parametrize
import tinygrad_cnn.torch.nn.utils.prune as prune

clip_grad_norm = clip_grad_norm_

__all__ = [
    "clip_grad",
    "clip_grad_norm",
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
    "parametrizations",
    "parametrize",
    "prune",
]

__getattr__ = absent("torch.nn.utils")
