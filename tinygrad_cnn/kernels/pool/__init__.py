"""Pooling: one number for each window.

Begin with `windows`, which says how windows lie over an image and runs a kernel over images.
`max_pool` and `avg_pool` are the two kinds, `taps` moves numbers between a window and the pixel its
maximum stands at.
"""
