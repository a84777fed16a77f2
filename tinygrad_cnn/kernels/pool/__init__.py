"""Pooling: one number for each window.

Begin with `windows`, which says how windows lie over an image and runs a kernel over images.
`max_pool` and `avg_pool` are the two kinds, `chosen` finds elements by their positions, and `lazy`
is the gradient that a pool hands to the ReLU and the normalisation before it.
"""
