"""idx files: the format against bytes written by hand, the round trip, and every error."""

import gzip
import hashlib
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tinygrad_cnn.atomic import atomic_file
from tinygrad_cnn.data import IdxError, read_idx, write_idx
from tinygrad_cnn.data.idx import idx_digest

# The type codes as the format's description gives them.
CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}

arrays = st.sampled_from(sorted(CODES)).flatmap(
    lambda kind: npst.arrays(
        np.dtype(kind), npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
    )
)


def by_hand(array):
    """The idx file of an array, value by value with struct."""
    kind = array.dtype.kind + str(array.dtype.itemsize)
    letter = {"u1": "B", "i1": "b", "i2": "h", "i4": "i", "f4": "f", "f8": "d"}[kind]
    out = bytes([0, 0, CODES[kind], array.ndim])
    for dimension in array.shape:
        out += struct.pack(">I", dimension)
    for value in array.ravel().tolist():
        out += struct.pack(">" + letter, value)
    return out


@given(array=arrays, suffix=st.sampled_from(["", ".gz"]))
def test_round_trip(tmp_path_factory, array, suffix):
    path = tmp_path_factory.getbasetemp() / f"round-trip{suffix}"
    write_idx(path, array)
    back = read_idx(path)
    assert back.dtype == array.dtype
    assert back.dtype.isnative
    assert back.shape == array.shape
    assert back.flags.writeable
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("kind", sorted(CODES))
def test_bytes_are_those_of_the_format(tmp_path, kind):
    array = np.arange(-6, 6).astype(kind).reshape(3, 2, 2)
    write_idx(tmp_path / "a", array)
    assert (tmp_path / "a").read_bytes() == by_hand(array)
    (tmp_path / "b").write_bytes(gzip.compress(by_hand(array)))
    np.testing.assert_array_equal(read_idx(tmp_path / "b"), array)


def test_byte_order_and_strides_do_not_matter(tmp_path):
    array = np.arange(24, dtype="i4").reshape(2, 3, 4)
    for variant in (array.astype(">i4"), np.asfortranarray(array), array[::1]):
        write_idx(tmp_path / "a", variant)
        assert (tmp_path / "a").read_bytes() == by_hand(array)


def test_compressed_files_hold_neither_time_nor_name(tmp_path):
    array = np.arange(100, dtype=np.uint8)
    write_idx(tmp_path / "a.gz", array)
    write_idx(tmp_path / "b.gz", array)
    data = (tmp_path / "a.gz").read_bytes()
    assert data == (tmp_path / "b.gz").read_bytes()
    assert data[:4] == b"\x1f\x8b\x08\x00"  # no flags: no name, no comment
    assert data[4:8] == bytes(4)  # no time


def test_compression_is_seen_from_the_content(tmp_path):
    array = np.arange(10, dtype=np.uint8)
    write_idx(tmp_path / "a.gz", array)
    (tmp_path / "compressed").write_bytes((tmp_path / "a.gz").read_bytes())
    (tmp_path / "plain.gz").write_bytes(by_hand(array))
    np.testing.assert_array_equal(read_idx(str(tmp_path / "compressed")), array)
    np.testing.assert_array_equal(read_idx(str(tmp_path / "plain.gz")), array)


def test_digest_is_that_of_the_file():
    array = np.arange(10, dtype="f4").reshape(2, 5)
    for name in ("md5", "sha256"):
        assert idx_digest(array, name) == hashlib.new(name, by_hand(array)).hexdigest()


GOOD = by_hand(np.arange(200, dtype=np.uint8).reshape(10, 20))
GZIP = gzip.compress(GOOD, mtime=0)
BOMB = bytes([0, 0, 8, 4]) + struct.pack(">4I", *[2**31] * 4)
DAMAGED_CHECKSUM = GZIP[:-8] + bytes([GZIP[-8] ^ 1]) + GZIP[-7:]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an idx file.*got an empty file"),
        (b"\0\0\x08", "is not an idx file.*got 00 00 08"),
        (b"PK\x03\x04rest", "is not an idx file.*got 50 4b 03 04"),
        (b"\0\0\x0a\x01\0\0\0\0", "is not an idx file.*type code of 08, 09, 0b, 0c, 0d, 0e"),
        (GOOD[:10], "truncated within the header's 2 dimensions"),
        (GOOD[:-30], r"truncated: the header promises 200 bytes.*shape \(10, 20\) of uint8"),
        (GOOD[:-1], "truncated: the header promises 200 bytes.*, the file holds 199"),
        (GOOD + b"x", "the header promises 200 bytes.*, the file holds more"),
        (gzip.compress(GOOD[:-1], mtime=0), "truncated.*the file holds 199"),
        (gzip.compress(GOOD + b"x", mtime=0), "the file holds more"),
        (GZIP[:-20], "the gzip file is truncated"),
        (GZIP[:5], "the gzip file is truncated"),
        (DAMAGED_CHECKSUM, "the gzip file is corrupted.*CRC"),
        (GZIP[:10] + b"\xff" * 20 + GZIP[30:], "the gzip file is corrupted"),
        (GZIP + b"trailing", "the gzip file is corrupted"),
        (BOMB + bytes(100), "truncated.*more than the file can contain"),
        (gzip.compress(BOMB + bytes(100), mtime=0), "truncated.*more than the file can contain"),
        (
            bytes([0, 0, 8, 5]) + struct.pack(">5I", 0, *[2**32 - 1] * 4),
            "impossible shape .* in the header",
        ),
        (bytes([0, 0, 8, 255]) + struct.pack(">255I", *[1] * 255) + b"x", "impossible shape"),
    ],
)
def test_bad_files(tmp_path, content, message):
    path = tmp_path / "some-file"
    path.write_bytes(content)
    with pytest.raises(IdxError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"read_idx: there is no file .*absent"):
        read_idx(tmp_path / "absent")


def test_a_header_allocates_nothing(tmp_path):
    """A gzip file that could hold what it promises, by its size, but does not."""
    claim = bytes([0, 0, 8, 1]) + struct.pack(">I", 1 << 30)
    noise = np.random.default_rng(0).bytes(1 << 20)
    (tmp_path / "a").write_bytes(gzip.compress(claim + noise))
    tracemalloc.start()
    with pytest.raises(IdxError, match=r"truncated: .*, the file holds 1,048,576"):
        read_idx(tmp_path / "a")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20


def test_max_bytes_stops_a_gzip_bomb(tmp_path):
    squeeze = zlib.compressobj(9, wbits=31)
    header = bytes([0, 0, 8, 1]) + struct.pack(">I", 100 << 20)
    (tmp_path / "a").write_bytes(
        squeeze.compress(header) + squeeze.compress(bytes(100 << 20)) + squeeze.flush()
    )
    with pytest.raises(IdxError, match=r"promises 104,857,600 .*at most 1,000 were expected"):
        read_idx(tmp_path / "a", max_bytes=1000)


@given(
    base=st.sampled_from([GOOD, GZIP]),
    edits=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.integers(0, 300),
)
def test_damage_gives_an_idx_error_or_an_array(tmp_path_factory, base, edits, cut):
    data = bytearray(base)
    for position, value in edits:
        data[position % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(data[: len(data) - cut] if cut < len(data) else data)
    message = ""
    try:
        read_idx(path)
    except IdxError as error:  # any other error fails the test
        message = str(error)
    assert not message or str(path) in message


@pytest.mark.parametrize("kind", ["i8", "bool", "f2", "u2", "c8", "U3"])
def test_types_that_idx_does_not_have(tmp_path, kind):
    with pytest.raises(TypeError, match="idx holds uint8, int8, int16, int32, float32, float64"):
        write_idx(tmp_path / "a", np.zeros(3, dtype=kind))
    assert list(tmp_path.iterdir()) == []


def test_dimension_beyond_32_bits(tmp_path):
    array = np.broadcast_to(np.uint8(0), (2**32, 0))
    with pytest.raises(ValueError, match="each dimension must fit 32 bits"):
        write_idx(tmp_path / "a", array)


def write_and_interrupt(path):
    with atomic_file(path) as file:
        file.write(b"new and unfinished")
        raise KeyboardInterrupt


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        write_and_interrupt(path)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]
