"""Resampling: each output a weighted sum of a few inputs.

Along an axis, begin with `taps`: which inputs, and their weights. `strokes` finds what repeats
there, `weigh` does that with an array, `sweep` with all axes of images, forward or back. `pixels`
samples at any places.
"""
