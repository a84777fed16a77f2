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

from tinygrad_cnn import functional, linalg, nn, optim
from tinygrad_cnn.anomaly import AnomalyError
from tinygrad_cnn.autograd import (
    detect_anomaly,
    enable_grad,
    grad,
    inference_mode,
    is_anomaly_enabled,
    is_grad_enabled,
    no_grad,
    record_source,
    set_detect_anomaly,
    set_grad_enabled,
)
from tinygrad_cnn.capturing import Captured, CaptureError, capture
from tinygrad_cnn.creation import (
    arange,
    asarray,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    logspace,
    ones,
    ones_like,
    scalar_tensor,
    tril_indices,
    triu_indices,
    zeros,
    zeros_like,
)
from tinygrad_cnn.devices import device
from tinygrad_cnn.drawing import (
    bernoulli,
    multinomial,
    normal,
    poisson,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
)
from tinygrad_cnn.dtypes import (
    double,
    float16,
    float32,
    float64,
    get_default_dtype,
    half,
    int8,
    int16,
    int32,
    int64,
    long,
    set_default_dtype,
    short,
    uint8,
    uint16,
    uint32,
    uint64,
)
from tinygrad_cnn.functional import *
from tinygrad_cnn.graph import GraphError, GraphWarning
from tinygrad_cnn.kernels.runtime.threads import get_num_threads, set_num_threads
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.op import Op
from tinygrad_cnn.random import get_rng_state, manual_seed, set_rng_state
from tinygrad_cnn.sizes import Size
from tinygrad_cnn.tensor import Tensor, as_tensor, is_tensor, numel, tensor

if TYPE_CHECKING:
    from tinygrad_cnn import data, func
    from tinygrad_cnn.checkpointing import checkpoint
    from tinygrad_cnn.function import Function
    from tinygrad_cnn.generators import Generator
    from tinygrad_cnn.storing import load, save

__version__ = "0.1.0"

__all__ = [
    "AnomalyError",
    "CaptureError",
    "Captured",
    "Function",
    "Generator",
    "GraphError",
    "GraphWarning",
    "Op",
    "Parameter",
    "Size",
    "Tensor",
    "arange",
    "as_tensor",
    "asarray",
    "bernoulli",
    "capture",
    "checkpoint",
    "data",
    "detect_anomaly",
    "device",
    "double",
    "empty",
    "empty_like",
    "enable_grad",
    "eye",
    "float16",
    "float32",
    "float64",
    "from_numpy",
    "func",
    "full",
    "full_like",
    "functional",
    "get_default_dtype",
    "get_num_threads",
    "get_rng_state",
    "grad",
    "is_anomaly_enabled",
    "half",
    "inference_mode",
    "int8",
    "int16",
    "int32",
    "int64",
    "is_grad_enabled",
    "is_tensor",
    "linalg",
    "linspace",
    "load",
    "logspace",
    "long",
    "manual_seed",
    "multinomial",
    "nn",
    "no_grad",
    "normal",
    "numel",
    "ones",
    "ones_like",
    "optim",
    "poisson",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
    "record_source",
    "set_detect_anomaly",
    "save",
    "scalar_tensor",
    "set_default_dtype",
    "set_grad_enabled",
    "set_num_threads",
    "set_rng_state",
    "short",
    "tensor",
    "tril_indices",
    "triu_indices",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "zeros",
    "zeros_like",
    *functional.__all__,
]

_LATE = {
    "data": "",
    "func": "",
    "Generator": "generators",
    "Function": "function",
    "load": "storing",
    "save": "storing",
    "checkpoint": "checkpointing",
}
"""What is imported when it is first used, and from where: it takes as long as all the rest."""


def __getattr__(name: str) -> Any:
    """Import `data` when it is first used, and what else takes long and is seldom needed."""
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _LATE[name]
    module = importlib.import_module(f"{__name__}.{home or name}")
    return getattr(module, name) if home else module
