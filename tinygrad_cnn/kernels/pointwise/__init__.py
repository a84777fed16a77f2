"""Number by number: elementwise functions, activations with their gradients, special functions.

Begin with `elementwise`: `apply` runs a ufunc over blocks that fit the cache, in threads.
`activation` has ReLU, sigmoid, tanh, GELU and their gradients, `special` what NumPy lacks.
"""
