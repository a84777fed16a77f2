"""Functions that make functions: gradients, Jacobians and Hessians of functions of tensors.

Each takes a function and gives another, which may be given to one of them again: ``hessian`` is
a Jacobian of a Jacobian. Arguments and results may be dicts, lists and tuples of tensors, such as
the parameters of a model for `functional_call`.

>>> from tinygrad_cnn import Tensor
>>> x = Tensor([1.0, 2.0])
>>> grad(lambda t: (t**3).sum())(x)
tensor([ 3., 12.])
>>> hessian(lambda t: (t**3).sum())(x)
tensor([[ 6.,  0.],
        [ 0., 12.]])
"""

from tinygrad_cnn.func.calling import functional_call, vmap
from tinygrad_cnn.func.gradients import grad, grad_and_value, hvp, jvp, value_and_grad, vjp
from tinygrad_cnn.func.jacobians import hessian, jacfwd, jacobian, jacrev

__all__ = [
    "functional_call",
    "grad",
    "grad_and_value",
    "hessian",
    "hvp",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jvp",
    "value_and_grad",
    "vjp",
    "vmap",
]
