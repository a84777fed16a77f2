"""Files of weights: there and back, cut short, damaged, of another kind."""

from __future__ import annotations

import importlib.util
import pickle
import sys
import zipfile

import numpy as np
import pytest

from tinygrad_cnn.nn import BatchNorm1d, Linear, Parameter, Sequential
from tinygrad_cnn.nn.weights import read_arrays, write_arrays


def net(seed):
    generator = np.random.default_rng(seed)
    return Sequential(Linear(3, 2, generator=generator), BatchNorm1d(2))


SUFFIXES = [
    ".npz",
    ".pt",
    pytest.param(
        ".safetensors",
        marks=pytest.mark.skipif(
            not importlib.util.find_spec("safetensors"),
            reason="the package safetensors is optional",
        ),
    ),
]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_there_and_back(tmp_path, suffix):
    first, second = net(1), net(2)
    first[1].num_batches_tracked.copy_(7)
    first[0].file = Parameter([1.0])  # a name that numpy.savez cannot take
    second[0].file = Parameter([2.0])
    path = tmp_path / f"weights{suffix}"
    first.save_weights(path)
    first.save_weights(str(path))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    second.load_weights(path)
    for name, value in first.state_dict().items():
        loaded = second.state_dict()[name]
        assert np.asarray(loaded).tobytes() == np.asarray(value).tobytes()
        assert loaded.dtype == value.dtype


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_any_layout_and_shape(tmp_path, suffix):
    arrays = {
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "number": np.array(3),
        "empty": np.zeros((0, 2), np.float32),
        "a/b": np.array([True]),
    }
    write_arrays(tmp_path / f"x{suffix}", arrays)
    found = read_arrays(tmp_path / f"x{suffix}")
    assert found.keys() == arrays.keys()
    for name, value in arrays.items():
        np.testing.assert_array_equal(found[name], value, strict=True)


def test_numpy_reads_the_npz(tmp_path):
    net(1).save_weights(tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["0.weight"], net(1).state_dict()["0.weight"])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_cut_short_or_damaged_is_refused(tmp_path, suffix):
    whole = net(1)
    path = tmp_path / f"w{suffix}"
    whole.save_weights(path)
    content = path.read_bytes()
    before = whole.state_dict()
    for damaged in (content[: len(content) // 2], b"", b"not a file of weights at all"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"load_weights: .* is not a file of weights"):
            whole.load_weights(path)
    for name, value in whole.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_a_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / "w.npz"
    net(1).save_weights(path)
    content = bytearray(path.read_bytes())
    content[content.index(net(1).state_dict()["0.weight"].numpy().tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not a file of weights"):
        net(1).load_weights(path)


def test_a_compressed_file_is_read_and_its_damage_noticed(tmp_path):
    path = tmp_path / "w.npz"
    first, second = net(1), net(2)
    np.savez_compressed(path, **first.state_dict())
    second.load_weights(path)
    np.testing.assert_array_equal(second[0].weight.numpy(), first[0].weight.numpy())
    with zipfile.ZipFile(path) as archive:
        start = archive.infolist()[0].header_offset
    content = bytearray(path.read_bytes())
    content[start + 70 : start + 90] = b"\xff" * 20
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not a file of weights"):
        second.load_weights(path)


def test_pickled_objects_are_neither_written_nor_read(tmp_path):
    objects = np.array([{"a": 1}], dtype=object)
    with pytest.raises(ValueError, match="Object arrays"):
        write_arrays(tmp_path / "w.npz", {"x": objects})
    assert list(tmp_path.iterdir()) == []
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("x.npy", pickle.dumps(objects))
    with pytest.raises(ValueError, match="is not a file of weights"):
        net(1).load_weights(tmp_path / "w.npz")
    np.savez(tmp_path / "w.npz", x=objects)
    with pytest.raises(ValueError, match="is not a file of weights"):
        net(1).load_weights(tmp_path / "w.npz")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "w.npz"
    net(1).save_weights(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="Object arrays"):
        write_arrays(path, {"fine": np.ones(3), "x": np.array([None])})
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["w.npz"]


def test_other_names(tmp_path):
    with pytest.raises(ValueError, match=r"save_weights: expected a name ending in .npz, .saf"):
        net(1).save_weights(tmp_path / "w.onnx")
    with pytest.raises(ValueError, match="load_weights: expected a name ending in"):
        net(1).load_weights(tmp_path / "w")
    for name in ("w.npz", "w.safetensors"):
        if name == "w.safetensors":
            pytest.importorskip("safetensors", reason="the package safetensors is optional")
        with pytest.raises(FileNotFoundError):
            net(1).load_weights(tmp_path / name)


def test_weights_of_another_network_are_refused(tmp_path):
    Linear(3, 2).save_weights(tmp_path / "w.npz")
    with pytest.raises(ValueError, match=r"load_state_dict: Sequential: missing: 0.weight"):
        net(1).load_weights(tmp_path / "w.npz")
    result = net(1).load_weights(tmp_path / "w.npz", strict=False)
    assert result.unexpected_keys == ["weight", "bias"]


def test_without_the_package_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r"save_weights: .*pip install 'tinygrad-cnn\[safetens"):
        net(1).save_weights(tmp_path / "w.safetensors")
    with pytest.raises(ImportError, match=r"load_weights: .safetensors needs the package"):
        net(1).load_weights(tmp_path / "w.safetensors")
