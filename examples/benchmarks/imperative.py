"""The networks in this project, imperatively: as their descriptions."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_cnn.functional as F
from benchmarks.described import Described
from benchmarks.networks import Network
from tinygrad_cnn import nn, no_grad, tensor


class Imperative(Described, nn.Module):
    """A network whose forward is its description."""

    nn, F = nn, F

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._describe(network)
        self.eval()
        with no_grad():
            self(tensor(np.zeros((1, *network.image), np.float32)))
        self.train()

    def cat(self, *parts: Any) -> Any:
        """Join channels."""
        return F.cat(parts, 1)

    relu = staticmethod(F.relu)
    relu6 = staticmethod(F.relu6)
    sigmoid = staticmethod(F.sigmoid)
