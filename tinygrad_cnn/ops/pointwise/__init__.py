"""Functions of each element: `trigonometry`, `powers`, `gamma`, and `combining` of two or three.

`ufunc` is what plain ones have in common. Arithmetic is in `ops.elementwise`, choices such as
abs and where in `ops.piecewise`, steps such as floor in `ops.rounding`.
"""
