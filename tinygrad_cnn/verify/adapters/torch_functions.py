"""PyTorch's functions, and ``autograd.Function``s, as subjects."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.adapters.methods import same_draws
from tinygrad_cnn.verify.adapters.pairs import argument_names
from tinygrad_cnn.verify.subjects.subject import Pull, RuleError, Subject, side_by_side


def framework() -> Any:
    """Return PyTorch, which whoever has a tensor of it has imported."""
    torch = sys.modules.get("torch")
    if torch is None:
        raise ValueError("check: PyTorch's functions need torch, which nobody has imported")
    return torch


@contextmanager
def same_torch_draws() -> Iterator[None]:
    """Let whoever draws from PyTorch's, NumPy's or Python's generator draw the same each time."""
    # Not manual_seed: it prepares devices that are not there, in milliseconds.
    generator = framework().default_generator
    state = generator.get_state()
    generator.set_state(_seeded_state())
    try:
        with same_draws():
            yield
    finally:
        generator.set_state(state)


@cache
def _seeded_state() -> Any:
    return framework().Generator().manual_seed(0).get_state()


def to_array(x: Any) -> Any:
    """Return a tensor's numbers as an array of its own; anything else as it is."""
    torch = framework()
    if not isinstance(x, torch.Tensor):
        return x
    x = x.detach().cpu()
    if x.dtype == torch.bfloat16:
        x = x.float()
    return np.array(x.resolve_conj().numpy())


def to_tensor(x: Any) -> Any:
    """Return a tensor in the memory of an array; anything else as it is."""
    if not isinstance(x, np.ndarray):
        return x
    return framework().from_numpy(np.ascontiguousarray(x).reshape(x.shape))


def tensors_of(out: Any) -> list[Any]:
    """Return the floating-point tensors in a result, however it nests them."""
    torch = framework()
    if isinstance(out, torch.Tensor):
        return [out] if out.is_floating_point() else []
    if isinstance(out, Mapping):
        out = list(out.values())
    if isinstance(out, (tuple, list)):
        return [tensor for part in out for tensor in tensors_of(part)]
    return []


class TorchSubject(Subject):
    """A function of PyTorch's tensors; several results are laid side by side."""

    def __init__(
        self,
        function: Callable[..., Any],
        inputs: Sequence[Any],
        wanted: Sequence[int],
        names: Sequence[str] | None = None,
        name: str | None = None,
        dtype: np.dtype[Any] | None = None,
    ) -> None:
        self.function = function
        self.inputs, self.wanted = list(inputs), tuple(wanted)
        self.name = name or str(getattr(function, "__name__", type(function).__name__))
        self.names = tuple(names or argument_names(function, len(inputs)))
        self.dtype = dtype

    def _outputs(self, tensors: Sequence[Any]) -> list[Any]:
        with framework().enable_grad(), same_torch_draws():
            out = self.function(*tensors)
        found = tensors_of(out)
        if not found:
            raise RuleError(f"{self.name} returns no floating-point tensor: {type(out).__name__}")
        return found

    def forward(self, inputs: Sequence[Any]) -> Array:
        """Return the results side by side."""
        outs = self._outputs([to_tensor(x) for x in inputs])
        return side_by_side([out.detach().numpy() for out in outs])

    def record(
        self, inputs: Sequence[Any], wanted: Sequence[int] | None = None
    ) -> tuple[Array, Pull]:
        """Run the function recorded by PyTorch."""
        wanted = self.wanted if wanted is None else wanted
        tensors = [to_tensor(x) for x in inputs]
        leaves = [tensors[index].requires_grad_() for index in wanted]
        outs = self._outputs(tensors)
        if not any(out.requires_grad for out in outs):
            raise RuleError(
                f"{self.name} returns nothing differentiable: it was computed through detach(), "
                ".data, numpy() or no_grad()"
            )

        def pull(g: Array) -> list[Any]:
            kept, starts, at = [], [], 0
            flat = g.reshape(-1)
            for out in outs:
                part = flat[at : at + out.numel()].reshape(tuple(out.shape))
                at += out.numel()
                if out.requires_grad:
                    kept.append(out)
                    starts.append(to_tensor(part).to(out.dtype))
            with same_torch_draws():
                found = framework().autograd.grad(
                    kept, leaves, starts, retain_graph=True, allow_unused=True
                )
            gradients: list[Any] = [None] * len(tensors)
            for index, gradient in zip(wanted, found, strict=True):
                gradients[index] = None if gradient is None else gradient.detach().numpy()
            return gradients

        return side_by_side([out.detach().numpy() for out in outs]), pull


def callable_of(function: Any) -> Callable[..., Any]:
    """Return what calls a function: of an ``autograd.Function``, its ``apply``."""
    if isinstance(function, type):

        def apply(*tensors: Any) -> Any:
            return function.apply(*tensors)  # type: ignore[attr-defined]  # PyTorch's

        apply.__name__ = function.__name__
        return apply
    called: Callable[..., Any] = function
    return called


def names_of(function: Any, count: int) -> tuple[str, ...]:
    """Return the names of the arguments; of an ``autograd.Function``, those of its forward."""
    forward = getattr(function, "forward", None)
    if isinstance(function, type) and forward is not None:
        return argument_names(forward, count + 1)[1:]
    return argument_names(function, count)


def gradient_function(
    function: Callable[..., Any], wanted: Sequence[int], count: int, live: Sequence[int]
) -> Callable[..., Any]:
    """Return the gradient of a function, as a function of the inputs and of the cotangents."""
    torch = framework()

    def gradient(*inputs: Any) -> Any:
        given = [
            x
            if not isinstance(x, torch.Tensor) or i not in wanted or x.requires_grad
            else x.detach().requires_grad_()
            for i, x in enumerate(inputs[:count])
        ]
        outs = tensors_of(function(*given))
        asked = [given[index] for index in wanted]
        found = torch.autograd.grad(
            [outs[k] for k in live],
            asked,
            list(inputs[count:]),
            create_graph=True,
            allow_unused=True,
        )
        return tuple(0.0 * x if g is None else g for x, g in zip(asked, found, strict=True))

    return gradient
