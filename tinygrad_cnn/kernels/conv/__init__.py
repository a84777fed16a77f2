"""Convolution: the result, and the gradients by input and by weights.

Begin with `convolution`, what the operations call. `methods` decides how it is done: by
`correlation` (a matrix of windows times the weights: `windows` lays it out), by `winograd` with
`winograd_conv` (fewer multiplications), by `depthwise`, or by `single` (small convolutions, at
once). `tiles` cuts the work so that parts fit in the cache, `epilogue` says what is done to each
while it is there, `jobs` shares it out over threads, `products` multiplies matrices.
"""
