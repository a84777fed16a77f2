"""Captured functions against the functions themselves."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn.functional as F
from tinygrad_cnn import CaptureError, Tensor, capture, manual_seed, nn, no_grad, op, tensor
from tinygrad_cnn.models import NETWORKS, MnistExample, ResNet20
from tinygrad_cnn.random import default_generator


def pixels(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def eager(model: Any, x: Any) -> Any:
    with no_grad():
        return model(tensor(x)).numpy()


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_networks(name: str, batch: int) -> None:
    size = NETWORKS[name].image_size
    model = NETWORKS[name].build(np.random.default_rng(0)).eval()
    x, other = pixels(2, batch, 1, size, size)
    captured = capture(model, x)
    assert (captured.shape, captured.dtype) == (x.shape, np.float32)
    np.testing.assert_allclose(captured(other), eager(model, other), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("network", "shape"), [(MnistExample, (2, 1, 28, 28)), (ResNet20, (2, 3, 16, 16))]
)
def test_larger_networks(network: Any, shape: tuple[int, ...]) -> None:
    manual_seed(0)
    model = network().eval()
    x, other = pixels(2, *shape)
    captured = capture(model, x)
    np.testing.assert_allclose(captured(other), eager(model, other), rtol=1e-4, atol=1e-4)


def test_no_operation_is_called_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    model = NETWORKS["softmax"].build()
    captured = capture(model, pixels(1, 1, 28, 28))

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("called")

    monkeypatch.setattr(op.Op, "__call__", refuse)
    monkeypatch.setattr(nn.Module, "__call__", refuse)
    assert captured(pixels(1, 1, 28, 28)).shape == (1, 10)


def test_tensors_give_tensors_and_arrays_arrays() -> None:
    captured = capture(lambda x: (x * 2).sum(), pixels(3))
    for give in (tensor, np.asarray):
        out = captured(give([1.0, 2.0, 4.0], dtype=np.float32))
        assert type(out) is type(give([1.0]))
        assert out.shape == ()
        assert float(out.item()) == 14
        assert not getattr(out, "requires_grad", False)


def test_parameters_count_with_their_present_values() -> None:
    model = nn.Linear(3, 2)
    captured = capture(model, pixels(4, 3))
    model.weight.data += 1
    model.bias.data = np.array([5.0, 6.0])
    x = pixels(4, 3)
    np.testing.assert_array_equal(captured(x), eager(model, x))


def test_an_example_that_is_a_result_and_a_model_that_is_recorded() -> None:
    x = tensor(pixels(2, 3), requires_grad=True)
    model = nn.Linear(3, 2)
    captured = capture(model, x * 2)
    with no_grad():
        again = capture(model, x)
    np.testing.assert_array_equal(captured(x).numpy(), again(x).numpy())
    assert x.grad is None
    assert model.weight.grad is None


def test_inputs_used_twice_and_constants() -> None:
    shift = np.arange(3, dtype=np.float32)
    captured = capture(lambda x: F.relu(x + shift) * x + x.max() - 0.5, pixels(3))
    x = pixels(6)[3:]
    np.testing.assert_array_equal(captured(x), np.maximum(x + shift, 0) * x + x.max() - 0.5)


def test_float64_stays_and_results_are_of_their_own_memory() -> None:
    captured = capture(lambda x: x.exp().mean(0), np.zeros((2, 3)))
    first, second = captured(np.zeros((2, 3))), captured(np.ones((2, 3)))
    np.testing.assert_array_equal(first, np.ones(3))
    np.testing.assert_allclose(second, np.full(3, np.e))
    assert second.dtype == np.float64


def test_threads_do_not_share_values() -> None:
    captured = capture(lambda x: ((x * 2) + 1).sum(), pixels(1000))
    wrong = []

    def work(number: int) -> None:
        x = np.full(1000, number, np.float32)
        wrong.extend(n for n in range(300) if captured(x) != 1000 * (2 * number + 1))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def conditional(x: Tensor) -> Tensor:
    return x * 2 if float(x.sum().item()) > 0 else x * 3


def masked_by_hand(x: Tensor) -> Tensor:
    return x * (x.numpy() > 0).astype(np.float32)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (conditional, "did something else"),
        (masked_by_hand, "did something else"),
        (lambda x: F.dropout(x, 0.5), "did something else"),
        (nn.Sequential(nn.Flatten(), nn.BatchNorm1d(3)), "eval()"),
        (lambda x: tensor([1.0], requires_grad=True) * 2, "not computed from the input"),
        (lambda x: x.detach(), "not computed from the input"),
    ],
)
def test_what_cannot_be_replayed_is_refused(function: Any, message: str) -> None:
    with pytest.raises(CaptureError, match=message):
        capture(function, np.arange(1, 13, dtype=np.float32).reshape(4, 3))


def test_wrong_arguments() -> None:
    with pytest.raises(TypeError, match="floating-point"):
        capture(lambda x: x, np.arange(3))
    with pytest.raises(TypeError, match="returns a tensor"):
        capture(lambda x: x.numpy(), pixels(3))
    captured = capture(lambda x: x * 2, pixels(3))
    with pytest.raises(ValueError, match=r"float32 of shape \(3,\), got float32 of shape \(4,\)"):
        captured(pixels(4))
    with pytest.raises(ValueError, match="got float64"):
        captured(np.zeros(3))


@pytest.mark.parametrize("how", ["module", "closure"])
def test_what_is_refused_leaves_the_model_as_it_was(how: str) -> None:
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(3), nn.Dropout(0.5))
    norm = model[1]
    function = model if how == "module" else lambda x: model(x)
    state = default_generator().bit_generator.state
    with pytest.raises(CaptureError):
        capture(function, np.arange(1, 13, dtype=np.float32).reshape(4, 3))
    assert not norm.running_mean.numpy().any()
    assert (norm.running_var.numpy() == 1).all()
    assert norm.num_batches_tracked.item() == 0
    assert default_generator().bit_generator.state == state


def test_running_statistics_are_those_of_now() -> None:
    model = nn.BatchNorm1d(3).eval()
    captured = capture(model, np.ones((4, 3), np.float32))
    model.running_mean.copy_(tensor([1.0, 1.0, 1.0]))
    x = np.ones((4, 3), np.float32)
    np.testing.assert_array_equal(captured(x), eager(model, x))
