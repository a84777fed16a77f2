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
"""

from tinygrad_cnn.nn import init
from tinygrad_cnn.nn.activation import (
    GELU,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from tinygrad_cnn.nn.containers import ModuleList, Residual, Sequential
from tinygrad_cnn.nn.conv import Conv1d, Conv2d, ConvTranspose2d
from tinygrad_cnn.nn.dropout import Dropout
from tinygrad_cnn.nn.flatten import Flatten, Identity
from tinygrad_cnn.nn.linear import Linear
from tinygrad_cnn.nn.loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
)
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.nn.norm import BatchNorm1d, BatchNorm2d, LayerNorm
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.nn.pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d

__all__ = [
    "GELU",
    "AdaptiveAvgPool2d",
    "AvgPool2d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv1d",
    "Conv2d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "HuberLoss",
    "Identity",
    "L1Loss",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "MaxPool2d",
    "Module",
    "ModuleList",
    "NLLLoss",
    "Parameter",
    "ReLU",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "init",
]
