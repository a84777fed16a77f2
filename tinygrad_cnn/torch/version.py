"""``torch.version``: whose names these are."""

from __future__ import annotations

__version__ = "2.13.0"
cuda = hip = git_version = None
debug = False

__all__ = ["cuda", "debug", "git_version", "hip"]
