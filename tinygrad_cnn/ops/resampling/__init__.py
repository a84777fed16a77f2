"""Images of other sizes: borders, interpolation, pixels for channels, patches, sampling by a grid.

Begin with `resample`, the operation behind borders and interpolation: a sparse matrix along each
axis.
"""
