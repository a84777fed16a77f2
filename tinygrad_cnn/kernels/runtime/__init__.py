"""How work is run: sweeps, threads, memory that is used again, copies, windows, plans, tuning.

Begin with `sweep`, which runs a step over parts that fit the cache. Below it are `threads`, whose
`parallel` splits a range over workers, and `blas`, which is held to one thread meanwhile. `memory`
makes aligned arrays, `copies` moves values from one memory order to another, `rows` repeats
per-channel numbers along memory, so that NumPy's inner loops are long. `window` says how windows
lie over an input, `plans` remembers what is worked out once for a geometry, and `tuning` has the
numbers by which all of it is decided, with what they were measured on.
"""
