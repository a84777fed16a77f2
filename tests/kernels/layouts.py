"""Arrays of every layout in memory, for tests of kernels."""

from __future__ import annotations

import numpy as np

LAYOUTS = {
    "contiguous": lambda x: x,
    "channels-last": lambda x: np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "strided": lambda x: np.repeat(x, 2, axis=3)[..., ::2],
    "reversed": lambda x: x[:, :, ::-1],
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
}
LARGE, SMALL = (70, 16, 17, 19), (2, 3, 4, 5)


def sample(shape, layout, dtype=np.float32, seed=0):
    x = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    x = LAYOUTS[layout](x)
    x.flags.writeable = False
    return x
