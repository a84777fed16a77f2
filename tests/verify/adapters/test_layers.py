"""Layer classes with state, as courses and books write them, right and wrong."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn.verify import GradientError, Verdict, check_layer
from tinygrad_cnn.verify.adapters.attributes import gradient_of, path_of, text_of

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 3))


def normal(*shape: int) -> Any:
    return np.random.default_rng(1).standard_normal(shape)


class Stored:
    """Everything is stored, nothing returned."""

    def __init__(self) -> None:
        self.weights, self.biases = normal(3, 2), np.zeros((1, 2))

    def forward(self, inputs: Any) -> Any:
        self.inputs = inputs
        return inputs @ self.weights + self.biases

    def backward(self, dvalues: Any) -> Any:
        self.dweights = self.inputs.T @ dvalues
        self.dbiases = dvalues.sum(axis=0, keepdims=True)
        self.dinputs = dvalues @ self.weights.T


class InLists:
    """Parameters and gradients stand in lists; both are written in place."""

    def __init__(self) -> None:
        self.params = [normal(3, 2), normal(2)]
        self.grads = [np.zeros((3, 2)), np.zeros(2)]

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ self.params[0] + self.params[1]

    def backward(self, dout: Any) -> Any:
        self.grads[0][...] = self.x.T @ dout
        self.grads[1][...] = dout.sum(axis=0)
        return dout @ self.params[0].T


class InDicts:
    def __init__(self) -> None:
        self.params = {"W": normal(3, 2), "b": normal(2)}
        self.W = self.params["W"]  # the same array by another name

    def forward(self, x: Any) -> Any:
        self.cache = x
        return x @ self.W + self.params["b"]

    def backward(self, dout: Any) -> Any:
        self.grads = {"W": self.cache.T @ dout, "b": dout.sum(axis=0)}
        return dout @ self.params["W"].T


class InObjects:
    def __init__(self) -> None:
        self.w = SimpleNamespace(data=normal(3, 2), grad=None)

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ self.w.data

    def backward(self, dout: Any) -> Any:
        self.w.grad = self.x.T @ dout
        return dout @ self.w.data.T


class AllReturned:
    def __init__(self) -> None:
        self.W, self.b = normal(3, 2), normal(2)

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout: Any) -> Any:
        return dout @ self.W.T, self.x.T @ dout, dout.sum(axis=0)


class Updating:
    """The backward pass takes the step at once."""

    def __init__(self) -> None:
        self.weights, self.bias = normal(2, 3), normal(2, 1)

    def forward(self, input: Any) -> Any:
        self.input = input
        return self.weights @ input + self.bias

    def backward(self, output_gradient: Any, learning_rate: float) -> Any:
        back = self.weights.T @ output_gradient
        self.weights -= learning_rate * (output_gradient @ self.input.T)
        self.bias -= learning_rate * output_gradient
        return back


class UpdatingFirst(Updating):
    def backward(self, output_gradient: Any, learning_rate: float) -> Any:
        super().backward(output_gradient, learning_rate)
        return self.weights.T @ output_gradient


class Adding(Stored):
    def __init__(self) -> None:
        super().__init__()
        self.dweights = np.zeros((3, 2))

    def backward(self, dvalues: Any) -> Any:
        self.dweights += self.inputs.T @ dvalues
        self.dbiases = dvalues.sum(axis=0, keepdims=True)
        return dvalues @ self.weights.T


class Keeping(Stored):
    first: Any = None

    def forward(self, inputs: Any) -> Any:
        self.first = inputs if self.first is None else self.first
        return super().forward(inputs)

    def backward(self, dvalues: Any) -> Any:
        super().backward(dvalues)
        self.dweights = self.first.T @ dvalues


class Relu:
    def forward(self, x: Any) -> Any:
        self.mask = x <= 0
        return np.where(self.mask, 0.0, x)

    def backward(self, dout: Any) -> Any:
        dout[self.mask] = 0
        return dout


class NoMask(Relu):
    def backward(self, dout: Any) -> Any:
        return dout


class Dropout:
    def forward(self, x: Any) -> Any:
        self.mask = np.random.rand(*x.shape) > 0.5  # noqa: NPY002  # as they draw
        return x * self.mask * 2

    def backward(self, dout: Any) -> Any:
        return dout * self.mask * 2


class Loss:
    def forward(self, logits: Any, targets: Any) -> Any:
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        self.p, self.targets = e / e.sum(axis=1, keepdims=True), targets
        return -np.log(self.p[np.arange(len(targets)), targets]).mean()

    def backward(self) -> Any:
        d = self.p.copy()
        d[np.arange(len(d)), self.targets] -= 1
        return d / len(d)


class LossAsForward(Loss):
    def backward(self, logits: Any, targets: Any) -> Any:  # type: ignore[override]
        self.forward(logits, targets)
        return super().backward()


class Norm:
    """Running statistics move; eval reads them."""

    def __init__(self) -> None:
        self.gamma, self.beta, self.running_mean = normal(3), np.zeros(3), np.zeros(3)

    def forward(self, x: Any, training: bool = True) -> Any:
        mean = x.mean(axis=0) if training else self.running_mean
        self.running_mean = 0.9 * self.running_mean + 0.1 * mean
        self.centred = x - mean
        self.training = training
        return self.gamma * self.centred + self.beta

    def backward(self, dout: Any) -> Any:
        self.dgamma, self.dbeta = (dout * self.centred).sum(axis=0), dout.sum(axis=0)
        d = self.gamma * dout
        return d - d.mean(axis=0) if self.training else d


class Network:
    def __init__(self) -> None:
        self.layers = [Stored(), Relu()]

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dout: Any) -> Any:
        self.layers[0].backward(self.layers[1].backward(dout))
        return self.layers[0].dinputs  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("layer", "inputs", "names"),
    [
        (Stored, [X], ["inputs", "weights", "biases"]),
        (InLists, [X], ["x", "params[0]", "params[1]"]),
        (InDicts, [X], ["x", "params['W']", "params['b']"]),
        (InObjects, [X], ["x", "w.data"]),
        (AllReturned, [X], ["x", "W", "b"]),
        (Updating, [X[:1].T], ["input", "weights", "bias"]),
        (Adding, [X], ["inputs", "weights", "biases"]),
        (Relu, [X], ["x"]),
        (Dropout, [X], ["x"]),
        (Loss, [X, np.array([0, 1, 2, 0])], ["logits"]),
        (LossAsForward, [X, np.array([0, 1, 2, 0])], ["logits"]),
        (Norm, [X], ["x", "gamma", "beta"]),
        (Network, [X], ["x", "layers[0].weights", "layers[0].biases"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_right_layers_pass_with_all_their_gradients_found(
    layer: Any, inputs: list[Any], names: list[str]
) -> None:
    report = check_layer(layer, *inputs)
    assert report, report.text()
    checked = [r.input for r in report.results if r.verdict is not Verdict.SKIPPED]
    assert sorted(checked) == sorted(names)


def test_a_layer_stays_as_it_was_and_may_have_run_before() -> None:
    layer = Stored()
    layer.forward(np.ones((2, 3)))
    layer.backward(np.ones((2, 2)))
    before = {name: np.array(value) for name, value in vars(layer).items()}
    assert check_layer(layer, X)
    assert vars(layer).keys() == before.keys()
    assert all(np.array_equal(value, before[name]) for name, value in vars(layer).items())


def test_a_missing_mask_is_found_and_named() -> None:
    report = check_layer(NoMask(), X)
    assert [hint.code for hint in report.failures[0].hints] == ["mask missing"]


def test_what_is_kept_from_an_earlier_call_is_found() -> None:
    report = check_layer(Keeping(), X)
    assert [(r.input, r.findings[0].kind) for r in report.failures] == [("weights", "stale")]


def test_gradients_that_add_up_and_writes_into_the_given_one_are_said() -> None:
    assert "weights add up over calls" in check_layer(Adding(), X).notes[0]
    assert "writes into the gradient it is given" in check_layer(Relu(), X).notes[0]


def test_parameters_that_change_before_they_are_used() -> None:
    report = check_layer(UpdatingFirst(), X[:1].T)
    assert [r.input for r in report.failures] == ["input"]
    assert "changes the parameters before it computes" in report.notes[0]


def test_what_has_no_gradient_is_listed() -> None:
    class Forgetful(Stored):
        def backward(self, dvalues: Any) -> Any:
            super().backward(dvalues)
            del self.dbiases

    report = check_layer(Forgetful(), X)
    assert [r.input for r in report.results if r.verdict is Verdict.SKIPPED] == ["biases"]
    with pytest.raises(ValueError, match="no gradient of biases found in Forgetful"):
        check_layer(Forgetful(), X, parameters=["weights", "biases"])


def test_names_can_be_given() -> None:
    class Named:
        def __init__(self) -> None:
            self.theta = normal(3, 2)

        def forward(self, x: Any) -> Any:
            self.x = x
            return x @ self.theta

        def backward(self, dout: Any) -> Any:
            self.a, self.b = self.x.T @ dout, dout @ self.theta.T

    report = check_layer(Named(), X, gradients={"theta": "a"}, input_gradient="b")
    assert report, report.text()
    assert [r.input for r in report.results] == ["x", "theta"]
    silent = check_layer(Named(), X, gradients={"theta": "a"})
    assert "returned None and stored no gradient of the input" in silent.text()
    with pytest.raises(ValueError, match=r"Named has no floating-point array W; it has theta"):
        check_layer(Named(), X, parameters=["W"])


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (SimpleNamespace(), "expects an object with forward and backward"),
        (type("Sized", (Relu,), {"__init__": lambda self, n: None}), "give an object instead"),
        (
            type("Many", (Relu,), {"backward": lambda self, dout, y, z: dout})(),
            "backward of Many expects dout, y, z",
        ),
    ],
)
def test_what_is_no_layer_says_so(layer: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_layer(layer, X)


def test_a_layer_that_raises_is_a_failure() -> None:
    class Broken(Relu):
        def backward(self, dout: Any) -> Any:
            return dout * self.nothing  # type: ignore[attr-defined]

    with pytest.raises(GradientError, match=r"AttributeError: .*nothing"):
        check_layer(Broken(), X, raise_exception=True)


@pytest.mark.parametrize(
    ("parameter", "others", "found"),
    [
        ("W", ["x", "dW"], "dW"),
        ("weights", ["grad_w"], "grad_w"),
        ("kernel", ["kernel_gradient", "dx"], "kernel_gradient"),
        ("params['W1']", ["grads['W1']"], "grads['W1']"),
        ("params['W1']", ["grads['dW1']"], "grads['dW1']"),
        ("params[1]", ["grads[0]", "grads[1]"], "grads[1]"),
        ("conv.weight.data", ["conv.weight.grad"], "conv.weight.grad"),
        ("gamma", ["dgamma", "beta"], "dgamma"),
        ("W", ["W", "b", "x", "db"], None),
        ("data", ["grad"], None),
    ],
)
def test_names_of_gradients(parameter: str, others: list[str], found: str | None) -> None:
    path = gradient_of(path_of(parameter), [path_of(other) for other in others])
    assert (None if path is None else text_of(path)) == found
