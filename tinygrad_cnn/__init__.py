"""An autograd computational-graph framework for CNNs in Python on NumPy.

>>> from tinygrad_cnn import tensor
>>> x = tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> loss = (x * x).sum()
>>> loss.backward()
>>> x.grad
tensor([2., 4., 6.])
"""

from tinygrad_cnn.autograd import enable_grad, grad, no_grad
from tinygrad_cnn.tensor import Tensor, tensor

__all__ = ["Tensor", "enable_grad", "grad", "no_grad", "tensor"]
__version__ = "0.1.0"
