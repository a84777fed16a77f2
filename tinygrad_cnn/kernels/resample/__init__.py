"""Resampling: each output a weighted sum of a few inputs.

Along an axis, begin with `taps`: which inputs, and their weights. `blocks` makes dense matrices of
them, `sweep` applies these to all axes of images, forward or back. `pixels` samples at any places.
"""
