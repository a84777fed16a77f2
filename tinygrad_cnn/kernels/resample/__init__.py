"""Resampling: each output a weighted sum of a few inputs along an axis.

Begin with `taps`: which inputs, and their weights. `strokes` finds what repeats along
the axis, `weigh` does that with an array, `sweep` with all axes of images, forward or back.
"""
