"""Schedules of learning rates, under PyTorch's name for them.

`base` says what a schedule is; `formulas` are functions of the number of steps, `cycles` move
momenta too, `functions` take the user's own, `plateau` follows a measure, and `combined` holds
several.
"""

from tinygrad_cnn.optim.lr_scheduler.base import (
    LRScheduler,
    Schedule,
)
from tinygrad_cnn.optim.lr_scheduler.combined import (
    ChainedScheduler,
    SequentialLR,
)
from tinygrad_cnn.optim.lr_scheduler.cycles import (
    CyclicLR,
    OneCycleLR,
)
from tinygrad_cnn.optim.lr_scheduler.formulas import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from tinygrad_cnn.optim.lr_scheduler.functions import (
    LambdaLR,
    MultiplicativeLR,
)
from tinygrad_cnn.optim.lr_scheduler.plateau import (
    ReduceLROnPlateau,
)

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "Schedule",
    "SequentialLR",
    "StepLR",
]
