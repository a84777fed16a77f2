"""Arrays in every layout, for tests of elementwise kernels."""

from __future__ import annotations

import numpy as np

from tests import layouts

LAYOUTS = {**layouts.LAYOUTS, "broadcast": lambda x: np.broadcast_to(x[:1], x.shape)}
LARGE, SMALL = (70, 16, 17, 19), (2, 3, 4, 5)


def sample(shape, layout, dtype=np.float32, seed=0):
    x = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    x = LAYOUTS[layout](x)
    x.flags.writeable = False
    return x
