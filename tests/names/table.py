"""The table of names: PyTorch's public names against ours.

`torch.txt` lists PyTorch's (of 2.13) by module. A name that is here under the same name needs no
line; what follows are the others. A name of PyTorch's that is neither here nor in this file is not
here yet.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

OURS = {
    "cast": "Tensor.to and Tensor.type, as a function",
    "drop_block2d": "torchvision's ops.drop_block2d",
    "stochastic_depth": "torchvision's ops.stochastic_depth",
    "sigmoid_focal_loss": "torchvision's ops.sigmoid_focal_loss",
    "getitem": "Tensor.__getitem__, as a function",
}
"""Functions of `functional` that neither PyTorch nor NumPy has under this name."""

LAYERS = {
    "batch_norm": ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm"),
    "instance_norm": ("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"),
    "binary_cross_entropy": ("BCELoss",),
    "binary_cross_entropy_with_logits": ("BCEWithLogitsLoss",),
    "interpolate": ("Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d"),
    "kl_div": ("KLDivLoss",),
    "pad": tuple(
        f"{kind}Pad{dims}d"
        for kind in ("Circular", "Constant", "Reflection", "Replication", "Zero")
        for dims in (1, 2, 3)
    ),
}
"""Layers of functions whose names do not tell: `softplus` and `Softplus`, `mse_loss` and `MSELoss`
are found without a line."""

ABSENT: dict[str, str] = {
    "torch.nn.functional.max_pool2d_with_indices": "max_pool2d(..., return_indices=True)",
}
"""PyTorch's names that are absent on purpose, and what to write instead."""

DIFFERENT = {
    "torch.compile": "gives back the function: there is no compiler",
    "torch.load": "reads files without executing anything in them; of a module its state_dict",
    "torch.nn.DataParallel": "gives back the module: there is one device",
    "torch.nn.SyncBatchNorm": "takes its statistics over the ranks of MPI",
    "torch.save": "saves a module's state_dict, with a warning: no file holds code",
    "torch.use_deterministic_algorithms": "changes nothing: a seed and threads decide the bits",
}
"""PyTorch's names that are here and mean something else, or less."""


@cache
def torch_names() -> dict[str, frozenset[str]]:
    """PyTorch's public names by module."""
    found: dict[str, list[str]] = {}
    module = ""
    for line in (Path(__file__).parent / "torch.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            module = line.strip("[]")
            found[module] = []
        else:
            found[module] += line.split()
    return {module: frozenset(names) for module, names in found.items()}


def layers_of(function: str) -> tuple[str, ...]:
    """PyTorch's layers of a function."""
    if function in LAYERS:
        return LAYERS[function]
    plain = function.replace("_", "").lower()
    return tuple(sorted(n for n in torch_names()["torch.nn"] if n.lower() == plain))
