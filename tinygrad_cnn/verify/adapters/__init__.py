"""Other people's code as subjects of verification: an adapter a file.

``choose`` tells by what is given which one it is; begin there. ``layers`` takes classes with
``forward`` and ``backward`` and what they keep in between (``attributes`` finds their gradients),
``pairs`` functions of arrays. No framework is imported here: whoever gives a framework's tensors or
functions has imported it.
"""
