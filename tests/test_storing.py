"""Objects as files: what goes in comes out, in three kinds of files, and PyTorch reads its own."""

from __future__ import annotations

import io
import json
import math
import pickletools
import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import Parameter, Tensor, load, nn, optim, save, tensor
from tinygrad_cnn.storing import _TREE

SUFFIXES = [".npz", ".pt", ".safetensors"]


@pytest.fixture(params=SUFFIXES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == ".safetensors":
        pytest.importorskip("safetensors")
    return tmp_path / f"file{request.param}"


def same(a: Any, b: Any) -> None:
    if isinstance(a, Tensor):
        assert isinstance(b, Tensor)
        assert (a.dtype, a.shape, a.requires_grad) == (b.dtype, b.shape, b.requires_grad)
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())
        return
    assert type(a) is type(b), (type(a), type(b))
    if isinstance(a, dict):
        assert list(a) == list(b)
        assert [type(key) for key in a] == [type(key) for key in b]
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    else:
        assert a == b or (a != a and b != b)


WHOLE: dict[Any, Any] = {
    "epoch": 3,
    "best": 0.1,
    "none": None,
    "flags": [True, False],
    "betas": (0.9, 0.999),
    "text": "ärger \U0001f600",
    "large": -(1 << 200),
    "far": (math.inf, -math.inf, math.nan, -0.0),
    "empty": ({}, [], ()),
    "tensors": {
        0: tensor([[1.0, 2.0], [3.0, 4.0]]).T,
        1: tensor(3),
        "a/b": tensor(np.zeros((0, 3))),
        "a": {"b": tensor([True, False])},
        "wants": tensor([1.5], requires_grad=True),
        **{
            t: tensor(np.arange(3), dtype=t) for t in ("int8", "uint8", "int16", "int32", "float16")
        },
    },
}


def test_what_goes_in_comes_out(path: Path) -> None:
    save(WHOLE, path)
    same(load(path), WHOLE)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("value", [tensor([1.0, 2.0]), 3, "text", None, [], {}, {"a": 1}])
def test_anything_alone(path: Path, value: Any) -> None:
    save(value, path)
    same(load(path), value)


def test_kinds_that_become_plain_ones(path: Path) -> None:
    class Pair(NamedTuple):
        a: int
        b: Any

    value = OrderedDict(
        a=np.float64(0.5),
        b=defaultdict(list, x=[np.int32(3)]),
        c=Pair(1, np.ones(2)),
        d=WHOLE["text"],
    )
    save(value, path)
    same(
        load(path),
        {"a": 0.5, "b": {"x": [3]}, "c": (1, tensor(np.ones(2))), "d": WHOLE["text"]},
    )


def test_training_goes_on_exactly(path: Path) -> None:
    def start() -> tuple[Any, Any, Any]:
        tg.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
        optimizer = optim.Adam(model.parameters(), lr=0.01, amsgrad=True)
        return model, optimizer, optim.lr_scheduler.StepLR(optimizer, 2, 0.5)

    def steps(model: Any, optimizer: Any, schedule: Any, count: int) -> Any:
        rng = np.random.default_rng(count)
        for _ in range(count):
            loss = (model(tensor(rng.random((5, 4)).astype("f4"))) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        return loss.item()

    parts = start()
    steps(*parts, 3)
    names = ("model", "optimizer", "schedule")
    states = {n: p.state_dict() for n, p in zip(names, parts, strict=True)}
    save({"step": 3, **states}, path)
    expected = steps(*parts, 5)
    again = start()
    checkpoint = load(path)
    assert checkpoint["step"] == 3
    for name, part in zip(names, again, strict=True):
        part.load_state_dict(checkpoint[name])
    assert steps(*again, 5) == expected


def test_a_state_dict_is_a_plain_file_of_weights(path: Path) -> None:
    model = nn.Linear(2, 3)
    save(model.state_dict(), path)
    other = nn.Linear(2, 3)
    other.load_weights(path)
    np.testing.assert_array_equal(other.weight.numpy(), model.weight.numpy())
    assert type(load(path)["weight"]) is Tensor
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            assert sorted(arrays) == ["bias", "weight"]


def test_one_tensor_stays_one(path: Path) -> None:
    w = tensor([1.0, 2.0], requires_grad=True)
    save({"a": w, "b": [w, w.detach()]}, path)
    back = load(path)
    same(back, {"a": w, "b": [w, w.detach()]})
    back["a"].detach().numpy()[0] = 9
    assert back["b"][0][0].item() == 9


def test_parameters(path: Path) -> None:
    save({"w": Parameter([1.0]), "frozen": Parameter([2.0], requires_grad=False)}, path)
    back = load(path)
    assert (back["w"].requires_grad, back["frozen"].requires_grad) == (True, False)


def test_open_files() -> None:
    buffer = io.BytesIO()
    save(WHOLE, buffer)
    buffer.seek(0)
    same(load(buffer), WHOLE)


def test_the_same_object_is_the_same_bytes(path: Path) -> None:
    save(WHOLE, path)
    first = path.read_bytes()
    save(WHOLE, path)
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (
            {"net": nn.Linear(1, 1)},
            TypeError,
            r"obj\['net'\] is of type Linear.*save its state_dict",
        ),
        ([{1, 2}], TypeError, r"obj\[0\] is of type set; files hold tensors, numbers, strings"),
        ({"x": [1, 2j]}, TypeError, r"obj\['x'\]\[1\] is of type complex"),
        ({(1, 2): 3}, TypeError, "a key of obj is of type tuple"),
        (np.array(["a"]), TypeError, "obj is an array of <U1; files hold real numbers"),
    ],
)
def test_what_is_not_saved_is_named(
    path: Path, value: Any, error: type[Exception], message: str
) -> None:
    path.write_bytes(b"before")
    with pytest.raises(error, match=f"save: {message}"):
        save(value, path)
    assert path.read_bytes() == b"before"
    assert list(path.parent.iterdir()) == [path]


def test_what_contains_itself(path: Path) -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ValueError, match="is too deep, or contains itself"):
        save(loop, path)


def test_types_that_pytorch_does_not_have(tmp_path: Path) -> None:
    value = tensor(np.ones(2, np.longdouble))
    with pytest.raises(ValueError, match="PyTorch's files have no numbers of"):
        save(value, tmp_path / "x.pt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "tree",
    [
        "not json",
        '{"dict": 3}',
        '{"dict": [[1]]}',
        '{"tensor": "elsewhere", "requires_grad": false}',
        '{"what": 1}',
        "[" * 100_000,
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, tree: str) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, **{_TREE: np.frombuffer(tree.encode(), np.uint8)})
    with pytest.raises(ValueError, match=r"load: .*x.npz is damaged"):
        load(path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.npz")
    (tmp_path / "x.pt").write_bytes(b"no file of PyTorch's")
    with pytest.raises(ValueError, match="is not read as a file of"):
        load(tmp_path / "x.pt")


def test_the_pickle_asks_for_three_names_only(tmp_path: Path) -> None:
    save({**WHOLE, "w": Parameter([1.0])}, tmp_path / "x.pt")
    with zipfile.ZipFile(tmp_path / "x.pt") as archive:
        assert all(i.compress_type == zipfile.ZIP_STORED for i in archive.infolist())
        pickle = archive.read("x/data.pkl")
    names = {a for op, a, _ in pickletools.genops(pickle) if op.name == "GLOBAL"}
    rest = {n for n in names if not n.endswith("Storage")}
    assert rest == {
        "torch._utils _rebuild_tensor_v2",
        "torch._utils _rebuild_parameter",
        "collections OrderedDict",
    }


def test_pytorch_reads_it(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    save({**WHOLE, "w": Parameter([1.0])}, tmp_path / "x.pt")
    theirs = torch.load(tmp_path / "x.pt", weights_only=True)

    def ours(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            plain = tensor(value.detach().numpy())
            return plain.requires_grad_() if value.requires_grad else plain
        if isinstance(value, dict):
            return {k: ours(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(ours(v) for v in value)
        return value

    assert isinstance(theirs.pop("w"), torch.nn.Parameter)
    same(ours(theirs), WHOLE)
    torch.save(theirs, tmp_path / "y.pt")
    same(load(tmp_path / "y.pt"), WHOLE)
    net = torch.nn.Linear(2, 3)
    mine = nn.Linear(2, 3)
    save(mine.state_dict(), tmp_path / "z.pth")
    net.load_state_dict(torch.load(tmp_path / "z.pth"))
    np.testing.assert_array_equal(net.weight.detach().numpy(), mine.weight.detach().numpy())


def test_json_is_what_json_reads(tmp_path: Path) -> None:
    save({"a": (1, tensor([1.0]))}, tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as arrays:
        assert sorted(arrays) == ["a/1", _TREE]
        tree = json.loads(arrays[_TREE].tobytes())
    assert tree == {"dict": [["a", {"tuple": [1, {"tensor": "a/1", "requires_grad": False}]}]]}
