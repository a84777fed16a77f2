"""``torchvision.ops``: what regularises networks, and a loss."""

from tinygrad_cnn.functional import drop_block2d, sigmoid_focal_loss, stochastic_depth
from tinygrad_cnn.nn import DropBlock2d, StochasticDepth
from tinygrad_cnn.torchvision.absent import absent

__all__ = [
    "DropBlock2d",
    "StochasticDepth",
    "drop_block2d",
    "sigmoid_focal_loss",
    "stochastic_depth",
]

__getattr__ = absent(
    "torchvision.ops",
    {},
    "of these, stochastic_depth, drop_block2d and sigmoid_focal_loss are; boxes are for detectors",
)
