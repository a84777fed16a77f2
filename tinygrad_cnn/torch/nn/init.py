"""``torch.nn.init``, with the names of old."""

from tinygrad_cnn.nn.init import *
from tinygrad_cnn.nn.init import (
    calculate_fan_in_and_fan_out as _calculate_fan_in_and_fan_out,
    constant_ as constant,
    kaiming_normal_ as kaiming_normal,
    kaiming_uniform_ as kaiming_uniform,
    normal_ as normal,
    orthogonal_ as orthogonal,
    uniform_ as uniform,
    xavier_normal_ as xavier_normal,
    xavier_uniform_ as xavier_uniform,
)
from tinygrad_cnn.torch.absent import absent

__all__ = [
    "_calculate_fan_in_and_fan_out",
    "constant",
    "kaiming_normal",
    "kaiming_uniform",
    "normal",
    "orthogonal",
    "uniform",
    "xavier_normal",
    "xavier_uniform",
]

__getattr__ = absent("torch.nn.init")
