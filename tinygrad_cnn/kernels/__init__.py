"""Kernels: the arithmetic on plain NumPy arrays. No Tensor and no graph here.

Legend of the shape letters used throughout the package:

======  ==========================================
N       images in the batch
C, O    channels in, channels out
H, W    height and width of the input
OH, OW  height and width of the output
KH, KW  height and width of a kernel (window)
G       groups of a convolution
======  ==========================================

Rooms, from the ground up; each imports from itself and from those before it:

- ``runtime`` sweeps, threads, memory, copies, tuning
- ``pointwise`` elementwise functions and activations
- ``reduce`` sums, moments, softmax, sums at places
- ``pool`` max and average pooling
- ``resample`` borders and interpolation
- ``conv`` convolutions and their gradients
- ``norm`` batch, layer and group normalisation

Times in comments are, where no machine is named, of the one that `runtime.tuning` describes.
"""

from tinygrad_cnn.kernels.runtime.memory import keep_freed_memory

keep_freed_memory()
