"""What runs along a dimension in order: running sums and products, sorting, quantiles, searching.

Begin with `scan`; `sorting` chooses elements by their indices, as `extreme` does.
"""
