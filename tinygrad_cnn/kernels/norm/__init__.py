"""Normalisation with statistics of the batch or of a sample.

Begin with `batch_norm`; `layer_norm` is the same over trailing dimensions. `pending` holds
gradients that are not computed before batch normalisation, which does it on the way, reads them.
"""
