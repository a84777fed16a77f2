"""Functions of each element: `trigonometry`, `powers`, `rounding`, `gamma`, `combining` of two.

Arithmetic stands in `ops.elementwise`, choices such as abs and where in `ops.piecewise`.
"""
