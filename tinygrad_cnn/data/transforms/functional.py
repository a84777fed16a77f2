"""What the transforms do, as functions of one image and of what was drawn: torchvision's names."""

from tinygrad_cnn.data.transforms.colour import *
from tinygrad_cnn.data.transforms.converting import *
from tinygrad_cnn.data.transforms.enhancing import *
from tinygrad_cnn.data.transforms.geometry import *
from tinygrad_cnn.data.transforms.resampling import InterpolationMode as InterpolationMode
from tinygrad_cnn.data.transforms.turning import *
