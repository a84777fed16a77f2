"""Many numbers to few: sums, and the means and variances of channels.

Begin with `sums`: `sum_over` adds float32 in short chains that go on in float64.
`moments` computes batch statistics, also of a convolution's result while its parts are made.
"""
