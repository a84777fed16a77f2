"""A network with one wrong rule in it, and what the verification says of it."""

import numpy as np

import tinygrad_cnn.functional as F
from tests.viz.networks import NETWORKS
from tinygrad_cnn import tensor
from tinygrad_cnn.op import Op
from tinygrad_cnn.verify import check_graph


class Flipped(Op):
    """Doubles, with a gradient of the wrong sign."""

    name = "flipped"
    saves = ()
    __slots__ = ()

    def forward(self, x):
        return x * 2

    def backward(self, g, out, x):  # noqa: ARG002  # the protocol of rules
        return (g * -2,)


def wrong_network():
    """Return the model, its loss and the report on it."""
    generator = np.random.default_rng(0)
    model = NETWORKS["softmax"].build(generator)
    images = generator.standard_normal((2, 1, 28, 28)).astype(np.float32)
    logits = Flipped()(model(tensor(images, name="images")))
    loss = F.cross_entropy(logits, tensor(np.array([1, 2]), name="classes"))
    return model, loss, check_graph(loss)
