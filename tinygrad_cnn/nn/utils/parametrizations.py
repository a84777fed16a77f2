"""Weights of a given norm: `weight_norm` and `spectral_norm`."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn.autograd import no_grad
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.nn.utils.parametrize import register_parametrization, remove_parametrizations
from tinygrad_cnn.random import default_generator
from tinygrad_cnn.tensor import Tensor

__all__ = ["remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm"]


class _WeightNorm(Module):
    """w = g · v / ‖v‖, the norm over all dimensions but one."""

    def __init__(self, dim: int | None) -> None:
        self.dim = dim

    def _norm(self, v: Any) -> Any:
        if self.dim is None:
            return F.vector_norm(v)
        axes = tuple(i for i in range(v.ndim) if i != self.dim % v.ndim)
        return F.vector_norm(v, 2, axes, True)

    def forward(self, g: Any, v: Any) -> Any:
        """Return the weight of norm g and direction v."""
        return v * (g / self._norm(v))

    def right_inverse(self, weight: Any) -> Any:
        """Return norm and direction of a weight."""
        return self._norm(weight), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Learn a weight's norm and direction apart: ``w = g · v / ‖v‖``; return the module.

    Parameters
    ----------
    module, name
        The module, and the name of its weight.
    dim
        The norm is over all other dimensions; None for one norm of all elements.

    Notes
    -----
    What is learnt stands at ``parametrizations.weight.original0`` (g) and ``original1`` (v).

    Source: Salimans and Kingma, "Weight normalization" (2016).

    >>> from tinygrad_cnn.nn import Linear
    >>> sorted(name for name, _ in weight_norm(Linear(2, 3)).named_parameters())[1:]
    ['parametrizations.weight.original0', 'parametrizations.weight.original1']
    """
    return register_parametrization(module, name, _WeightNorm(dim))


class _SpectralNorm(Module):
    """w / σ, where σ is the greatest singular value, found by the power method."""

    def __init__(self, weight: Tensor, n_power_iterations: int, dim: int, eps: float) -> None:
        self.n_power_iterations, self.dim, self.eps = n_power_iterations, dim, eps
        rows, columns = self._matrix(weight.detach()).shape
        for name, size in (("_u", rows), ("_v", columns)):
            drawn = default_generator().normal(size=size).astype(weight.dtype)
            self.register_buffer(name, Tensor(drawn / np.linalg.norm(drawn)))
        self._iterate(self._matrix(weight.detach()), 15)

    def _matrix(self, weight: Any) -> Any:
        moved = weight if self.dim == 0 else F.movedim(weight, self.dim, 0)
        return F.reshape(moved, (moved.shape[0], -1))

    def _iterate(self, matrix: Any, count: int) -> None:
        u: Any = vars(self)["_u"]
        v: Any = vars(self)["_v"]
        with no_grad():
            for _ in range(count):
                u.copy_(F.normalize(matrix @ v, 2, 0, self.eps))
                v.copy_(F.normalize(matrix.T @ u, 2, 0, self.eps))

    def forward(self, weight: Any) -> Any:
        """Return the weight divided by its greatest singular value."""
        matrix = self._matrix(weight)
        if self.training:
            self._iterate(matrix.detach(), self.n_power_iterations)
        u, v = vars(self)["_u"].clone(), vars(self)["_v"].clone()
        return weight / (u @ (matrix @ v))


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Divide a weight by its greatest singular value, followed step by step; return the module.

    Parameters
    ----------
    module, name
        The module, and the name of its weight.
    n_power_iterations
        Steps of the power method at each use in training.
    eps
        Least norm to divide by on the way.
    dim
        The dimension of the outputs: 0, and 1 for transposed convolutions.

    Source: Miyato et al., "Spectral normalization for generative adversarial networks" (2018).

    >>> from tinygrad_cnn.nn import Linear
    >>> layer = spectral_norm(Linear(4, 3)).eval()
    >>> bool(abs(np.linalg.norm(layer.weight.detach().numpy(), 2) - 1) < 0.1)
    True
    """
    if dim is None:
        dim = 1 if type(module).__name__.startswith("ConvTranspose") else 0
    weight: Any = getattr(module, name)
    return register_parametrization(
        module, name, _SpectralNorm(weight, n_power_iterations, dim, eps)
    )


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight a plain parameter again, of the value it has; return the module."""
    return remove_parametrizations(module, name)


remove_spectral_norm = remove_weight_norm
