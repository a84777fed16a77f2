"""Convolutions in one, two and three dimensions.

Begin with `trilinear`: the three operations and their rules, each one's being the other two.
`convolution` and `transposed` have the public functions, `arguments` reads what they are given.
"""
