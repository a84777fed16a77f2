"""``torch.nn.modules.batchnorm``."""

from tinygrad_cnn.nn import BatchNorm1d, BatchNorm2d, BatchNorm3d, SyncBatchNorm

_BatchNorm = BatchNorm2d.__mro__[1]

__all__ = ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm", "_BatchNorm"]
