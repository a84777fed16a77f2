"""PyTorch's words for what a tensor is and what it becomes."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import GraphError, device, nn, tensor


def test_size_is_a_number_and_a_question() -> None:
    x = tensor(np.zeros((2, 3)))
    assert x.size == 6 == x.numel() == x.nelement() == x.shape.numel() == tg.numel(x)
    assert x.size() == (2, 3) == x.shape
    assert (x.size(0), x.size(-1), x.size(dim=1)) == (2, 3, 3)
    assert isinstance(x.size(), tg.Size)
    assert isinstance(x.shape[1:], tg.Size)
    assert x.shape[1:].numel() == 3
    assert (x.shape + (4,)).numel() == 24  # noqa: RUF005  # as people write it
    assert repr(x.shape) == "(2, 3)"
    N, C = x.shape
    assert (N, C) == (2, 3)
    with pytest.raises(
        IndexError, match=r"^size: dim 2 does not exist in a tensor of 2 dimensions"
    ):
        x.size(2)
    for twin in (copy.deepcopy(x.size), pickle.loads(pickle.dumps(x.size))):
        assert twin == 6
    assert type(pickle.loads(pickle.dumps(x.shape))) is tg.Size


def test_data_is_a_tensor_that_shares_memory() -> None:
    w = tensor([1.0, 2.0], requires_grad=True)
    assert isinstance(w.data, tg.Tensor)
    assert not w.data.requires_grad
    w.data.mul_(3)
    w.data -= 1
    w.data[0] = 7
    assert w.tolist() == [7.0, 5.0]
    w.data.normal_()
    w.data.fill_(2)
    w.data = tensor([3.0, 4.0])
    assert w.tolist() == [3.0, 4.0]
    loss = (w * w).sum()
    w.data.zero_()
    with pytest.raises(GraphError, match=r"changed in place"):
        loss.backward()


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (lambda x: x.dim(), 2),
        (lambda x: x.ndimension(), 2),
        (lambda x: x.stride(), (3, 1)),
        (lambda x: x.t().stride(0), 1),
        (lambda x: x[1, 1:].storage_offset(), 4),
        (lambda x: x.element_size(), 4),
        (lambda x: x.itemsize, 4),
        (lambda x: x.nbytes, 24),
        (lambda x: x.is_contiguous(), True),
        (lambda x: x.t().is_contiguous(), False),
        (lambda x: x.t().contiguous().is_contiguous(), True),
        (lambda x: x.contiguous() is x, True),
        (lambda x: x.is_floating_point(), True),
        (lambda x: x.long().is_floating_point(), False),
        (lambda x: x.is_complex() or x.is_cuda or x.is_sparse, False),
        (lambda x: x.bool().is_signed(), False),
        (lambda x: str(x.device), "cpu"),
        (lambda x: x.device == device("cpu"), True),
        (lambda x: x.get_device(), -1),
        (lambda x: x.is_same_size(x * 2), True),
        (lambda x: x.is_set_to(x.view(2, 3)), True),
        (lambda x: x.is_set_to(x.clone()), False),
        (lambda x: x.data_ptr() == x.view(-1).data_ptr(), True),
        (lambda x: x.type(), "torch.FloatTensor"),
        (lambda x: x.long().type(), "torch.LongTensor"),
        (lambda x: x.type("torch.DoubleTensor").dtype.name, "float64"),
        (lambda x: x.type(tg.int32).dtype.name, "int32"),
        (lambda x: x.type_as(tensor([1])).dtype.name, "int64"),
        (lambda x: x.to("cpu") is x, True),
        (lambda x: x.to(device("cpu"), tg.float64).dtype.name, "float64"),
        (lambda x: x.to("cpu", non_blocking=True) is x, True),
        (lambda x: x.to(dtype=tg.float16, device="cpu").dtype.name, "float16"),
        (lambda x: x.to(tensor([1.0], dtype="float64")).dtype.name, "float64"),
        (lambda x: x.to("cpu", copy=True) is x, False),
        (lambda x: x.cpu() is x, True),
        (lambda x: x.half().dtype.name, "float16"),
        (lambda x: x.byte().dtype.name, "uint8"),
        (lambda x: x.char().dtype.name, "int8"),
        (lambda x: x.short().dtype.name, "int16"),
        (lambda x: x.int().dtype.name, "int32"),
        (lambda x: x.bool().tolist(), [[False, True, True], [True, True, True]]),
        (lambda x: x.new_zeros(2).tolist(), [0.0, 0.0]),
        (lambda x: x.new_ones((1, 2), dtype=tg.int64).tolist(), [[1, 1]]),
        (lambda x: x.new_full((2,), 3.5).tolist(), [3.5, 3.5]),
        (lambda x: x.new_empty(2, 0).shape, (2, 0)),
        (lambda x: x.new_tensor([1, 2]).dtype.name, "float32"),
        (lambda x: x.view_as(x.t()).shape, (3, 2)),
        (lambda x: x.reshape_as(x.view(-1)).shape, (6,)),
        (lambda x: x[:1].expand_as(x).shape, (2, 3)),
        (lambda x: x.sum_to_size(1, 3).tolist(), [[3.0, 5.0, 7.0]]),
        (lambda x: x.sum_to_size(3).tolist(), [3.0, 5.0, 7.0]),
        (lambda x: x.mT.shape, (3, 2)),
        (lambda x: x.real is x, True),
        (lambda x: x.clone().apply_(lambda v: v + 1).tolist(), [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
        (lambda x: x.clone().map_(x, lambda a, b: a * b)[1].tolist(), [9.0, 16.0, 25.0]),
        (lambda x: [p.shape for p in x.split_with_sizes([1, 2], 1)], [(2, 1), (2, 2)]),
        (lambda x: x.share_memory_() is x and x.pin_memory() is x, True),
        (lambda x: tg.is_tensor(x), True),
        (lambda x: x.output_nr, 0),
    ],
)
def test_words(ask: Any, answer: Any) -> None:
    assert ask(tensor(np.arange(6, dtype=np.float32).reshape(2, 3))) == answer


def test_places_that_there_are_not() -> None:
    x = tensor([1.0])
    for call in (lambda: x.cuda(), lambda: x.to("cuda:1"), lambda: x.to(device="mps")):
        with pytest.raises(ValueError, match=r"^device: expects 'cpu', got"):
            call()
    with pytest.raises(ValueError, match=r"^device: expects 'cpu', got 'cpu:3'"):
        device("cpu:3")
    assert {device("cpu"), device(device("cpu"))} == {device("cpu")}


def test_channels_last() -> None:
    x = tensor(np.arange(24.0).reshape(1, 2, 3, 4), requires_grad=True)
    y = x.contiguous(memory_format="channels_last")
    assert y.is_contiguous(memory_format="channels_last")
    assert not y.is_contiguous()
    np.testing.assert_array_equal(y.detach().numpy(), x.detach().numpy())
    (y.contiguous() * 2).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == np.full((1, 2, 3, 4), 2.0).tolist()


def test_leaving_the_graph_in_place() -> None:
    x = tensor([1.0], requires_grad=True)
    y = x * 2
    assert y.detach_() is y
    assert y.is_leaf
    assert not y.requires_grad
    with pytest.raises(GraphError, match=r"^detach_: a view stays with its base"):
        (x * 2)[:1].detach_()
    with pytest.raises(GraphError, match=r"^apply_, map_: a Python function"):
        (x * 2).apply_(abs)


def test_layers_take_pytorchs_words() -> None:
    for make in (
        lambda **k: nn.Linear(2, 3, **k),
        lambda **k: nn.Conv2d(2, 3, 1, **k),
        lambda **k: nn.ConvTranspose2d(2, 3, 1, **k),
        lambda **k: nn.BatchNorm2d(2, **k),
        lambda **k: nn.LayerNorm(2, **k),
        lambda **k: nn.GroupNorm(1, 2, **k),
        lambda **k: nn.RMSNorm(2, **k),
        lambda **k: nn.PReLU(**k),
        lambda **k: nn.MultiheadAttention(2, 1, **k),
    ):
        wide = make(device="cpu", dtype=tg.float64)
        assert {p.dtype for p in wide.parameters()} == {np.dtype(np.float64)}
        with pytest.raises(ValueError, match=r"^device: expects 'cpu'"):
            make(device="cuda")
    x = tensor([-1.0, 2.0])
    for kind in [
        "ReLU",
        "ReLU6",
        "Hardtanh",
        "Hardswish",
        "Hardsigmoid",
        "SiLU",
        "Mish",
        "ELU",
        "SELU",
        "CELU",
    ]:
        layer, plain = getattr(nn, kind)(inplace=True), getattr(nn, kind)()
        np.testing.assert_array_equal(layer(x).numpy(), plain(x).numpy())
        assert "inplace=True" in repr(layer)
    assert repr(nn.LeakyReLU(0.1, True)) == "LeakyReLU(negative_slope=0.1, inplace=True)"
    assert repr(nn.Dropout(0.5, True)) == "Dropout(p=0.5, inplace=True)"
    assert tg.relu(x, inplace=True).tolist() == [0.0, 2.0]
    assert x.tolist() == [-1.0, 2.0]
