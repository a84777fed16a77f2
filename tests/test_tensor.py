"""What a Tensor offers: how it is made, its attributes, conversions and methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn
from tinygrad_cnn import Tensor, tensor
from tinygrad_cnn.graph import GraphError
from tinygrad_cnn.tensor import as_tensor


def leaf(*values: float) -> Tensor:
    return tensor(np.array(values), requires_grad=True)


def grad_of(t: Tensor) -> Any:
    assert t.grad is not None
    return t.grad.numpy()


# ------------------------------------------------------------------------------- making


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        ([1.0, 2.0], np.float32),
        (1.5, np.float32),
        ([[1, 2.5]], np.float32),
        (3, np.int64),
        ([1, 2], np.int64),
        ([True, False], np.bool_),
        (True, np.bool_),
        (np.array([1.0]), np.float64),
        (np.array([1.0], np.float32), np.float32),
        (np.float64(1.0), np.float64),
        (np.float32(1.0), np.float32),
        (np.array([1], np.uint8), np.uint8),
        (np.array([1.0], np.float16), np.float16),
        ([], np.float32),
        (range(3), np.int64),
    ],
)
def test_dtype_of_new_tensors(data: Any, dtype: Any) -> None:
    assert tensor(data).dtype == dtype


def test_a_dtype_given_wins() -> None:
    assert tensor([1, 2], dtype=np.float64).dtype == np.float64
    assert tensor(np.ones(2), dtype="float32").dtype == np.float32


def test_nested_lists_may_hold_tensors() -> None:
    t = tensor([tensor([1.0, 2.0]), [3.0, tensor(4.0)]])
    np.testing.assert_array_equal(t.numpy(), [[1.0, 2.0], [3.0, 4.0]])


def test_a_tensor_of_a_tensor_is_a_copy_without_graph() -> None:
    x = leaf(1.0)
    y = tensor(x * 2)
    assert y.is_leaf
    assert not y.requires_grad
    assert not np.shares_memory(tensor(x).numpy(), x.data)


@pytest.mark.parametrize(
    "data", ["text", ["a", "b"], None, [None], 1j, np.array([1j]), object(), {1: 2}]
)
def test_what_is_not_a_real_number(data: Any) -> None:
    with pytest.raises(TypeError, match=r"^tensor: expects real numbers, got"):
        tensor(data)


def test_ragged_lists() -> None:
    with pytest.raises(ValueError, match=r"^tensor: the data do not make an array: "):
        tensor([[1.0, 2.0], [3.0]])


def test_as_tensor() -> None:
    array = np.zeros((2, 2))
    assert as_tensor(array).numpy() is array
    t = tensor([1.0])
    assert as_tensor(t) is t
    assert as_tensor([1.0, 2.0]).dtype == np.float32
    assert as_tensor(array, requires_grad=True, name="w").requires_grad
    with pytest.raises(TypeError, match=r"^tensor: expects real numbers, got complex128"):
        as_tensor(np.ones(1, complex))


# ------------------------------------------------------------------------------- attributes


def test_attributes() -> None:
    t = tensor(np.zeros((2, 3, 4), np.float32), name="images")
    assert t.shape == (2, 3, 4)
    assert t.ndim == t.dim() == 3
    assert t.dtype == np.float32
    assert t.size == t.numel() == 24
    assert t.nbytes == 96
    assert t.element_size() == 4
    assert t.name == "images"
    assert len(t) == 2
    assert t.T.shape == (4, 3, 2)
    assert t.is_leaf
    assert t.grad_fn is None
    assert t.grad is None
    assert not t.requires_grad


def test_leaves_and_results() -> None:
    x = leaf(1.0)
    y = x * 2
    assert x.is_leaf
    assert x.requires_grad
    assert not y.is_leaf
    assert y.requires_grad
    assert y.grad_fn.op.name == "mul"
    assert (tensor([1.0]) * 2).is_leaf


def test_requires_grad_can_be_set_on_leaves_only() -> None:
    x = tensor([1.0])
    assert x.requires_grad_() is x
    assert x.requires_grad
    y = x * 2
    with pytest.raises(GraphError, match=r"^requires_grad: a result keeps its graph; use detach"):
        y.requires_grad = False
    y.requires_grad = True
    assert not x.requires_grad_(False).requires_grad


def test_a_name_labels_the_node() -> None:
    y = leaf(1.0) * 2
    y.name = "logits"
    assert y.name == "logits"
    assert y.grad_fn.label == "logits"


def test_grad_can_be_set_and_is_checked() -> None:
    x = tensor([1.0, 2.0], requires_grad=True)
    x.grad = np.array([3.0, 4.0])
    assert x.grad is not None
    assert x.grad.dtype == np.float32
    x.grad = None
    assert x.grad is None
    with pytest.raises(ValueError, match=r"^grad: expects shape \(2,\), got \(3,\)"):
        x.grad = np.ones(3)


def test_no_attribute_by_mistake() -> None:
    with pytest.raises(AttributeError):
        tensor([1.0]).requires_gard = True  # type: ignore[attr-defined]  # the misspelling is the test


# ------------------------------------------------------------------------------- leaving


def test_item() -> None:
    assert tensor([[2.5]]).item() == 2.5
    assert type(tensor(2).item()) is int
    assert type(tensor(True).item()) is bool
    assert (leaf(1.0) * 3).item() == 3.0
    with pytest.raises(ValueError, match=r"^item: expects a single element, got shape \(2,\)"):
        tensor([1.0, 2.0]).item()


def test_tolist_numpy_and_iteration() -> None:
    t = tensor([[1, 2], [3, 4]])
    assert t.tolist() == [[1, 2], [3, 4]]
    assert np.shares_memory(t.numpy(), t.data.numpy())
    assert [row.tolist() for row in t] == [[1, 2], [3, 4]]
    first, second = tensor([5.0, 6.0])
    assert (first.item(), second.item()) == (5.0, 6.0)


def test_iteration_is_recorded() -> None:
    x = leaf(1.0, 2.0, 3.0)
    total: Any = 0.0
    for factor, element in enumerate(x):
        total = total + element * factor
    total.backward()
    np.testing.assert_array_equal(grad_of(x), [0.0, 1.0, 2.0])


def test_zero_dimensions_have_no_length() -> None:
    t = tensor(1.0)
    with pytest.raises(TypeError, match=r"^len\(\) of a 0-d tensor"):
        len(t)
    with pytest.raises(TypeError, match=r"^iteration over a 0-d tensor"):
        iter(t)


def test_truth() -> None:
    assert tensor([1.0])
    assert not tensor(0)
    assert not (tensor(1.0) > 2.0)
    with pytest.raises(ValueError, match=r"^the truth of a tensor of shape \(2,\) is ambiguous"):
        bool(tensor([1.0, 0.0]))
    with pytest.raises(ValueError, match="ambiguous"):
        bool(tensor(np.zeros(0)))


def test_python_numbers() -> None:
    assert float(tensor(2.5)) == 2.5
    assert int(tensor([3.7])) == 3
    assert [10, 20, 30][tensor(1)] == 20
    assert list(range(tensor(3))) == [0, 1, 2]
    with pytest.raises(TypeError, match=r"^only a single integer can be used as an index"):
        [10, 20][tensor(1.0)]
    with pytest.raises(ValueError, match=r"^item: expects a single element"):
        float(tensor([1.0, 2.0]))
    assert f"{tensor(1.2345):.2f}" == "1.23"
    assert f"{tensor([1.0])}" == "tensor([1.])"


def test_contains() -> None:
    t = tensor([1.0, 2.0])
    assert 2.0 in t
    assert tensor(1.0) in t
    assert 3.0 not in t


def test_a_tensor_is_hashable_by_identity() -> None:
    a, b = tensor([1.0]), tensor([1.0])
    assert len({a, b, a}) == 2


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: tensor([1.0, 2.0]), "tensor([1., 2.])"),
        (lambda: tensor(3), "tensor(3)"),
        (lambda: tensor(True), "tensor(True)"),
        (lambda: tensor(np.array([1.0])), "tensor([1.], dtype=float64)"),
        (lambda: tensor([1.0], name="w"), "tensor([1.], name='w')"),
        (lambda: tensor([1.0], requires_grad=True), "tensor([1.], requires_grad=True)"),
        (lambda: tensor([1.0], requires_grad=True) * 2, "tensor([2.], grad_fn=mul)"),
        (lambda: tensor([[1, 2], [3, 4]]), "tensor([[1, 2],\n        [3, 4]])"),
    ],
)
def test_repr(make: Callable[[], Tensor], text: str) -> None:
    assert repr(make()) == text


def test_repr_of_a_large_tensor_is_short() -> None:
    assert len(repr(tensor(np.zeros((1000, 1000))))) < 1000


# ------------------------------------------------------------------------------- conversions


def test_casts_are_recorded_and_cast_the_gradient_back() -> None:
    x = tensor([1.0, 2.0], requires_grad=True)
    y = x.double()
    assert y.dtype == np.float64
    (y * np.array([3.0, 4.0])).sum().backward()
    np.testing.assert_array_equal(grad_of(x), [3.0, 4.0])
    assert grad_of(x).dtype == np.float32


def test_casts_to_the_same_dtype_return_the_tensor() -> None:
    x = tensor([1.0])
    assert x.float() is x
    assert x.astype(np.float32) is x
    assert x.to("float32") is x
    assert x.to(np.float64).dtype == np.float64
    assert tensor([1, 2]).float().dtype == np.float32
    assert tensor([1.7]).astype(np.int64).tolist() == [1]


# ------------------------------------------------------------------------------- the package


def test_the_names_of_the_package() -> None:
    for name in tinygrad_cnn.__all__:
        assert getattr(tinygrad_cnn, name) is not None
    assert {"Tensor", "tensor", "no_grad", "enable_grad", "grad", "manual_seed"} <= set(
        tinygrad_cnn.__all__
    )
    assert {"nn", "optim", "data"} <= set(tinygrad_cnn.__all__)


# method, what it must equal on arrays; the methods hand on to the operations, tested elsewhere
METHODS: list[tuple[Callable[[Any], Any], Callable[[Any], Any]]] = [
    (lambda t: t.exp(), np.exp),
    (lambda t: t.log(), np.log),
    (lambda t: t.log1p(), np.log1p),
    (lambda t: t.sqrt(), np.sqrt),
    (lambda t: t.abs(), np.abs),
    (lambda t: t.sign(), np.sign),
    (lambda t: t.tanh(), np.tanh),
    (lambda t: t.sigmoid(), lambda a: 1 / (1 + np.exp(-a))),
    (lambda t: t.relu(), lambda a: np.maximum(a, 0)),
    (lambda t: t.pow(3), lambda a: a**3),
    (lambda t: t.square(), np.square),
    (lambda t: t.clip(1.0, 1.5), lambda a: np.clip(a, 1.0, 1.5)),
    (lambda t: t.clamp(min=1.0), lambda a: np.clip(a, 1.0, None)),
    (lambda t: t.maximum(1.0), lambda a: np.maximum(a, 1.0)),
    (lambda t: t.minimum(1.0), lambda a: np.minimum(a, 1.0)),
    (lambda t: t.where(t > 1, 0.0), lambda a: np.where(a > 1, a, 0.0)),
    (lambda t: t.clone(), np.array),
    (lambda t: t.sum(), np.sum),
    (lambda t: t.sum(0), lambda a: a.sum(0)),
    (lambda t: t.sum(dim=(0, 1), keepdim=True), lambda a: a.sum((0, 1), keepdims=True)),
    (lambda t: t.sum(axis=-1, keepdims=True), lambda a: a.sum(-1, keepdims=True)),
    (lambda t: t.mean(1), lambda a: a.mean(1)),
    (lambda t: t.prod(1), lambda a: a.prod(1)),
    (lambda t: t.amax(1), lambda a: a.max(1)),
    (lambda t: t.amin(1), lambda a: a.min(1)),
    (lambda t: t.max(), np.max),
    (lambda t: t.min(), np.min),
    (lambda t: t.max(1)[0], lambda a: a.max(1)),
    (lambda t: t.min(1)[0], lambda a: a.min(1)),
    (lambda t: t.var(1), lambda a: a.var(1, ddof=1)),
    (lambda t: t.std(1, correction=0), lambda a: a.std(1)),
    (lambda t: t.logsumexp(1), lambda a: np.log(np.exp(a).sum(1))),
    (lambda t: t.argmax(1), lambda a: a.argmax(1)),
    (lambda t: t.argmin(), lambda a: a.argmin()),
    (lambda t: t.softmax(1), lambda a: np.exp(a) / np.exp(a).sum(1, keepdims=True)),
    (lambda t: t.log_softmax(1), lambda a: a - np.log(np.exp(a).sum(1, keepdims=True))),
    (lambda t: t.reshape(3, 2), lambda a: a.reshape(3, 2)),
    (lambda t: t.reshape((6,)), lambda a: a.reshape(6)),
    (lambda t: t.view(-1), lambda a: a.reshape(-1)),
    (lambda t: t.flatten(), lambda a: a.reshape(-1)),
    (lambda t: t.transpose(0, 1), lambda a: a.T),
    (lambda t: t.permute(1, 0), lambda a: a.T),
    (lambda t: t.permute((1, 0)), lambda a: a.T),
    (lambda t: t.T, lambda a: a.T),
    (lambda t: t.unsqueeze(1), lambda a: a[:, None]),
    (lambda t: t.unsqueeze(1).squeeze(1), np.array),
    (lambda t: t.unsqueeze(0).expand(4, -1, -1), lambda a: np.broadcast_to(a, (4, 2, 3))),
    (lambda t: t.broadcast_to((4, 2, 3)), lambda a: np.broadcast_to(a, (4, 2, 3))),
    (lambda t: t.pad((1, 2)), lambda a: np.pad(a, ((0, 0), (1, 2)))),
    (lambda t: t.split(2, dim=1)[1], lambda a: a[:, 2:]),
    (lambda t: t[0], lambda a: a[0]),
    (lambda t: t[:, ::2], lambda a: a[:, ::2]),
    (lambda t: t[..., None], lambda a: a[..., None]),
    (lambda t: t[t > 1], lambda a: a[a > 1]),
    (lambda t: t[[0, 0], tensor([1, 2])], lambda a: a[[0, 0], [1, 2]]),
    (lambda t: t.matmul(t.T), lambda a: a @ a.T),
    (lambda t: t @ np.ones(3), lambda a: a @ np.ones(3)),
    (lambda t: t[0].dot(t[1]), lambda a: a[0] @ a[1]),
    (lambda t: t[0].outer(t[1]), lambda a: np.outer(a[0], a[1])),
]


@pytest.mark.parametrize("index", range(len(METHODS)))
def test_methods(index: int) -> None:
    method, expected = METHODS[index]
    a = np.array([[1.5, 0.5, 1.2], [0.7, 1.9, 1.1]])
    out = method(tensor(a, requires_grad=True))
    assert isinstance(out, Tensor)
    assert out.requires_grad == (out.dtype.kind == "f")
    np.testing.assert_allclose(out.detach().numpy(), expected(a), rtol=1e-12)
    assert out.shape == np.shape(expected(a))
