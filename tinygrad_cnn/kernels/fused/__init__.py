"""Two steps in one sweep, so that what stands between them never leaves the cache.

`pooled_norm` is batch normalisation and a max-pool, forward and backward. What is recorded stays
the two operations; see `ops.fused`. A convolution with what follows it is in `conv`: see
`conv.epilogue`.
"""
