"""Convolution: the result, and the gradients by input and by weights.

Begin with `convolution`, what the operations call. `methods` decides how it is done: whole or in
`phases` (without strides and dilation), and each by `correlation` (a matrix of windows times the
weights: `windows` lays it out), by `winograd` with `winograd_conv` (fewer multiplications) or by
`depthwise`; small convolutions at once, by `single`. `tiles` cuts the work so that parts fit in the
cache, `epilogue` says what is done to each while it is there, `jobs` shares it out over threads,
`products` multiplies matrices.
"""
