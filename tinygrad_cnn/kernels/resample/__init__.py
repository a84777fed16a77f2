"""Resampling: each output a weighted sum of a few inputs along an axis.

Begin with `taps`: which inputs, and their weights. `sweep` applies them, or their transpose.
"""
