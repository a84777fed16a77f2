"""Resampling: each output a weighted sum of a few inputs.

Along an axis, begin with `taps`: which inputs, and their weights. `strokes` finds what repeats
there, `sweep` does that with all axes of images, forward or back. `pixels` samples at any places.
"""
