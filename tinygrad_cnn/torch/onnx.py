"""``torch.onnx``: files of networks."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.onnx import save
from tinygrad_cnn.torch.absent import absent

__all__ = ["export"]


def export(model: Any, args: Any, f: Any, *words: Any, **options: Any) -> None:
    """Write a network as an ONNX file, as `tinygrad_cnn.onnx.save`; names are the module's own.

    Raises
    ------
    TypeError
        If the network takes several tensors: one is what is written.
    """
    several = args if isinstance(args, (tuple, list)) else (args,)
    if len(several) != 1:
        raise TypeError(f"torch.onnx.export: expects one input, got {len(several)}")
    save(model, several[0], f)


__getattr__ = absent("torch.onnx")
