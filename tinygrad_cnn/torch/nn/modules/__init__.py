"""``torch.nn.modules``: the layers once more, and the files that people import from."""

from tinygrad_cnn.nn import *

del utils  # noqa: F821  # the core's: the door's own come next

from tinygrad_cnn.torch.absent import absent
import tinygrad_cnn.torch.nn.modules.batchnorm as batchnorm
import tinygrad_cnn.torch.nn.modules.conv as conv
import tinygrad_cnn.torch.nn.modules.module as module
import tinygrad_cnn.torch.nn.modules.utils as utils

__getattr__ = absent("torch.nn.modules")
