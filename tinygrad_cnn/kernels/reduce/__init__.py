"""Many numbers to few: sums, the means and variances of channels, softmax, sums at places.

Begin with `sums`: `sum_over` adds float32 in short chains that go on in float64.
"""
