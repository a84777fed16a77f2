"""MNIST and Fashion-MNIST: where files are looked for, what is fetched, what is refused.

A small made-up source stands for the two, whose checksums only the real files have.
"""

import dataclasses
import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from tests.data.small_set import ARRAYS, write_folder
from tinygrad_cnn.data import DownloadError, IdxError, cache_folder, fashion_mnist, mnist, sources
from tinygrad_cnn.data.folder import PARTS
from tinygrad_cnn.data.idx import idx_digest
from tinygrad_cnn.data.sources import FASHION_MNIST, MNIST, Source

SMALL = Source(
    name="small",
    classes=("a", "b", "c", "d"),
    md5={part: idx_digest(array, "md5") for part, array in ARRAYS.items()},
    mirrors=(),
)
FULL_MNIST = os.environ.get("TINYGRAD_CNN_TEST_MNIST")


@pytest.fixture
def files(tmp_path):
    """The four compressed files' names and contents."""
    folder = write_folder(tmp_path / "made", lambda name: f"{name}.gz")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def read(root, server=None, download=True, source=SMALL, mirror="m"):
    mirrors = [] if server is None else [f"{server.url}/{mirror}"]
    return source.load(root, download, mirrors, 10.0, False)


def check(splits):
    np.testing.assert_array_equal(splits.train.images, ARRAYS["train-images-idx3-ubyte"])
    np.testing.assert_array_equal(splits.test.labels, ARRAYS["t10k-labels-idx1-ubyte"])
    assert splits.train.classes == SMALL.classes


def test_downloads_once_into_a_folder_of_its_own(server, files, tmp_path):
    server.routes = {f"/m/{name}": [content] for name, content in files.items()}
    root = tmp_path / "root"
    check(read(root, server))
    assert sorted(path.name for path in (root / "small").iterdir()) == sorted(files)
    check(read(root, server))
    check(read(root, download=False))
    assert set(server.requests.values()) == {1}


def test_a_server_that_decompresses_is_understood(server, files, tmp_path):
    server.routes = {f"/m/{name}": [gzip.decompress(data)] for name, data in files.items()}
    check(read(tmp_path / "root", server))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:-8] + b"\0" * 8,
        lambda data: gzip.compress(gzip.decompress(data)[:-1] + b"\7"),
        lambda _: b"<html>login required</html>",
        lambda _: b"",
    ],
)
def test_a_damaged_cached_file_is_refused_and_fetched_again(server, files, tmp_path, damage):
    server.routes = {f"/m/{name}": [content] for name, content in files.items()}
    read(tmp_path / "root", server)
    name = "t10k-labels-idx1-ubyte.gz"
    (tmp_path / "root" / "small" / name).write_bytes(damage(files[name]))
    with pytest.raises(IdxError, match=name):
        read(tmp_path / "root", download=False)
    with pytest.warns(UserWarning, match=f"{name}.*; fetching it again"):
        check(read(tmp_path / "root", server))
    assert server.requests.pop(f"/m/{name}") == 2
    assert set(server.requests.values()) == {1}
    check(read(tmp_path / "root", download=False))


def test_wrong_bytes_from_one_mirror_then_right_ones(server, files, tmp_path):
    name = "train-images-idx3-ubyte.gz"
    server.routes = {f"/m/{name}": [content] for name, content in files.items()}
    server.routes[f"/bad/{name}"] = [files["t10k-images-idx3-ubyte.gz"]]
    mirrors = [f"{server.url}/bad/", f"{server.url}/m/"]
    check(SMALL.load(tmp_path / "root", True, mirrors, 10.0, False))
    assert server.requests[f"/bad/{name}"] == 1


def test_a_bomb_from_a_mirror_is_refused(server, tmp_path):
    header = b"\0\0\x08\x01" + (100 << 20).to_bytes(4, "big")
    bomb = gzip.compress(header + bytes(100 << 20), compresslevel=1)
    server.routes = {"/m/train-images-idx3-ubyte.gz": [bomb]}
    with pytest.raises(DownloadError, match="promises 104,857,600 bytes"):
        read(tmp_path / "root", server)
    assert list((tmp_path / "root" / "small").iterdir()) == []


def test_all_mirrors_failing(server, tmp_path):
    with pytest.raises(DownloadError, match=r"train-images.* from any mirror:\n.*404: Not Found"):
        read(tmp_path / "root", server)


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("separator", ["-", "."])
def test_a_users_folder_is_used_as_it_is(tmp_path, ending, separator):
    folder = write_folder(tmp_path, lambda name: name.replace("-idx", f"{separator}idx") + ending)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    check(read(folder))
    check(read(str(folder), download=False))
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_users_folder_of_something_else_is_refused_and_left_alone(server, files, tmp_path):
    server.routes = {f"/m/{name}": [content] for name, content in files.items()}
    folder = write_folder(tmp_path / "other", t10k_labels=np.array([1, 1], dtype=np.uint8))
    expected = SMALL.md5["t10k-labels-idx1-ubyte"]
    with pytest.raises(IdxError, match=f"small: .* is not the published t10k-labels.*{expected}"):
        read(folder, server)
    assert not server.requests
    assert sorted(path.name for path in folder.iterdir()) == sorted(PARTS)


def test_uncompressed_files_in_the_cache_are_used(tmp_path):
    write_folder(tmp_path / "small")
    check(read(tmp_path, download=False))


def test_system_folder_comes_before_a_download(tmp_path):
    system = write_folder(tmp_path / "system", lambda name: f"{name}.gz")
    source = dataclasses.replace(SMALL, system_folders=(tmp_path / "absent", system))
    check(read(tmp_path / "root", source=source))
    assert not (tmp_path / "root").exists()


def test_a_damaged_system_folder_is_passed_over(server, files, tmp_path):
    server.routes = {f"/m/{name}": [content] for name, content in files.items()}
    system = write_folder(tmp_path / "system", t10k_labels=np.array([1, 1], dtype=np.uint8))
    source = dataclasses.replace(SMALL, system_folders=(system,))
    with pytest.warns(UserWarning, match="system is passed over: .*t10k-labels"):
        check(read(tmp_path / "root", server, source=source))


def test_missing_without_download(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"small: .*small lacks train-images-idx3-ubyte.gz"):
        read(tmp_path, download=False)
    assert list(tmp_path.iterdir()) == []


def test_mirrors_must_not_be_a_string(tmp_path):
    with pytest.raises(TypeError, match="mnist: mirrors must be a sequence of addresses"):
        mnist(tmp_path, mirrors="http://127.0.0.1/")


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("TINYGRAD_CNN_DATA", str(tmp_path / "data"))
    assert cache_folder() == tmp_path / "data"
    with pytest.raises(FileNotFoundError, match=r"data.mnist lacks train-images"):
        mnist(download=False)
    monkeypatch.setenv("TINYGRAD_CNN_DATA", "")
    assert cache_folder().name == "tinygrad-cnn"
    assert cache_folder().is_absolute()


def test_public_functions_pass_their_arguments(monkeypatch, tmp_path):
    for function, source in ((mnist, "MNIST"), (fashion_mnist, "FASHION_MNIST")):
        monkeypatch.setattr(sources, source, SMALL)
        write_folder(tmp_path / "small")
        check(function(tmp_path, False, mirrors=[], timeout=1.0, progress=False))


def test_published_sources():
    for source in (MNIST, FASHION_MNIST):
        assert set(source.md5) == set(PARTS)
        assert len(source.mirrors) >= 2
        assert len(source.classes) == 10
    assert FASHION_MNIST.system_folders == (Path("/usr/share/datasets/fashion-mnist"),)


@pytest.mark.skipif(
    not FULL_MNIST,
    reason="the environment variable TINYGRAD_CNN_TEST_MNIST names no folder with all of MNIST",
)
def test_full_mnist_through_a_server(server, tmp_path):
    for part in PARTS:
        server.routes[f"/m/{part}.gz"] = [(Path(FULL_MNIST) / f"{part}.gz").read_bytes()]
    train, test = mnist(tmp_path, mirrors=[f"{server.url}/m/"], progress=False)
    assert train.images.shape == (60_000, 28, 28)
    assert np.bincount(test.labels).tolist() == [
        *(980, 1135, 1032, 1010, 982),
        *(892, 958, 1028, 974, 1009),
    ]
