"""A data set small enough to train on in a moment, and how runs are compared."""

import numpy as np

from tinygrad_cnn.data import ImageDataset, Splits, digits, write_idx
from tinygrad_cnn.data.folder import PARTS

TRAIN, TEST = 90, 40


def small_splits(train=TRAIN, test=TEST):
    parts = zip(digits(), (train, test), strict=True)
    return Splits(*(ImageDataset(d.images[:n], d.labels[:n], d.classes) for d, n in parts))


def write_folder(folder, splits=None):
    train, test = splits or small_splits()
    arrays = (train.images, train.labels, test.images, test.labels)
    for part, array in zip(PARTS, arrays, strict=True):
        write_idx(folder / part, array.astype(np.uint8))
    return folder


def state_of(trainer):
    """All that a trainer's end depends on, seconds left out."""
    values, arrays = trainer.state()
    position = values["position"]
    del position["seconds"]
    position["epoch_rows"] = [row[:-1] for row in position["epoch_rows"]]
    return values, {name: array.tobytes() for name, array in arrays.items()}


def weights_of(folder):
    with np.load(folder / "model.npz", allow_pickle=False) as arrays:
        return {name: arrays[name].tobytes() for name in arrays.files}
