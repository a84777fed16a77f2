"""Pools in one, two and three dimensions.

`maximum` and `average` go over windows, `adaptive` over regions that cover the input, `chosen` over
elements that are named by their positions (unpooling, fractional pools), `powers` takes means of
powers. `arguments` reads what they are given.
"""
