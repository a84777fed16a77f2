"""Convolution: the result, and the gradients by input and by weights.

Read `convolution` first: what the operations call. Then `methods`: it cuts a convolution into
groups, and into `phases` without strides and dilation or with fewer rows of the kernel where that
is quicker, and chooses for each part one of four ways, by estimates:

- `windows`: windows are copied as the rows of a matrix, a product with the weights follows. Any
  convolution; which layout is copied depends on the channels. Small ones are done at once, in the
  calling thread.
- pixels (in `windows`, too): a kernel of one element, where the input itself is that matrix.
- `winograd`: half of the multiplications for kernels of two to five rows, without stride and
  dilation, unless there are few channels or images.
- `depthwise`: sums of products where each channel has a kernel of its own.

A part with its arrays is one of the `jobs`, which are shared out over threads. Each works on
`tiles`, parts that fit in the cache: it lays out a tile's input, multiplies (`products`), and an
`epilogue` finishes the results while they are in the cache, and writes them.
"""
