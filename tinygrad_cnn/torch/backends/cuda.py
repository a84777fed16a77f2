"""``torch.backends.cuda``: not here."""

from __future__ import annotations

from types import SimpleNamespace

from tinygrad_cnn.torch.backends.cudnn import is_available

is_built = is_available
matmul = SimpleNamespace(allow_tf32=False)

__all__ = ["is_available", "is_built", "matmul"]
