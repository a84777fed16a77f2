"""What can be wrong with an ONNX file or with a network that is to become one."""

from __future__ import annotations

__all__ = ["OnnxError"]


class OnnxError(ValueError):
    """A file is damaged, asks for what is not there, or a network cannot be written as one."""
