"""Pooling: one number for each window.

Begin with `windows`, which says how windows lie over an image and runs a kernel over images.
`max_pool` and `avg_pool` are the two kinds, `argmax` moves numbers between a window and the pixel
its maximum is at, and `lazy` is the gradient that a pool hands to the ReLU before it.
"""
