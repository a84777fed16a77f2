"""Modules: layers that hold parameters and call one function each; no mathematics of their own.

>>> net = Sequential(Conv2d(1, 4, 3), ReLU(), Flatten(), Linear(4 * 26 * 26, 10))
>>> net
Sequential(
  (0): Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1))
  (1): ReLU()
  (2): Flatten(start_dim=1, end_dim=-1)
  (3): Linear(in_features=2704, out_features=10, bias=True)
)
>>> [name for name, _ in net.named_parameters()]
['0.weight', '0.bias', '3.weight', '3.bias']

Each file of this folder says in its ``__all__`` what it has; a new file is one line here.
"""

from tinygrad_cnn.nn import init, utils
from tinygrad_cnn.nn.activation import *
from tinygrad_cnn.nn.adaptive_pooling import *
from tinygrad_cnn.nn.attention import *
from tinygrad_cnn.nn.containers import *
from tinygrad_cnn.nn.conv import *
from tinygrad_cnn.nn.conv_transpose import *
from tinygrad_cnn.nn.distances import *
from tinygrad_cnn.nn.dropout import *
from tinygrad_cnn.nn.embedding import *
from tinygrad_cnn.nn.flatten import *
from tinygrad_cnn.nn.group_norm import *
from tinygrad_cnn.nn.hard import *
from tinygrad_cnn.nn.keyed import *
from tinygrad_cnn.nn.lazy import *
from tinygrad_cnn.nn.linear import *
from tinygrad_cnn.nn.loss import *
from tinygrad_cnn.nn.margins import *
from tinygrad_cnn.nn.module import *
from tinygrad_cnn.nn.norm import *
from tinygrad_cnn.nn.padding import *
from tinygrad_cnn.nn.parameter import *
from tinygrad_cnn.nn.pooling import *
from tinygrad_cnn.nn.resampling import *
from tinygrad_cnn.nn.units import *

__all__ = ["init", "utils", *[name for name, value in globals().items() if isinstance(value, type)]]
