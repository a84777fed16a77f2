"""What is done to the parameters of modules: clipped, laid side by side, normalised, folded.

`vectors` lays parameters side by side, `parametrize` computes a parameter from others, with the
two of `parametrizations`, `prune` sets weights to zero, `fusion` folds normalisations into
convolutions. Clipping of gradients stands in `optim`.
"""

from typing import NoReturn

from tinygrad_cnn.nn.utils import parametrizations, parametrize, prune
from tinygrad_cnn.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval
from tinygrad_cnn.nn.utils.parametrizations import (
    remove_spectral_norm,
    remove_weight_norm,
    spectral_norm,
    weight_norm,
)
from tinygrad_cnn.nn.utils.vectors import parameters_to_vector, vector_to_parameters

__all__ = [
    "fuse_conv_bn_eval",
    "fuse_linear_bn_eval",
    "parameters_to_vector",
    "parametrizations",
    "parametrize",
    "prune",
    "remove_spectral_norm",
    "remove_weight_norm",
    "spectral_norm",
    "vector_to_parameters",
    "weight_norm",
]


def __getattr__(name: str) -> NoReturn:
    """Say where a name of PyTorch's is that other packages have here."""
    where = f"; optim.{name} clips gradients" if name.startswith("clip_grad") else ""
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{where}")
