"""The digits that come with the package, so that it trains with no download.

Source, authors and licence are in ``digits/DATA_CARD.md``.
"""

from __future__ import annotations

from importlib import resources

from tinygrad_cnn.data.folder import splits_from_arrays
from tinygrad_cnn.data.idx import IdxError, idx_digest, read_idx
from tinygrad_cnn.data.images import Splits

__all__ = ["digits"]

# SHA-256 of the decompressed files
_SHA256 = {
    "train-images-idx3-ubyte": "1e3ffdb2f57e22d9e5363dde25c2d057542c2e72baa312f0f3b03948bb3802b7",
    "train-labels-idx1-ubyte": "685aeb7baef68233efa643639a5e9c15bb48be09a628f96fb7f606ca2a1ea7bc",
    "t10k-images-idx3-ubyte": "de7c252b04f05e1f8309634180ccdf286dc6dbac8c579b74e76e02ae0331ca52",
    "t10k-labels-idx1-ubyte": "832c0d20f0dc42e575488c75a83a970787d4c8d4d05831b2ef03701b4a478a90",
}


def digits() -> Splits:
    """Load the embedded digits: MNIST's first 5,000 training and first 1,000 test images.

    They are in MNIST's own order and are compared with their checksums at every call.

    Returns
    -------
    The training part, images (5000, 28, 28) of uint8 and labels (5000,) of int64, and the test
    part, (1000, 28, 28) and (1000,). The arrays are new at each call.

    Raises
    ------
    IdxError
        If an installed file is damaged.

    Examples
    --------
    >>> train, test = digits()
    >>> train
    ImageDataset(5,000 images of 28×28, 10 classes)
    >>> test.labels[:8].tolist()
    [7, 2, 1, 0, 4, 1, 4, 9]
    """
    folder = resources.files("tinygrad_cnn.data") / "digits"
    arrays = {}
    for part, expected in _SHA256.items():
        with resources.as_file(folder / f"{part}.gz") as file:
            arrays[part] = read_idx(file)
        if (found := idx_digest(arrays[part], "sha256")) != expected:
            raise IdxError(
                f"digits: the installed {part}.gz is damaged: the SHA-256 of its decompressed "
                f"bytes is {found}, expected {expected}; reinstall tinygrad-cnn"
            )
    return splits_from_arrays(arrays, tuple("0123456789"), "digits")
