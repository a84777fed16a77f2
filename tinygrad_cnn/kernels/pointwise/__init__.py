"""Number by number: elementwise functions, activations with their gradients, erf.

Begin with `elementwise`: `apply` runs a ufunc over blocks that fit the cache, in threads.
`activation` has ReLU, sigmoid, tanh, GELU and their gradients, `erf` the error function.
"""
