"""Transforms of single images, with torchvision's names: a data set applies them sample by sample.

An image is one of Pillow, an array (H, W) or (H, W, C), or a tensor (…, C, H, W); transforms return
the kind that they got. `fixed` ones do the same to every image, `drawn` and `recoloured` ones draw
what they do, `policies` choose among these, `composed` ones are made of others, and `functional`
has the functions under them. For whole batches at a tenth of the time see
`tinygrad_cnn.data.batchwise`.

>>> import numpy as np
>>> prepare = Compose([Resize(28), ToTensor(), Normalize((0.1307,), (0.3081,))])
>>> prepare(np.zeros((56, 56), np.uint8)).shape
(1, 28, 28)
"""

from tinygrad_cnn.data.transforms import functional as functional
from tinygrad_cnn.data.transforms.composed import *
from tinygrad_cnn.data.transforms.drawn import *
from tinygrad_cnn.data.transforms.fixed import *
from tinygrad_cnn.data.transforms.policies import *
from tinygrad_cnn.data.transforms.recoloured import *
from tinygrad_cnn.data.transforms.resampling import InterpolationMode as InterpolationMode
