"""ONNX files: networks of other frameworks, read, run, differentiated, and written.

``load(path)`` gives a `Module`; ``save(module, example, path)`` writes one; ``info(path)`` says
what a file holds.

Where to begin: `module` is the network, `compiling` makes a graph ready to run as a `plan`,
`operators` has what each node does. `messages`, `coding` and `wire` are the format.
"""

from tinygrad_cnn.onnx.errors import OnnxError
from tinygrad_cnn.onnx.export import save
from tinygrad_cnn.onnx.info import Info, info
from tinygrad_cnn.onnx.module import OnnxModule, load

__all__ = ["Info", "OnnxError", "OnnxModule", "info", "load", "save"]
