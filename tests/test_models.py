"""The networks of the literature: shapes, numbers of parameters, a gradient for each of them."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tinygrad_cnn import models, no_grad, optim, tensor
from tinygrad_cnn.models.convnext import ConvNeXtBlock
from tinygrad_cnn.models.densenet import DenseLayer, Transition
from tinygrad_cnn.models.efficientnet import MBConv
from tinygrad_cnn.models.mobilenet import InvertedResidual
from tinygrad_cnn.models.resnet import BasicBlock, Bottleneck
from tinygrad_cnn.models.squeezenet import Fire
from tinygrad_cnn.models.unet import DoubleConv
from tinygrad_cnn.verify import check_graph

# With three channels and ten classes, as published for images of this size.
PARAMETERS = {
    "lenet5": 61_706,  # of one channel
    "densenet": 176_122,
    "resnet20": 269_722,
    "squeezenet": 727_626,
    "mobilenetv3": 1_528_106,
    "mobilenetv2": 2_236_682,
    "efficientnet-b0": 4_020_358,
    "alexnet": 4_617_034,
    "vgg11": 9_228_362,
    "resnet18": 11_173_962,
    "vgg16": 14_724_042,
    "resnet34": 21_282_122,
    "resnet50": 23_520_842,
    "convnext-tiny": 27_824_362,
}
SMALL = ("lenet5", "densenet", "squeezenet", "mobilenetv3")


def images(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_all_are_counted():
    assert PARAMETERS.keys() == models.ARCHITECTURES.keys()


@pytest.mark.parametrize(
    "name", [n if n in SMALL else pytest.param(n, marks=pytest.mark.slow) for n in PARAMETERS]
)
def test_every_parameter_learns(name):
    channels = 1 if name == "lenet5" else 3
    network = models.network_of(name).make(channels, 10)
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS[name]
    logits = network(tensor(images(4, channels, 32, 32)))
    assert logits.shape == (4, 10)
    F.cross_entropy(logits, np.arange(4)).backward()
    without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []
    with no_grad():
        assert np.isfinite(network.eval()(tensor(images(2, channels, 32, 32))).numpy()).all()


@pytest.mark.parametrize("name", SMALL)
def test_other_channels_and_classes(name):
    network = models.network_of(name).make(2, 7)
    assert network(tensor(images(2, 2, 32, 32))).shape == (2, 7)


@pytest.mark.slow
@pytest.mark.parametrize(
    "block",
    [
        BasicBlock(4, 6, 2),
        Bottleneck(8, 2),
        DenseLayer(4, 2),
        Transition(4),
        Fire(4, 2, 3),
        InvertedResidual(4, 8, 4, 5, 1, F.hardswish, 2),
        MBConv(4, 4, 2, 3, 1, 0.0),
        ConvNeXtBlock(4, scale=0.5),
        DoubleConv(2, 3),
    ],
    ids=lambda block: type(block).__name__,
)
def test_gradients_of_blocks_are_verified(block):
    channels = {"DoubleConv": 2, "Bottleneck": 8}.get(type(block).__name__, 4)
    out = block(tensor(images(2, channels, 4, 4), requires_grad=True))
    report = check_graph((out * images(*out.shape, seed=1)).sum())
    assert report, report.text()


def test_a_class_for_every_pixel():
    network = models.UNet(1, 3, width=4)
    logits = network(tensor(images(2, 1, 16, 24)))
    assert logits.shape == (2, 3, 16, 24)
    F.cross_entropy(logits, np.zeros((2, 16, 24), int)).backward()
    assert all(p.grad is not None for p in network.parameters())
    assert sum(p.numel() for p in models.UNet().parameters()) == 482_754


def test_two_networks_learn_from_each_other():
    generator, discriminator = models.Generator(width=4), models.Discriminator(width=4)
    fakes = generator(tensor(images(3, 100)))
    assert fakes.shape == (3, 1, 32, 32)
    assert np.abs(fakes.numpy()).max() <= 1
    judged = discriminator(fakes)
    assert judged.shape == (3,)
    F.binary_cross_entropy_with_logits(judged, np.ones(3, np.float32)).backward()
    assert all(p.grad is not None for p in generator.parameters())


def test_an_autoencoder_learns():
    network = models.VAE(latent=4)
    pixels = (images(8, 1, 28, 28) > 1).astype(np.float32)
    optimizer = optim.Adam(network.parameters(), 1e-3)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = models.vae_loss(network(tensor(pixels)), pixels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    network.eval()
    with no_grad():
        first, again = network(tensor(pixels))[0], network(tensor(pixels))[0]
    np.testing.assert_array_equal(first.numpy(), again.numpy())
