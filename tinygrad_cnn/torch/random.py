"""``torch.random``: the default generator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tinygrad_cnn.random import default_generator as _default
from tinygrad_cnn.random import get_rng_state, manual_seed, set_rng_state
from tinygrad_cnn.torch.absent import absent
from tinygrad_cnn.torch.words import initial_seed, seed

__all__ = ["fork_rng", "get_rng_state", "initial_seed", "manual_seed", "seed", "set_rng_state"]


@contextmanager
def fork_rng(*args: Any, enabled: bool = True, **kwargs: Any) -> Iterator[None]:
    """Put the default generator back at the end."""
    state = get_rng_state()
    try:
        yield
    finally:
        if enabled:
            set_rng_state(state)


default_generator = _default()

__getattr__ = absent("torch.random")
