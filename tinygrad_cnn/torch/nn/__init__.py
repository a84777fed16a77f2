"""``torch.nn``: layers, containers, losses; with losses' old arguments."""

from tinygrad_cnn.nn import *

del init, utils  # noqa: F821  # the core's: the door's own come next

from tinygrad_cnn.torch.absent import absent
import tinygrad_cnn.torch.nn.functional as functional
import tinygrad_cnn.torch.nn.init as init
import tinygrad_cnn.torch.nn.modules as modules
import tinygrad_cnn.torch.nn.parallel as parallel
import tinygrad_cnn.torch.nn.parameter as parameter
import tinygrad_cnn.torch.nn.utils as utils
from tinygrad_cnn.torch.nn.losses import *
from tinygrad_cnn.torch.nn.parallel import DataParallel

__getattr__ = absent("torch.nn")
