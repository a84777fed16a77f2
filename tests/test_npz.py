"""Archives of arrays: what comes back, and what is refused before anything is allocated."""

import io
import os
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tinygrad_cnn.npz import MOST_INFLATED, read_npz, write_npz

ROOT = Path(__file__).parents[1]
ARRAYS = {
    "matrix": np.arange(6.0).reshape(2, 3),
    "columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "number": np.array(3),
    "words": np.array(["a", "longer"]),
    "nothing": np.zeros((0, 3), np.float32),
    "half": np.ones(2, np.float16),
    "big-endian": np.arange(3, dtype=">i4"),
    "flags": np.array([True, False]),
    "complex": np.array([1j]),
    "file": np.array([1]),
}


def archive(**members):
    """A zip file of raw members, stored."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as out:
        for name, content in members.items():
            out.writestr(f"{name}.npy", content)
    return file.getvalue()


def header(text, length=None):
    text = text.encode() + b"\n"
    return b"\x93NUMPY\1\0" + (len(text) if length is None else length).to_bytes(2, "little") + text


@pytest.mark.parametrize("compress", [False, True])
def test_arrays_come_back(tmp_path, compress):
    for _ in range(2):
        with (tmp_path / "a.npz").open("wb") as file:
            write_npz(file, ARRAYS, compress=compress)
    first = (tmp_path / "a.npz").read_bytes()
    found = read_npz(tmp_path / "a.npz")
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert np.array_equal(found[name], array)
        assert found[name].flags.f_contiguous == array.flags.f_contiguous
        assert found[name].flags.writeable
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert all(np.array_equal(arrays[name], array) for name, array in ARRAYS.items())
    assert b"\x93NUMPY" in first or compress


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_numpys_own_files_are_read(tmp_path, save):
    arrays = {name: array for name, array in ARRAYS.items() if name != "file"}
    save(tmp_path / "a.npz", **arrays)
    found = read_npz(tmp_path / "a.npz")
    assert all(np.array_equal(found[name], array) for name, array in arrays.items())


GOOD = "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a zip file"),
        (archive(a=b"no array"), "a.npy is not an array"),
        (archive(a=header(GOOD) + bytes(15)), "promises 16 bytes, and has 15"),
        (archive(a=header(GOOD) + bytes(17)), "promises 16 bytes, and has 17"),
        (archive(a=header(GOOD, 60000) + bytes(16)), "header of 60,000 bytes"),
        (archive(a=header(GOOD.replace("2,", "2" + "0" * 12)) + bytes(16)), "and has 16"),
        (archive(a=header(GOOD.replace("<f8", "|O")) + bytes(16)), "something other than numbers"),
        (archive(a=header(GOOD.replace("<f8", "<U0"))), "something other than numbers"),
        (archive(a=header(GOOD.replace("'<f8'", "[('x', '<f8')]"))), "something other than numb"),
        (archive(a=header(GOOD.replace("2,", "0, 4611686018427387904")), b=b""), "is not a sound"),
    ],
)
def test_bad_archives(tmp_path, content, message):
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_npz(tmp_path / "bad.npz")
    assert str(caught.value).startswith(str(tmp_path / "bad.npz"))


def test_one_name_twice(tmp_path):
    content = archive(a=header(GOOD) + bytes(16), b=header(GOOD) + bytes(16))
    (tmp_path / "bad.npz").write_bytes(content.replace(b"b.npy", b"a.npy"))
    with pytest.raises(ValueError, match="two members have one name"):
        read_npz(tmp_path / "bad.npz")


def test_a_bomb_is_refused_before_it_goes_off(tmp_path):
    size = MOST_INFLATED + (1 << 20)
    head = header(GOOD.replace("2,", f"{size // 8},"))
    path = tmp_path / "bomb.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out,
        out.open("a.npy", "w") as member,
    ):
        member.write(head)
        for _ in range(size >> 20):
            member.write(bytes(1 << 20))
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="compressed members unpack to 269"):
            read_npz(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_what_is_no_file(tmp_path):
    with pytest.raises(ValueError, match="is not a file"):
        read_npz(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_npz(tmp_path / "absent.npz")


@pytest.mark.parametrize("files", [20, pytest.param(600, marks=pytest.mark.slow)])
def test_a_sample_of_hostile_files(files):
    """The whole, of a hundred thousand files: python tests/training/hostile_files.py."""
    pytest.importorskip("PIL")
    pytest.importorskip("resource")
    done = subprocess.run(
        [sys.executable, ROOT / "tests/training/hostile_files.py", f"--files={files}", "--seed=1"],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{files} files in " in done.stdout
