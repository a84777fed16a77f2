"""Matrices: further `products`, `einsum`, `norms`, `inverse` and determinant, `factors`.

The matrix product itself, and the linear layer's, are in `ops.linalg`.
"""
