"""Two steps in one sweep, so that what stands between them never leaves the cache.

Begin with `pooled_norm`: batch normalisation and a max-pool, forward and backward. `pooled_conv` is
a convolution with a max-pool. What is recorded stays the two operations; see `ops.fused`.
"""
