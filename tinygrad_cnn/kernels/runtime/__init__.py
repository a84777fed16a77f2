"""How work is run: threads, memory that is used again, copies between memory orders.

Begin with `threads`: `parallel` splits a range over workers, and holds BLAS to one thread.
`memory` makes aligned arrays, `copies` moves values from one memory order to another, `rows`
repeats per-channel numbers along memory, so that NumPy's inner loops are long.
"""
