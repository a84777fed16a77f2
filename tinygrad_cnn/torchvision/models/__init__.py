"""``torchvision.models``: AlexNet, VGG and the ResNets with torchvision's names of parameters.

``weights=`` takes one of the published sets of weights, or the path of a file. For networks made
for small images, and for other families, see `tinygrad_cnn.models`.

>>> from tinygrad_cnn.torchvision import models
>>> network = models.resnet18(weights=None, num_classes=10)
>>> network.fc.weight.shape
(10, 512)
"""

from tinygrad_cnn.torchvision.absent import absent
from tinygrad_cnn.torchvision.models.alexnet import *
from tinygrad_cnn.torchvision.models.resnet import *
from tinygrad_cnn.torchvision.models.vgg import *

__getattr__ = absent(
    "torchvision.models",
    {},
    "of these alexnet, vgg and resnet are; tinygrad_cnn.models has more, for images of 32×32",
)
