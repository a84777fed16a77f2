"""Matrix products with many rows, cut into small ones that BLAS does without packing.

OpenBLAS copies the factors of a product into blocks first, unless it has at most a million
multiplications. One core, float32, GFLOP/s (float64 gains up to twice), whole and cut:
(4096, 96) @ (96, 32) 190, 240; (4096, 576) @ (576, 64) 185, 243; (96, 4096) @ (4096, 32) 156, 221.
`numpy.matmul` runs over a stack of products without returning to Python, so cutting is free.
"""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.kernels.runtime import tuning
from tinygrad_cnn.kernels.runtime.plans import planned
from tinygrad_cnn.types import Array

__all__ = ["multiply_rows", "product_cost", "sum_of_products"]


def product_cost(depth: int, columns: int) -> float:
    """Estimate the ns a row takes in a product (rows, depth) @ (depth, columns), float32.

    Measured over depths 9-576 and 1-256 columns, which registers take eight at a time.
    """
    return 1.5 + 0.05 * columns + depth * (0.05 + 0.125 * -(-columns // 8))


@planned
def _block(rows: int, multiplications_a_row: int, fewest: int) -> int:
    """Return the largest divisor of `rows` that makes a small product, or `rows` if none does."""
    most = tuning.UNPACKED // max(1, multiplications_a_row)
    for block in range(min(most, rows), fewest - 1, -1):
        if rows % block == 0:
            return block
    return rows


def multiply_rows(a: Array, b: Array, out: Array) -> None:
    """Write ``a @ b`` to `out`: shapes (P, K), (K, M) and (P, M)."""
    P, K = a.shape
    M = b.shape[1]
    if P * K * M <= tuning.UNPACKED:
        np.matmul(a, b, out=out)
        return
    block = _block(P, K * M, 8)
    np.matmul(a.reshape(-1, block, K), b, out=out.reshape(-1, block, M))


def sum_of_products(a: Array, b: Array, left_first: bool = False) -> Array:
    """Return ``aᵀ @ b``: shapes (P, K), (P, M) and (K, M).

    With `left_first` as it stands, otherwise as ``(bᵀ @ a)ᵀ`` where that is quicker.
    """
    P, K = a.shape
    M = b.shape[1]
    block, by_columns = _sum_in_blocks(P, K, M)
    left, right = a.reshape(-1, block, K), b.reshape(-1, block, M)
    if by_columns or left_first:
        products = np.matmul(left.transpose(0, 2, 1), right)
    else:
        products = np.matmul(right.transpose(0, 2, 1), left).transpose(0, 2, 1)
    total: Array = products[0] if block == P else products.sum(axis=0)
    return total


@planned
def _sum_in_blocks(P: int, K: int, M: int) -> tuple[int, bool]:
    """Return the rows of a block, and whether the factor of M columns should stand right."""
    # Each block makes a matrix that has to be added: it pays where that is half of what the block
    # reads at most (depth 96, 64 columns, 94 -> 109 GFLOP/s; depth 288, 92 -> 75).
    block = _block(P, K * M, 2 * K * M // (K + M))
    # The columns of the right factor are what fills the registers: (256, P) @ (P, 18) reaches
    # 150 GFLOP/s, (18, P) @ (P, 256) 215.
    return block, product_cost(1000, M) * K <= product_cost(1000, K) * M
