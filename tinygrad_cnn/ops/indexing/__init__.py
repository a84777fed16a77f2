"""Picking and placing elements by integers and masks, under PyTorch's names.

`along` works element by element along a dimension (gather, scatter), `rows` with whole rows
(index_select, index_add), `masked` with masks, `embedding` with tables. The keys in brackets,
``x[key]``, stand in `ops.index`.
"""
