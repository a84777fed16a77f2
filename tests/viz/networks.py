"""The five networks with their losses, recorded once on values that do not matter here."""

import numpy as np

from tinygrad_cnn import Tensor, tensor
from tinygrad_cnn.models import NETWORKS
from tinygrad_cnn.nn import Module


def recorded_loss(name: str, batch: int = 4) -> tuple[Module, Tensor]:
    network = NETWORKS[name]
    generator = np.random.default_rng(0)
    model = network.build(generator)
    size = network.image_size
    images = tensor(generator.standard_normal((batch, 1, size, size)).astype(np.float32))
    classes = network.target == "class"
    target = np.arange(batch) if classes else np.ones((batch, 1), np.float32)
    return model, network.loss(model(images), tensor(target))
