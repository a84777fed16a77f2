"""Normalisation with statistics of the batch or of a sample.

Begin with `batch_norm`; `layer_norm` is the same over trailing dimensions.
"""
