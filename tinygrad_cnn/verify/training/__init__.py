"""The whole training step: what can be wrong in it although every gradient is right.

`check_training` runs a step or two and experiments with the loss; `watch_training` looks at the
steps of whatever runs inside. Both leave everything as it was, and say in a sentence each what they
found::

    evidence    Steps: what was recorded, from which leaves, gradients and values before and after
       |
       +---- parameters   missing, twice, unreached, frozen, zero, sharing memory
       +---- pictures     pixels to 255, NHWC, dead units, losses that broadcast, softmax twice
       +---- updates      the optimiser's formula, gradients not cleared, statistics that never move
       |
    experiments other targets, parts of the batch, a step further, the slope of the loss
       |
    findings    a `TrainingReport` of sentences
"""

from tinygrad_cnn.verify.training.checking import check_training, watch_training
from tinygrad_cnn.verify.training.findings import TrainingError, TrainingFinding, TrainingReport

__all__ = [
    "TrainingError",
    "TrainingFinding",
    "TrainingReport",
    "check_training",
    "watch_training",
]
