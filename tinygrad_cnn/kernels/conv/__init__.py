"""Convolution: the result, and the gradients by input and by weight.

Begin with `convolution`, what the operations call. `conv_jobs` decides by which method:
`correlation` (a matrix of windows times the weights, laid out by `layouts` and copied by
`windows`), `winograd` with `winograd_conv` (fewer multiplications), `depthwise`, or `single` (small
convolutions, without tiles). `jobs` cuts the work for threads, `products` multiplies matrices.
"""
