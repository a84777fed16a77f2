"""``torch.utils.data``: PyTorch's names, in its modules, and no others."""

from __future__ import annotations

import importlib

import pytest

from tinygrad_cnn import data, distributed
from tinygrad_cnn.torch.utils import data as door

NAMES = {
    "": "BatchSampler ChainDataset ConcatDataset DataLoader Dataset DistributedSampler "
    "IterableDataset RandomSampler Sampler SequentialSampler StackDataset Subset "
    "SubsetRandomSampler TensorDataset WeightedRandomSampler default_collate default_convert "
    "get_worker_info random_split",
    ".dataset": "ChainDataset ConcatDataset Dataset IterableDataset StackDataset Subset "
    "TensorDataset random_split",
    ".dataloader": "DataLoader default_collate default_convert get_worker_info",
    ".sampler": "BatchSampler RandomSampler Sampler SequentialSampler SubsetRandomSampler "
    "WeightedRandomSampler",
    ".distributed": "DistributedSampler",
}


@pytest.mark.parametrize("module", NAMES)
def test_names_are_where_pytorch_has_them(module: str) -> None:
    found = importlib.import_module(f"{door.__name__}{module}")
    for name in NAMES[module].split():
        home = distributed if name == "DistributedSampler" else data  # it knows the ranks
        assert getattr(found, name) is getattr(home, name)
    assert not hasattr(found, "digits")
    with pytest.raises(AttributeError, match=rf"torch\.utils\.data{module}\.IterDataPipe is not"):
        found.IterDataPipe  # noqa: B018
