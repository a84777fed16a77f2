"""The same elements in other places: `repeat` them, take a `diagonal`, cut and move dimensions.

What only changes the shape is in `ops.shape`.
"""
