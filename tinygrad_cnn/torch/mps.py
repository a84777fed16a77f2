"""``torch.mps``: there is none here."""

from __future__ import annotations

from tinygrad_cnn.torch.absent import absent
from tinygrad_cnn.torch.cuda import (
    device_count,
    empty_cache,
    is_available,
    manual_seed,
    synchronize,
)

__all__ = ["device_count", "empty_cache", "is_available", "manual_seed", "synchronize"]

__getattr__ = absent("torch.mps")
