"""Data sets of single images: MNIST and its kin, CIFAR's archives, folders, noise."""

from __future__ import annotations

import dataclasses
import gzip
import io
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.small_cifar import RECORDS, cifar_archive, source_of
from tests.data.small_set import ARRAYS
from tinygrad_cnn.data import DataLoader, DownloadError, IdxError, digits, transforms, write_idx
from tinygrad_cnn.data import datasets as D
from tinygrad_cnn.data.idx import idx_digest
from tinygrad_cnn.data.sources import Source

Image = pytest.importorskip("PIL.Image")


# ------------------------------------------------------------------------------- idx files


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Source:
    """A source of six and two images in the place of MNIST's."""
    source = Source(
        name="small",
        classes=("a",),
        md5={part: idx_digest(array, "md5") for part, array in ARRAYS.items()},
        mirrors=(),
    )
    monkeypatch.setattr(D.MNIST, "source", source)
    return source


def put(root: Path, owner: str = "MNIST", ending: str = ".gz", **names: str) -> Path:
    raw = root / owner / "raw"
    raw.mkdir(parents=True)
    for part, array in ARRAYS.items():
        write_idx(raw / f"{names.get(part.replace('-', '_'), part)}{ending}", array)
    return root


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_mnist_in_torchvisions_folders(tmp_path: Path, small: Source, ending: str) -> None:
    train = D.MNIST(put(tmp_path, ending=ending))
    test = D.MNIST(str(tmp_path), train=False, target_transform=str)
    assert (len(train), len(test), small.name) == (6, 2, "small")
    image, label = train[4]
    np.testing.assert_array_equal(np.asarray(image), ARRAYS["train-images-idx3-ubyte"][4])
    assert (image.mode, label, type(label), test[0][1]) == ("L", 1, int, "3")
    assert train.data.shape == (6, 5, 4)
    assert train.targets.tolist() == [0, 1, 2, 0, 1, 2]
    assert train.class_to_idx["2 - two"] == 2
    assert repr(test) == (
        f"Dataset MNIST\n    Number of datapoints: 2\n    Root location: {tmp_path}\n"
        f"    Split: Test\n    Target transform: {str!r}"
    )


def test_mnist_is_fetched_where_it_is_missing(
    tmp_path: Path, small: Source, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = put(tmp_path / "made")
    server.routes = {
        f"/m/{file.name}": [file.read_bytes()] for file in (made / "MNIST/raw").iterdir()
    }
    monkeypatch.setattr(D.MNIST, "source", dataclasses.replace(small, mirrors=(f"{server.url}/m",)))
    root = tmp_path / "root"
    with pytest.raises(FileNotFoundError, match="download=True fetches it"):
        D.MNIST(root)
    for _ in range(2):
        assert len(D.MNIST(root, download=True)) == 6
    assert len(D.MNIST(root, train=False, download=True)) == 2
    assert set(server.requests.values()) == {1}
    server.routes = {}
    with pytest.raises(DownloadError, match="could not be downloaded"):
        D.MNIST(tmp_path / "other", download=True)


def test_other_images_in_its_place_are_used_with_a_warning(tmp_path: Path) -> None:
    put(tmp_path)
    with pytest.warns(UserWarning, match="train-images.*sound, but not the published") as caught:
        assert len(D.MNIST(tmp_path)) == 6
    assert caught[0].filename == __file__
    (tmp_path / "MNIST/raw/train-labels-idx1-ubyte.gz").write_bytes(b"\x1f\x8b damaged")
    with pytest.raises(IdxError, match="corrupted"):
        D.MNIST(tmp_path)


@pytest.mark.usefixtures("small")
def test_labels_that_do_not_fit(tmp_path: Path) -> None:
    root = put(tmp_path)
    write_idx(root / "MNIST/raw/train-labels-idx1-ubyte.gz", np.zeros(5, np.uint8))
    with (
        pytest.warns(UserWarning, match="not the published ones"),
        pytest.raises(IdxError, match=r"shape \(6, 5, 4\) with labels of shape \(5,\)"),
    ):
        D.MNIST(root)


def test_others_in_the_form_of_mnist(tmp_path: Path) -> None:
    put(tmp_path, "KMNIST")
    assert len(D.KMNIST(tmp_path)) == 6
    with pytest.raises(FileNotFoundError, match="KMNIST is not downloaded here: put its files"):
        D.KMNIST(tmp_path / "other", download=True)
    raw = tmp_path / "EMNIST" / "raw"
    raw.mkdir(parents=True)
    for kind in ("images-idx3", "labels-idx1"):
        write_idx(raw / f"emnist-letters-test-{kind}-ubyte", ARRAYS[f"t10k-{kind}-ubyte"])
    letters = D.EMNIST(tmp_path, "letters", train=False)
    assert (len(letters), letters.classes[:2], len(letters.classes)) == (2, ["N/A", "a"], 27)
    assert {s: len(n) for s, n in D.EMNIST.splits.items()} == {
        "byclass": 62,
        "bymerge": 47,
        "balanced": 47,
        "letters": 27,
        "digits": 10,
        "mnist": 10,
    }
    with pytest.raises(ValueError, match=r"EMNIST: split is byclass, .* got 'all'"):
        D.EMNIST(tmp_path, "all")


@pytest.mark.usefixtures("small")
def test_without_pillow_images_are_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    image, _ = D.MNIST(put(tmp_path))[0]
    assert isinstance(image, np.ndarray)
    to_tensor = transforms.Compose([transforms.ToTensor(), transforms.Normalize(0.1, 0.3)])
    x, _ = D.MNIST(tmp_path, transform=to_tensor)[0]
    assert (x.shape, x.dtype) == ((1, 5, 4), np.float32)
    with pytest.raises(ImportError, match=r"open_image needs Pillow: pip install 'tinygrad-cn"):
        D.default_loader("x.png")
    with pytest.raises(ImportError, match="to_pil_image needs Pillow"):
        transforms.ToPILImage()(x)


def test_a_loader_over_mnist_gives_what_the_arrays_give(tmp_path: Path) -> None:
    train = digits().train
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    write_idx(raw / "train-images-idx3-ubyte", train.images)
    write_idx(raw / "train-labels-idx1-ubyte", train.labels.astype(np.uint8))
    with pytest.warns(UserWarning, match="not the published ones"):
        dataset = D.MNIST(tmp_path, transform=transforms.ToTensor())
    images, labels = next(iter(DataLoader(dataset, 16)))
    np.testing.assert_array_equal(images.numpy()[:, 0], train.images[:16] / np.float32(255))
    np.testing.assert_array_equal(labels.numpy(), train.labels[:16])


# ------------------------------------------------------------------------------- CIFAR


@pytest.fixture
def cifar(monkeypatch: pytest.MonkeyPatch) -> Any:
    def put_archive(root: Path, content: bytes) -> Path:
        monkeypatch.setattr(D.CIFAR10, "source", source_of(content))
        root.mkdir(exist_ok=True)
        (root / "cifar-10-binary.tar.gz").write_bytes(content)
        return root

    return put_archive


def test_cifar_from_its_archive(tmp_path: Path, cifar: Any) -> None:
    root = cifar(tmp_path, cifar_archive())
    train, test = D.CIFAR10(root), D.CIFAR10(root, train=False)
    assert (len(train), len(test), train.data.shape) == (20, 4, (20, 32, 32, 3))
    assert train.classes[9] == "truck"
    assert train.class_to_idx["cat"] == 3
    expected = np.concatenate([RECORDS[n] for n in D.CIFAR10.source.train])
    for i in (0, 7, 19):
        image, label = train[i]
        pixels = expected[i, 1:].reshape(3, 32, 32)
        np.testing.assert_array_equal(np.asarray(image), pixels.transpose(1, 2, 0))
        assert label == expected[i, 0]
    assert list(tmp_path.iterdir()) == [root / "cifar-10-binary.tar.gz"]  # nothing was unpacked


def test_cifar_from_a_folder(tmp_path: Path, cifar: Any) -> None:
    content = cifar_archive()
    cifar(tmp_path / "elsewhere", content)
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content))) as archive:
        for member in filter(tarfile.TarInfo.isfile, archive):  # 3.11.2 has no extractall(filter=…)
            file = archive.extractfile(member)
            assert file is not None
            path = tmp_path / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.read())
    assert len(D.CIFAR10(tmp_path)) == 20
    with (tmp_path / "cifar-10-batches-bin/test_batch.bin").open("ab") as file:
        file.write(b"x")
    with pytest.raises(
        ValueError, match=r"test_batch.bin has 12,293 bytes; 4 images .* have 12,292"
    ):
        D.CIFAR10(tmp_path, train=False)


def test_cifar_is_fetched(
    tmp_path: Path, cifar: Any, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = cifar_archive()
    cifar(tmp_path / "elsewhere", content)
    server.routes = {"/cifar-10-binary.tar.gz": [content]}
    monkeypatch.setattr(D.CIFAR10, "mirrors", (server.url,))
    root = tmp_path / "root"
    with pytest.raises(FileNotFoundError, match=r"download=True fetches it \(the Python version"):
        D.CIFAR10(root)
    for _ in range(2):
        assert len(D.CIFAR10(root, download=True)) == 20
    assert server.requests["/cifar-10-binary.tar.gz"] == 1


BATCH = "cifar-10-batches-bin/data_batch_3.bin"


def link(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return info


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop(BATCH), "lacks data_batch_3.bin"),
        (
            lambda m: m.update({BATCH: m[BATCH] + b"x"}),
            "data_batch_3.bin has 12,293 bytes; 4 images",
        ),
        (lambda m: m.update({BATCH: b""}), "data_batch_3.bin has 0 bytes"),
        (lambda m: m.update({BATCH: link(BATCH)}), "is damaged|is not a file"),
        (lambda m: m.update({BATCH: bytes([99]) * 4 * 3073}), "class 99 of 10"),
        (
            lambda m: m.update({"cifar-10-batches-bin/batches.meta.txt": b"a " * 5000}),
            "batches.meta.txt has 10,000 bytes, at most 4,096",
        ),
        (
            lambda m: (m.update({"zeros": bytes(8 << 20)}), m.update({BATCH: m.pop(BATCH)})),
            "inflates",
        ),
    ],
)
def test_hostile_archives_are_refused(
    tmp_path: Path, cifar: Any, change: Any, message: str
) -> None:
    root = cifar(tmp_path, cifar_archive(change))
    with pytest.raises(ValueError, match=message):
        D.CIFAR10(root)


def test_an_archive_that_is_another_or_cut_short(tmp_path: Path, cifar: Any) -> None:
    content = cifar_archive()
    root = cifar(tmp_path, content)
    file = root / "cifar-10-binary.tar.gz"
    file.write_bytes(content[:-1])
    with pytest.raises(ValueError, match=f"bytes; the published one has {len(content):,}"):
        D.CIFAR10(root)
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ValueError, match="its MD5 is"):
        D.CIFAR10(root)
    for damaged in (
        content[: len(content) // 2],
        b"not gzip" * 100,
        gzip.compress(b"not tar" * 999),
    ):
        with pytest.raises(ValueError, match=r"damaged|lacks"):
            D.CIFAR10(cifar(tmp_path, damaged))


def test_both_archives_are_described_as_published() -> None:
    for kind, classes, bytes_each in ((D.CIFAR10, 1, 3073), (D.CIFAR100, 2, 3074)):
        source = kind.source
        assert source.labels == classes
        assert sum(source.images[n] for n in source.train) == 50_000
        assert sum(source.images[n] for n in source.test) == 10_000
        assert source.labels + 3072 == bytes_each


# ------------------------------------------------------------------------------- folders, noise


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for name, shade in (
        ("dog/b.png", 10),
        ("cat/x/a.JPG", 200),
        ("cat/z.bmp", 90),
        ("cat/n.txt", 0),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("txt"):
            path.write_text("no image")
        else:
            Image.new("L", (5, 4), shade).save(path)
    return tmp_path


def test_a_folder_a_class(pictures: Path) -> None:
    data = D.ImageFolder(pictures, transform=transforms.ToTensor())
    assert data.classes == ["cat", "dog"]
    assert data.targets == [0, 0, 1]
    assert [Path(path).name for path, _ in data.imgs] == ["z.bmp", "a.JPG", "b.png"]
    image, label = data[2]
    assert (image.shape, label) == ((3, 4, 5), 1)
    np.testing.assert_allclose(image.numpy(), 10 / 255, rtol=1e-6)
    chosen = D.ImageFolder(
        pictures, is_valid_file=lambda path: path.endswith("png"), allow_empty=True
    )
    assert len(chosen) == 1
    words = D.DatasetFolder(pictures, lambda p: Path(p).read_text(), (".txt",), allow_empty=True)
    assert words[0] == ("no image", 0)


def test_folders_that_are_none(pictures: Path) -> None:
    (pictures / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no files that end in \.jpg, .* for class empty"):
        D.ImageFolder(pictures)
    with pytest.raises(FileNotFoundError, match="holds no folders, one a class"):
        D.ImageFolder(pictures / "empty")
    with pytest.raises(ValueError, match="give extensions or is_valid_file, one of them"):
        D.DatasetFolder(pictures, str)


def test_files_that_are_no_images_name_themselves(pictures: Path) -> None:
    (pictures / "dog/b.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    with pytest.raises(ValueError, match=r"b\.png cannot be read as an image"):
        D.ImageFolder(pictures)[2]
    Image.new("L", (5, 4)).save(pictures / "dog/c.eps")
    (pictures / "dog/c.eps").rename(pictures / "dog/b.png")  # of a type that is not asked for
    with pytest.raises(ValueError, match=r"b\.png cannot be read as an image"):
        D.ImageFolder(pictures)[2]


def test_noise_is_the_same_each_time() -> None:
    one, two = D.FakeData(5, (3, 6, 7)), D.FakeData(5, (3, 6, 7))
    for i in range(5):
        np.testing.assert_array_equal(np.asarray(one[i][0]), np.asarray(two[i][0]))
        assert one[i][1] == two[i][1] < 10
    assert D.FakeData(5, (1, 6, 7))[0][0].mode == "L"
    shifted = D.FakeData(5, (3, 6, 7), random_offset=1)
    np.testing.assert_array_equal(np.asarray(shifted[0][0]), np.asarray(one[1][0]))
    with pytest.raises(IndexError, match="index 5 of 5 images"):
        one[5]
    with pytest.raises(ValueError, match="transforms says what transform and target_transform say"):
        D.VisionDataset(transforms=lambda x, y: (x, y), transform=str)


def test_transforms_of_both() -> None:
    class Both(D.FakeData):
        def __init__(self) -> None:
            super().__init__(2, (1, 4, 4))
            self.transforms = lambda image, target: (image.size, -target)

    size, target = Both()[1]
    assert size == (4, 4)
    assert target <= 0
