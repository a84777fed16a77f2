"""Picking and placing elements by integers and masks, under PyTorch's names.

Element by element along a dimension `along` picks (gather) and `scattering` puts (scatter_add);
`rows` works with whole rows (index_select, index_add), `masked` with masks, `embedding` with
tables. The keys in brackets, ``x[key]``, are in `ops.index`.
"""
