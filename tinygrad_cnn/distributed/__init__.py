"""More than one process: data-parallel training over MPI.

``mpiexec -n N python train.py`` starts N processes, which meet here. MPI comes with the extra:
``pip install 'tinygrad-cnn[mpi]'``; nothing of it is loaded without `mpiexec`. Without it all
functions work too, for a world of one process.
"""

from tinygrad_cnn.distributed.collectives import all_gather, all_reduce, barrier, broadcast
from tinygrad_cnn.distributed.parallel import DataParallel
from tinygrad_cnn.distributed.sharding import BatchShards, DistributedSampler, shard
from tinygrad_cnn.distributed.sync_norm import SyncBatchNorm
from tinygrad_cnn.distributed.world import (
    DistributedError,
    init,
    is_initialized,
    rank,
    set_timeout,
    world_size,
)

__all__ = [
    "BatchShards",
    "DataParallel",
    "DistributedError",
    "DistributedSampler",
    "SyncBatchNorm",
    "all_gather",
    "all_reduce",
    "barrier",
    "broadcast",
    "init",
    "is_initialized",
    "rank",
    "set_timeout",
    "shard",
    "world_size",
]
