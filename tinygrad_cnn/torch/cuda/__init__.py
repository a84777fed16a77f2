"""``torch.cuda``: there is no graphics card here, and scripts that ask are told so."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.random import manual_seed
from tinygrad_cnn.torch.absent import absent
from tinygrad_cnn.torch.cuda import amp

__all__ = [
    "amp",
    "current_device",
    "device_count",
    "empty_cache",
    "get_device_name",
    "init",
    "is_available",
    "is_bf16_supported",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "memory_allocated",
    "reset_peak_memory_stats",
    "set_device",
    "synchronize",
]


def is_available() -> bool:
    """Return False."""
    return False


is_bf16_supported = is_initialized = is_available


def device_count() -> int:
    """Return 0."""
    return 0


def manual_seed_all(seed: int) -> None:
    """Accept: there is no other generator than `manual_seed`'s."""


def empty_cache() -> None:
    """Do nothing: there is no cache."""


def synchronize(device: Any = None) -> None:
    """Do nothing: operations are done when they return."""


reset_peak_memory_stats = synchronize


def memory_allocated(device: Any = None) -> int:
    """Return 0 bytes."""
    return 0


max_memory_allocated = memory_allocated


def _none(*args: Any) -> Any:
    """Raise: there is no graphics card."""
    raise RuntimeError("torch.cuda: there is no graphics card; ask torch.cuda.is_available() first")


init = current_device = get_device_name = set_device = _none

__getattr__ = absent("torch.cuda")
