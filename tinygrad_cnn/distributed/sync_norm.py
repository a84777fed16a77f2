"""`SyncBatchNorm`: batch normalisation by the statistics of the joint batch of all ranks."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

import numpy as np

from tinygrad_cnn import nn
from tinygrad_cnn.distributed.collectives import all_gather
from tinygrad_cnn.distributed.world import world
from tinygrad_cnn.graph import GraphError
from tinygrad_cnn.kernels.norm import batch_norm as kernels
from tinygrad_cnn.kernels.reduce.moments import batch_statistics
from tinygrad_cnn.op import Op
from tinygrad_cnn.ops.norm import BatchNorm, check_batch_norm, move_towards
from tinygrad_cnn.types import Array

__all__ = ["SyncBatchNorm"]


class NormalizeTogether(Op):
    """Normalise each channel by mean and biased variance of the batches of all ranks.

    aux: mean, variance, values of a channel on this rank, and on all.
    """

    __slots__ = ("by_samples", "eps")
    widens = True
    saves = ("x", "weight", "bias")
    has_aux = True
    optional = True

    def __init__(self, eps: float, by_samples: bool) -> None:
        self.eps = eps
        self.by_samples = by_samples

    def forward(self, x: Any, weight: Any, bias: Any) -> Any:
        """Compute the statistics together, and normalise."""
        own = x.size // x.shape[1]
        mean, var, count = _joint_statistics(x, own)
        y = kernels.normalize(x, kernels.Factors(mean, self._inverse_std(var), weight, bias))
        return y, (mean, var, own, count)

    def _inverse_std(self, var: Array) -> Array:
        inverse: Array = (1.0 / np.sqrt(var + self.eps)).astype(var.dtype, copy=False)
        return inverse

    def backward(
        self,
        g: Any,
        out: Any,  # noqa: ARG002  # the protocol of rules
        x: Any,
        weight: Any,
        bias: Any,  # noqa: ARG002
        *,
        aux: Any,
    ) -> tuple[Any, ...]:
        """Differentiate, in the unit of this rank's own loss.

        With S_r and P_r the sums of g and of ``g · x̂`` on rank r, m_r its values of a channel and
        m those of all, ``gx = weight · inverse_std · (g − S − x̂ · P)`` where
        ``S = Σ_s m_s S_s / (m_r · m)`` and P alike: the joint loss is ``Σ_s m_s/m · loss_s``, and
        `DataParallel` gives gx its factor ``m_r/m``. Where all ranks count the same,
        ``S = Σ_s S_s / m``.
        """
        mean, var, own, count = aux
        inverse = self._inverse_std(var)
        factors = kernels.Factors(mean, inverse, weight)
        gx, gweight, gbias = kernels.batch_norm_eval_gradient(g, x, factors)
        share = own / count if self.by_samples else 1 / world().size
        sums = np.stack([gbias, gweight]).astype(np.float64)
        joint = sum(all_gather(sums * share)) / (share * count)
        if own:
            shape = (-1,) + (1,) * (x.ndim - 2)
            scale = inverse if weight is None else inverse * weight
            # gx − scale · (S + x̂ · P), with x̂ = (x − mean) · inverse
            slope = scale * joint[1] * inverse
            offset = scale * joint[0] - slope * mean
            gx = gx - (
                x * slope.reshape(shape).astype(x.dtype) + offset.reshape(shape).astype(x.dtype)
            )
        return gx, gweight, gbias

    def reference(self, x: Any, weight: Any, bias: Any) -> Any:
        """Compute the same in plain operations, in a world of one process."""
        if world().size > 1:
            raise GraphError(
                "SyncBatchNorm: create_graph=True would leave the other ranks out of the second "
                "derivative: use nn.BatchNorm2d"
            )
        return BatchNorm(self.eps).reference(x, weight, bias)


def _joint_statistics(x: Array, own: int) -> tuple[Array, Array, int]:
    """Return each channel's mean and biased variance over all ranks, and its number of values.

    Those of the ranks are merged as in Chan, Golub and LeVeque (1979), in float64 and in the order
    of ranks: so all get the same bits.
    """
    channels = x.shape[1]
    mean, var = batch_statistics(x) if own else (np.zeros(channels), np.zeros(channels))
    row = np.concatenate([[own], mean.astype(np.float64), var.astype(np.float64)])
    rows = np.stack(all_gather(row))
    counts, means, variances = rows[:, :1], rows[:, 1 : 1 + channels], rows[:, 1 + channels :]
    count = counts.sum()
    if count < 2:
        raise ValueError(
            "SyncBatchNorm: expects more than one value a channel on all ranks together, "
            f"got {count:.0f}"
        )
    joint = (counts * means).sum(0) / count
    spread = (counts * (variances + (means - joint) ** 2)).sum(0) / count
    return joint.astype(x.dtype), spread.astype(x.dtype), int(count)


class SyncBatchNorm(nn.SyncBatchNorm):
    """Normalise each channel over the joint batch of all ranks; otherwise as `nn.BatchNorm2d`.

    So a network learns as it would in one process that sees all of the batch. Each call in
    training sends 2·C numbers to all, and each backward pass as many. Inputs (N, C), (N, C, L),
    (N, C, H, W) or (N, C, D, H, W); a rank may have an empty one.

    Attributes
    ----------
    average
        What a rank's loss counts in the joint one, "samples" or "ranks": as in `DataParallel`,
        which sets it.

    Raises
    ------
    ValueError
        When called: if the input does not fit, or all ranks together have one value a channel.
    GraphError
        In a backward pass with ``create_graph=True``.

    >>> SyncBatchNorm(2)(np.array([[1, 5], [3, 9]], np.float32)).detach().numpy().round(3)
    array([[-1., -1.],
           [ 1.,  1.]], dtype=float32)
    """

    average: str = "samples"
    _plain: ClassVar[tuple[type[nn.Module], ...]] = (
        nn.BatchNorm1d,
        nn.BatchNorm2d,
        nn.BatchNorm3d,
        nn.SyncBatchNorm,
    )

    def forward(self, input: Any) -> Any:
        """Normalise; in training by the joint statistics, which the running ones follow."""
        if world().size == 1 or not self.uses_batch:
            return super().forward(input)
        if input.ndim not in self.ndims:
            raise ValueError(f"SyncBatchNorm: expects {self.expects}, got {tuple(input.shape)}")
        checked = self.running_mean, self.running_var, self.weight, self.bias
        # As if there were values enough: _joint_statistics counts those of all ranks.
        check_batch_norm(input, *checked, math.prod(input.shape) != input.shape[1])
        op = NormalizeTogether(self.eps, self.average == "samples")
        y, (mean, var, _, count) = op(input, self.weight, self.bias, with_aux=True)
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked += 1
            momentum = self.momentum
            share = 1 / self.num_batches_tracked.item() if momentum is None else momentum
            move_towards(self.running_mean, mean, share)
            move_towards(self.running_var, var * (count / (count - 1)), share)
        return y

    @classmethod
    def convert_sync_batchnorm(cls, module: nn.Module, process_group: None = None) -> nn.Module:  # noqa: ARG003
        """Return the module with every batch normalisation inside replaced by one of this class.

        Parameters and buffers stay the same objects.

        >>> model = SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(nn.BatchNorm2d(3)))
        >>> type(model[0]).__name__
        'SyncBatchNorm'
        """
        if type(module) in cls._plain:
            return cls._like(module)
        for parent in list(module.modules()):
            for name, child in list(parent.named_children()):
                if type(child) in cls._plain:
                    setattr(parent, name, cls._like(child))
        return module

    @classmethod
    def _like(cls, layer: Any) -> Self:
        """Return a layer with all that another one holds."""
        made = cls(
            layer.num_features,
            layer.eps,
            layer.momentum,
            layer.affine,
            layer.track_running_stats,
            bias=layer.bias is not None,
        )
        for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            setattr(made, name, getattr(layer, name))
        return made.train(layer.training)
