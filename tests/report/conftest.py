"""One small run, trained from the command line with all that it keeps, for all tests here."""

import pytest

from tests.threads import num_threads
from tests.training.small import write_folder
from tinygrad_cnn.cli import main as cli
from tinygrad_cnn.random import get_rng_state, set_rng_state


@pytest.fixture(scope="session")
def small_data(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def trained(tmp_path_factory, small_data):
    """The folder of a run of a network that is quickly verified."""
    return train(tmp_path_factory.mktemp("run") / "first", small_data, "momentum")


def train(folder, data, network):
    state = get_rng_state()
    where = ("--data", str(data), "--out", str(folder))
    how = ("--epochs", "2", "--batch-size", "30", "--no-check", "--quiet")
    try:
        with num_threads():
            status = cli.main(["train", network, *where, *how])
    finally:
        set_rng_state(state)
    assert status == 0
    return folder
