"""``torch.utils.checkpoint``."""

from tinygrad_cnn.checkpointing import checkpoint, checkpoint_sequential
from tinygrad_cnn.torch.absent import absent

__all__ = ["checkpoint", "checkpoint_sequential"]

__getattr__ = absent("torch.utils.checkpoint")
