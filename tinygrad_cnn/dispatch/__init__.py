"""What NumPy's functions do when they are called with tensors: ``np.sum(t)``, ``np.add(t, 1)``.

NumPy asks its arguments first (NEP 13 for ufuncs, NEP 18 for the other functions), and `Tensor`
answers with `array_ufunc` and `array_function`. Each function is one of three kinds:

* **recorded**: it has a line in `RECORDED`, an adapter of NumPy's signature to an operation;
* **without a graph**: its result has no derivative (`PLAIN`): comparisons, indices, shapes;
* **refused**: a derivative would be lost. The TypeError names what to write instead (`INSTEAD`).

A new function is one line in the table of its family. Begin with `protocol`.
"""

from tinygrad_cnn.dispatch.protocol import RECORDED, array_function, array_ufunc
from tinygrad_cnn.dispatch.without import INSTEAD, PLAIN

__all__ = ["INSTEAD", "PLAIN", "RECORDED", "array_function", "array_ufunc"]
