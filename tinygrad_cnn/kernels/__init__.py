"""Kernels: the arithmetic on plain NumPy arrays. No Tensor and no graph here.

Rooms, from the ground up; each imports from itself and from those before it:

- ``runtime`` threads, sweeps over parts that fit the cache, memory, copies, windows, tuning
- ``pointwise`` elementwise functions and activations
- ``reduce`` sums, moments, softmax, sums at places
- ``pool`` max and average pooling
- ``resample`` borders and interpolation
- ``conv`` convolutions and their gradients
- ``norm`` batch, layer and group normalisation

What holds in all of them, and is not said again:

**Letters.** N images; C, O channels in and out; G groups of channels; H, W and OH, OW the sizes of
an image in and out; KH, KW those of a kernel; P positions, N·H·W of them. ``*sizes`` are the
lengths of any number of spatial axes.

**Arguments** may have any strides and are never changed. Their shapes fit each other: operations
check what users give, kernels do not check again. A `Window` says how the kernel of a convolution
or of a pool lies over the spatial axes. `g` is the gradient of the result, and ``f_gradient(g, …)``
returns that of f's input. An `Activation` writes to its first argument what becomes of each element
of its second; both may be one array.

**Results** are new arrays with the dtype of `x`. Those of convolutions, of pools (but adaptive
max-pools) and of batch norm, of shape (N, C, *sizes), lie in memory as (N, *sizes, C): channels
last. Elementwise kernels keep the memory order of their input. A function that writes to an array
takes it last, as `out`; a formula that is called on blocks of any number of arrays (by
`map_blocks`, `map_chains`) takes it first.

**Precision.** Long sums are of short chains in the arrays' dtype, added in float64. Where work is
cut depends on sizes and on the number of threads, never on timing: the same call gives the same
bits, run after run.

**Floating-point errors.** What a formula does at infinities and NaN is on purpose: kernels of
several steps run under ``np.errstate``, and so do the threads that do parts of them. A single ufunc
or product that goes straight to NumPy warns as NumPy does.

**Plans.** A function under `@planned` works out once what depends on shapes and settings alone;
its arguments are hashable and its results are not changed. After a change of `runtime.tuning`,
call ``plans.clear()``. Times in comments are, where no machine is named, of the one described
there.
"""

from tinygrad_cnn.kernels.runtime.memory import keep_freed_memory

keep_freed_memory()
