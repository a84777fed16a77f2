"""The format: messages to bytes and back, tensors in each of their fields, damage that is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.onnx_files.build import model, node, value
from tinygrad_cnn.onnx import OnnxError, load
from tinygrad_cnn.onnx.coding import decode, encode
from tinygrad_cnn.onnx.messages import Entry, Model, Node, TensorMessage
from tinygrad_cnn.onnx.tensors import array_of, write_tensor
from tinygrad_cnn.onnx.wire import DamagedError, varint, varints, written

RELU = model([node("Relu", "x", "y", "act")], [value("x", "N", 2)], "y")


def test_messages_survive() -> None:
    once = decode(Model, RELU)
    assert encode(once) == RELU
    assert once.graph is not None
    assert once.graph.node[0].op_type == "Relu"
    assert repr(once.graph.node[0]).startswith("Node(input=['x']")


def test_fields_of_no_table_are_kept() -> None:
    more = RELU + written(20, b"training")
    assert encode(decode(Model, more)) == more


@pytest.mark.parametrize("numbers", [[0, 1, -1, 2**63 - 1, -(2**63)], list(range(-300, 300))])
def test_varints(numbers: list[int]) -> None:
    data = b"".join(map(varint, numbers))
    assert varints(data, 0, len(data)) == numbers
    with pytest.raises(DamagedError, match="ends in a number"):
        varints(data + b"\x80", 0, len(data) + 1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x3a\x7f", "field 7 claims 127 bytes"),
        (b"\x3a", "ends in a number"),
        (b"\x08" + b"\xff" * 10, "more than 64 bits"),
        (b"\x00\x01", "the number 0"),
        (b"\x0b", "of kind 3"),
        (b"\x38\x01", "graph at byte 2 is not Graph"),
        (b"\x12\x01\xff", "producer_name is not text"),
        (b"\x3a\x02\x0d\x00", "the file ends in field 1"),
    ],
)
def test_damage_is_named(data: bytes, message: str) -> None:
    with pytest.raises(DamagedError, match=message):
        decode(Model, data)


def test_messages_nested_too_deep() -> None:
    data = b""
    for _ in range(300):  # a node with an attribute with a graph with …
        data = written(1, written(5, written(6, data)))
    with pytest.raises(DamagedError, match="deep"):
        decode(Model, written(7, data))


@pytest.mark.parametrize(
    "dtype", ["f4", "f8", "f2", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]
)
def test_arrays_survive(dtype: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    tensor = decode(TensorMessage, encode(write_tensor("t", array)))
    found = array_of(tensor)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)
    assert found.flags.writeable


LISTED: list[tuple[int, str, list[Any], Any]] = [
    (1, "float_data", [1.5, -2.0], np.array([1.5, -2.0], "f4")),
    (11, "double_data", [1.5, -2.0], np.array([1.5, -2.0], "f8")),
    (7, "int64_data", [1, -2], np.array([1, -2], "i8")),
    (13, "uint64_data", [1, 2**63], np.array([1, 2**63], "u8")),
    (3, "int32_data", [1, -2], np.array([1, -2], "i1")),
    (9, "int32_data", [1, 0], np.array([True, False])),
    (10, "int32_data", [0x3C00, 0xC000], np.array([1.0, -2.0], "f2")),
    (16, "int32_data", [0x3F80, 0xC000], np.array([1.0, -2.0], "f4")),
    (22, "int32_data", [0x9F], np.array([-1, -7], "i1")),
    (25, "int32_data", [0b1110], np.array([2, 3], "u1")),
]


@pytest.mark.parametrize(("number", "field", "values", "expected"), LISTED)
def test_elements_one_by_one(number: int, field: str, values: list[Any], expected: Any) -> None:
    tensor = TensorMessage(name="t", dims=[2], data_type=number, **{field: values})
    found = array_of(decode(TensorMessage, encode(tensor)))
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (TensorMessage(name="t", dims=[2], data_type=1, raw_data=b"1234"), "4 bytes"),
        (TensorMessage(name="t", dims=[2**40], data_type=1, float_data=[1.0]), "1 elements"),
        (TensorMessage(name="t", dims=[-2], data_type=1, float_data=[1.0]), r"shape \(-2,\)"),
        (TensorMessage(name="t", dims=[1], data_type=8, string_data=[b"a"]), "string, which NumPy"),
        (TensorMessage(name="t", dims=[1], data_type=1, data_location=1), "give load the model"),
    ],
)
def test_tensors_that_do_not_fit(tensor: TensorMessage, message: str) -> None:
    with pytest.raises(OnnxError, match=message):
        array_of(tensor)


def _external(location: str, **more: str) -> TensorMessage:
    entries = {"location": location, **more}
    return TensorMessage(
        name="w",
        dims=[2],
        data_type=1,
        data_location=1,
        external_data=[Entry(key=k, value=v) for k, v in entries.items()],
    )


def test_data_beside_the_model(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    numbers = np.array([1.0, 2.0, 3.0], np.float32)
    (folder / "w.bin").write_bytes(numbers.tobytes())
    (tmp_path / "outside.bin").write_bytes(numbers.tobytes())
    found = array_of(_external("w.bin", offset="4", length="8"), folder)
    np.testing.assert_array_equal(found, numbers[1:])
    for location, more, message in (
        ("../outside.bin", {}, "outside of the model's folder"),
        (str(tmp_path / "outside.bin"), {}, "outside of the model's folder"),
        ("", {}, "outside of the model's folder"),
        (".", {}, "which is no file"),
        ("none.bin", {}, "cannot be read"),
        ("w.bin\0", {}, "a byte 0"),
        ("w.bin", {"offset": "8", "length": "8"}, "which has 12"),
        ("w.bin", {"offset": "x"}, "cannot be read"),
        ("w.bin", {}, "12 bytes"),
    ):
        with pytest.raises(OnnxError, match=message):
            array_of(_external(location, **more), folder)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(8))
    (folder / "w.bin").symlink_to(tmp_path / "secret")
    with pytest.raises(OnnxError, match="outside"):
        array_of(_external("w.bin"), folder)


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"PK\x03\x04 not a model")
    with pytest.raises(OnnxError, match=r"m\.onnx is not read as an ONNX file"):
        load(path)
    path.write_bytes(encode(Node(name="n")))
    with pytest.raises(OnnxError, match="is not read as an ONNX file"):
        load(path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.onnx")
    path.write_bytes(RELU)
    assert load(path)(np.array([[-1.0, 2.0]])).tolist() == [[0.0, 2.0]]
