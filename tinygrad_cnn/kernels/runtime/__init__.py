"""How work is run: threads, memory that is used again, copies, windows, plans, tuning.

Begin with `threads`: `parallel` splits a range over workers, and holds BLAS to one thread.
`memory` makes aligned arrays, `copies` moves values from one memory order to another, `rows`
repeats per-channel numbers along memory, so that NumPy's inner loops are long. `window` says how
windows lie over an input, `plans` remembers what is worked out once for a geometry, and `tuning`
has the numbers by which all of it is decided.
"""
