"""What the tests of results that wait share: inputs, and the same results made at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

import tinygrad_cnn.functional as F
from tinygrad_cnn import Tensor, tensor
from tinygrad_cnn.ops.conv.trilinear import Conv1d, Conv2d, Conv3d
from tinygrad_cnn.ops.norm import BatchNorm


@contextmanager
def one_by_one() -> Iterator[None]:
    """Let every operation compute its result when it is called."""
    nothing = mock.Mock(return_value=(None, None))
    with (
        mock.patch.object(Conv1d, "postpone", nothing),
        mock.patch.object(Conv2d, "postpone", nothing),
        mock.patch.object(Conv3d, "postpone", nothing),
        mock.patch.object(BatchNorm, "postpone", nothing),
    ):
        yield


def numbers(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def leaf(*shape: int, seed: int = 0) -> Tensor:
    return tensor(numbers(*shape, seed=seed), requires_grad=True)


X, W = (2, 3, 8, 8), (4, 3, 3, 3)


def conv() -> tuple[Tensor, Tensor, Tensor]:
    x, w = leaf(*X), leaf(*W, seed=1)
    return x, w, F.conv2d(x, w)


def expected(x: Any, w: Any) -> Any:
    return F.conv2d(np.array(x), np.array(w))
