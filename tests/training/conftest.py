"""Small parts of the digits, as arrays and as a folder; global settings are put back."""

import pytest

from tests.threads import num_threads
from tests.training.small import small_splits, write_folder
from tinygrad_cnn.random import manual_seed


@pytest.fixture(autouse=True)
def global_settings():
    manual_seed(0)
    with num_threads():
        yield


@pytest.fixture(autouse=True, scope="module")
def without_report():
    """Leave out the page at the end of a run: it has tests of its own, and takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tinygrad_cnn.cli.train.report_run", lambda *_, **__: 0)
        yield


@pytest.fixture(scope="session")
def splits():
    return small_splits()


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("digits"))
