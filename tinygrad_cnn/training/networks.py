"""Networks in words: what a recorded forward pass shows of operations, shapes and parameters."""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.graph import nodes_below
from tinygrad_cnn.models import network_of
from tinygrad_cnn.random import drawing_from
from tinygrad_cnn.tensor import Tensor, tensor
from tinygrad_cnn.training.recipes import Settings

__all__ = ["describe_network"]


def describe_network(name: str) -> str:
    """Describe a network: its recipe, and each operation with its shape and parameters.

    >>> print(describe_network("softmax"))
    softmax: a 3×3 convolution, one linear layer
      by default: 3 epochs, batch 1, sgd, lr 0.005 constant
      input       1×28×28
      conv2d      8×26×26      72  conv.weight 8×1×3×3
      max_pool2d  8×13×13
      reshape     1352
      linear      10       13,530  linear.weight 10×1352, linear.bias 10
      13,602 parameters
    """
    network = network_of(name)
    channels = 3 if network.any_images else 1
    with drawing_from(np.random.default_rng(0)):
        model = network.make(channels)
    parameters = dict(model.named_parameters())  # which gives them their names
    side = network.image_size
    # Two images: a batch of one has no statistics to normalise by.
    images = tensor(np.zeros((2, channels, side, side), np.float32))
    rows = [("input", _size(images.shape[1:]), "", "")]
    for node in nodes_below(model(images)):
        own = [edge for edge in node.edges if isinstance(edge, Tensor)]
        count = f"{sum(p.numel() for p in own):,}" if own else ""
        shapes = ", ".join(f"{p.name} {_size(p.shape)}" for p in own)
        rows.append((node.op.name, _size(node.shape[1:]), count, shapes))
    first, second, third = (max(len(row[column]) for row in rows) for column in range(3))
    recipe = str(Settings.of(name)).partition(", seed")[0]
    lines = [f"{name}: {network.about}", f"  by default: {recipe}"]
    for operation, shape, count, shapes in rows:
        line = f"  {operation:<{first}}  {shape:<{second}}  {count:>{third}}  {shapes}"
        lines.append(line.rstrip())
    lines.append(f"  {sum(p.numel() for p in parameters.values()):,} parameters")
    return "\n".join(lines)


def _size(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
