"""Optimisers, schedules of learning rates, and clipping of gradients.

>>> from tinygrad_cnn import tensor
>>> p = tensor([4.0], requires_grad=True)
>>> optimizer = SGD([p], lr=0.25)
>>> for _ in range(2):
...     optimizer.zero_grad()
...     (p * p).sum().backward()
...     optimizer.step()
>>> p
tensor([1.], requires_grad=True)
"""

from tinygrad_cnn.optim.adam import Adam, AdamW
from tinygrad_cnn.optim.clip import clip_grad_norm_, clip_grad_value_
from tinygrad_cnn.optim.optimizer import Optimizer
from tinygrad_cnn.optim.rmsprop import RMSprop
from tinygrad_cnn.optim.schedules import CosineAnnealingLR, OneCycleLR, Schedule, StepLR
from tinygrad_cnn.optim.sgd import SGD

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "OneCycleLR",
    "Optimizer",
    "RMSprop",
    "Schedule",
    "StepLR",
    "clip_grad_norm_",
    "clip_grad_value_",
]
