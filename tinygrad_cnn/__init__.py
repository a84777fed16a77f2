"""An autograd computational-graph framework for CNNs in Python on NumPy.

>>> from tinygrad_cnn import tensor
>>> x = tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> loss = (x * x).sum()
>>> loss.backward()
>>> x.grad
tensor([2., 4., 6.])
"""

import importlib
from typing import TYPE_CHECKING, Any

from tinygrad_cnn import linalg, nn, optim
from tinygrad_cnn.anomaly import AnomalyError
from tinygrad_cnn.autograd import (
    detect_anomaly,
    enable_grad,
    grad,
    is_anomaly_enabled,
    is_grad_enabled,
    no_grad,
    record_source,
    set_detect_anomaly,
    set_grad_enabled,
)
from tinygrad_cnn.capturing import Captured, CaptureError, capture
from tinygrad_cnn.graph import GraphError, GraphWarning
from tinygrad_cnn.kernels.runtime.threads import get_num_threads, set_num_threads
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.op import Op
from tinygrad_cnn.random import manual_seed
from tinygrad_cnn.tensor import Tensor, as_tensor, tensor

if TYPE_CHECKING:
    from tinygrad_cnn import data

__version__ = "0.1.0"

__all__ = [
    "AnomalyError",
    "CaptureError",
    "Captured",
    "GraphError",
    "GraphWarning",
    "Op",
    "Parameter",
    "Tensor",
    "as_tensor",
    "capture",
    "data",
    "detect_anomaly",
    "enable_grad",
    "get_num_threads",
    "grad",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "linalg",
    "manual_seed",
    "nn",
    "no_grad",
    "optim",
    "record_source",
    "set_detect_anomaly",
    "set_grad_enabled",
    "set_num_threads",
    "tensor",
]


def __getattr__(name: str) -> Any:
    """Import `data` when it is first used: it is a third of the time that the package takes."""
    if name != "data":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.data")
