"""Files of ``torch.save``: read as they are, and hostile ones refused by name.

``archive.pt`` and ``stream.pth`` hold the same content, written by PyTorch 2.13 in its two forms.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import random
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tinygrad_cnn import nn, tensor
from tinygrad_cnn.cli import main as cli
from tinygrad_cnn.pt import find_state_dict, read_pt

HERE = Path(__file__).parent
FORMS = [HERE / "archive.pt", HERE / "stream.pth"]
forms = pytest.mark.parametrize("path", FORMS, ids=["archive", "stream"])


def model():
    made = nn.Sequential(nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2))
    for i, p in enumerate(made.parameters()):
        p.data = np.arange(p.size, dtype=np.float32).reshape(p.shape) / 4 - i
    return made


@forms
def test_what_was_saved_is_read(path):
    content = read_pt(path)
    assert content["epoch"] == 3
    assert content["accuracy"] == 0.5
    assert content["notes"] == ["a", None, True, (1, 2**40)]
    assert content["size"] == (2, 3)
    for name, dtype, values in (
        ("half", np.float16, [1.5, -2.0]),
        ("brain", np.float32, [1.5, -2.0]),
        ("words", np.uint16, [1, 65535]),
        ("scalar", np.int64, 7),
    ):
        assert content[name].dtype == dtype
        assert content[name].tolist() == values
    assert content["empty"].shape == (0, 3)


@forms
def test_tensors_of_one_storage_share_it(path):
    whole, part, turned = read_pt(path)["shared"]
    assert whole.tolist() == [0, 1, 2, 3, 4, 5]
    assert part.tolist() == [2, 3, 4, 5]
    assert turned.tolist() == [[0, 3], [1, 4], [2, 5]]
    whole[5] = 50
    assert (part[3], turned[2, 1]) == (50, 50)


@forms
def test_a_checkpoint_is_loaded_into_a_model(path):
    loaded = nn.Sequential(nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2))
    loaded.load_weights(path)
    for name, array in model().state_dict().items():
        np.testing.assert_array_equal(loaded.state_dict()[name], array)


def test_tensors_may_be_made_of_the_arrays():
    content = read_pt(FORMS[0], lambda array, wanted: tensor(array, requires_grad=wanted))
    assert content["state_dict"]["0.weight"].shape == (2, 1, 2, 2)


def test_the_state_dict_of_a_checkpoint_is_found_by_its_usual_names():
    state, other = {"w": np.ones(2)}, {"w": np.zeros(2)}
    assert find_state_dict(state) is not None
    assert find_state_dict({"epoch": 1, "weights": state})["w"].sum() == 2
    assert find_state_dict({"ema": other, "model": state})["w"].sum() == 2
    assert find_state_dict({"run": {"net": state}})["w"].sum() == 2
    with pytest.raises(ValueError, match="holds several sets of arrays: a, b"):
        find_state_dict({"a": state, "b": other})
    loop = {}
    loop["loop"] = loop
    with pytest.raises(ValueError, match="holds no arrays by name"):
        find_state_dict(loop)


# ------------------------------------------------------------------ hostile files


def archive(path, program, **members):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x/data.pkl", program)
        for name, data in members.items():
            file.writestr(f"x/{name}", data)
    return path


class Command:
    def __reduce__(self):
        return exec, ("raise SystemExit('this ran')",)


STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n("


def rebuilt(numbers, size, stride, offset=b"K\x00"):
    return REBUILD + STORAGE + numbers + b"tQ" + offset + size + stride + b"\x89NtR."


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (pickle.dumps(Command()), "it asks for builtins.exec, which is not needed to rebuild ten"),
        (pickle.dumps(Command(), 4), "it asks for builtins.exec"),
        (b"cos\nsystem\n(X\x02\x00\x00\x00lstR.", "it asks for os.system"),
        (b"ctorch\nTensor\n(tR.", "it calls torch.Tensor, which rebuilds no tensor"),
        (b"}(K\x01K\x02u0", "pickle exhausted before seeing STOP"),
        (b"0.", "pop from empty list"),
        (b"h\x07.", "7"),
        (b"}Na.", "it appends to something that is no list"),
        (b"\x8a\xff" + b"\x01" * 255 + b".", "an integer that is too large"),
        (b"}" + b")" + b"\x85" * 50 + b"K\x01s.", "a key is a tuple"),
        (b"}]b.", "it sets attributes of an object"),
        (b"ibuiltins\nexec\n.", "the instruction INST is none of those that data need"),
        (b"(X\x01\x00\x00\x00.", "pickle exhausted before seeing STOP"),
        (rebuilt(b"K\x09", b"K\x09\x85", b"K\x01\x85"), "storage 0 does not hold 9 numbers of fl"),
        (rebuilt(b"K\x02", b"K\x03\x85", b"K\x01\x85"), r"shape \(3,\) reaches beyond its storage"),
        (rebuilt(b"K\x02", b"K\x02\x85", b"K\x01\x85", b"K\x01"), "reaches beyond its storage"),
        (rebuilt(b"K\x02", b"K\x02\x85", b"J\xff\xff\xff\xff\x85"), r"the strides \(-1,\)"),
        (rebuilt(b"K\x02", b"K\x02\x85", b")"), r"the shape \(2,\) and the strides \(\)"),
    ],
)
def test_what_data_do_not_need_is_refused(program, message, tmp_path):
    path = archive(tmp_path / "x.pt", program, **{"data/0": struct.pack("<2f", 1, 2)})
    with pytest.raises(ValueError, match=message) as caught:
        read_pt(path)
    assert str(path) in str(caught.value)


def test_a_tensor_that_repeats_its_storage_takes_no_memory(tmp_path):
    size = b"J\xff\xff\xff\x7f\x85"
    program = rebuilt(b"K\x02", size, b"K\x00\x85")
    path = archive(tmp_path / "x.pt", program, **{"data/0": struct.pack("<2f", 1, 2)})
    tracemalloc.start()
    array = read_pt(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert array.shape == (2**31 - 1,)
    assert peak < 1 << 20


def test_other_archives_are_refused_by_name(tmp_path):
    program = pickle.dumps({"a": 1}, 2)
    script = archive(tmp_path / "script.pt", program, **{"constants.pkl": b""})
    with pytest.raises(ValueError, match="it is a TorchScript program"):
        read_pt(script)
    with zipfile.ZipFile(tmp_path / "small.pt", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x/data.pkl", program)
        file.writestr("x/data/0", bytes(1 << 20))
    with pytest.raises(ValueError, match="its members are compressed"):
        read_pt(tmp_path / "small.pt")
    with zipfile.ZipFile(tmp_path / "none.pt", "w") as file:
        file.writestr("x/readme", "")
    with pytest.raises(ValueError, match="the archive holds no data"):
        read_pt(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("weights")
    with pytest.raises(ValueError, match=r"text.pt is not read as a file of torch.save"):
        read_pt(tmp_path / "text.pt")
    with pytest.raises(FileNotFoundError):
        read_pt(tmp_path / "nosuch.pt")


def test_a_stream_that_asks_for_more_than_it_holds_is_refused(tmp_path):
    whole = FORMS[1].read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[:-5])
    with pytest.raises(ValueError, match=r"it is cut short|is not as long as"):
        read_pt(tmp_path / "cut.pth")
    assert whole.count(b"cpuq") > 0


@forms
def test_damaged_files_raise_what_is_documented(path, tmp_path):
    # A sample; a hundred thousand passed when the reader was written.
    draw = random.Random(1)
    whole, file = path.read_bytes(), tmp_path / path.name
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(draw.randint(1, 5)):
            at = draw.randrange(len(data))
            if draw.random() < 0.7:
                data[at] = draw.randrange(256)
            else:
                del data[at : at + draw.randint(1, 40)]
        file.write_bytes(data)
        with contextlib.suppress(ValueError):
            read_pt(file)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_content_of_every_protocol(protocol, tmp_path):
    content = {
        "a": [1, 2.5, "ü", None, True],
        "b": ({1, 2}, (), (1,), {"c": -(2**70)}),
        3: "x" * 300,
    }
    path = archive(tmp_path / "x.pt", pickle.dumps(content, protocol))
    assert read_pt(path) == content


def test_files_are_those_of_pytorch(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is compared with where it is installed")
    state = {"a": torch.randn(3, 4).T, "b": torch.nn.Parameter(torch.ones(2))}
    for zipped in (True, False):
        buffer = io.BytesIO()
        torch.save(state, buffer, _use_new_zipfile_serialization=zipped)
        (tmp_path / "x.pt").write_bytes(buffer.getvalue())
        for name, array in read_pt(tmp_path / "x.pt").items():
            np.testing.assert_array_equal(array, state[name].detach().numpy())
    torch.save(torch.ones(2, dtype=torch.complex64), tmp_path / "complex.pt")
    with pytest.raises(ValueError, match="ComplexFloatStorage"):
        read_pt(tmp_path / "complex.pt")


# ------------------------------------------------------------------ the command


@pytest.mark.parametrize("name", ["weights.npz", "weights.pt"])
def test_convert(tmp_path, capsys, name):
    target = tmp_path / name
    assert cli.main(["convert", str(FORMS[0]), str(target)]) == 0
    assert capsys.readouterr().out == f"{target}: 7 arrays, 19 numbers\n"
    loaded = nn.Sequential(nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2))
    loaded.load_weights(target)
    np.testing.assert_array_equal(loaded[0].weight.numpy(), model()[0].weight.numpy())


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("nosuch.pt", "x.npz"), "there is no file nosuch.pt"),
        (("x.onnx", "x.npz"), "expected a name ending in .npz, .safetensors, .pt or .pth, got x"),
        (
            (str(FORMS[0]), "x.h5"),
            "expected a name ending in .npz, .safetensors, .pt or .pth, got x",
        ),
    ],
)
def test_convert_says_what_is_wrong(names, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["convert", *names]) == 2
    assert capsys.readouterr().err.startswith(f"tinygrad-cnn convert: {message}")
    assert list(tmp_path.iterdir()) == []
