"""A small data set for the tests of folders and sources."""

import numpy as np

from tinygrad_cnn.data import write_idx
from tinygrad_cnn.data.folder import PARTS

RNG = np.random.default_rng(0)
ARRAYS = {
    "train-images-idx3-ubyte": RNG.integers(256, size=(6, 5, 4), dtype=np.uint8),
    "train-labels-idx1-ubyte": np.array([0, 1, 2, 0, 1, 2], dtype=np.uint8),
    "t10k-images-idx3-ubyte": RNG.integers(256, size=(2, 5, 4), dtype=np.uint8),
    "t10k-labels-idx1-ubyte": np.array([3, 0], dtype=np.uint8),
}


def write_folder(folder, rename=lambda name: name, **changes):
    """Write the set under the files' usual names; an array, or None, replaces a part."""
    folder.mkdir(exist_ok=True)
    for part in PARTS:
        array = changes.get(part[: part.index("-idx")].replace("-", "_"), ARRAYS[part])
        if array is not None:
            write_idx(folder / rename(part), array)
    return folder
