"""Networks as ONNX files.

`saving` is the function; `tracing` records a network twice, so that what belongs to the batch and
what depends on values shows; `writer` collects nodes and constants; `simple`, `layers` and `shapes`
write each operation. A network that was read from a file is written back as that file, with the
parameters of now.
"""

from tinygrad_cnn.onnx.export import layers, shapes, simple
from tinygrad_cnn.onnx.export.saving import save

__all__ = ["layers", "save", "shapes", "simple"]
