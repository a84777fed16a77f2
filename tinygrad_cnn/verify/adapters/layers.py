"""Layer classes: ``forward`` keeps what ``backward`` needs; gradients are returned or stored."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.adapters.attributes import (
    AttributePath,
    arrays_in,
    gradient_of,
    is_gradient_of,
    path_of,
    read,
    text_of,
)
from tinygrad_cnn.verify.adapters.methods import RATES, parameters_of, required, said_by, same_draws
from tinygrad_cnn.verify.subjects.subject import Pull, RuleError, Subject


class LayerSubject(Subject):
    """A layer at its inputs and parameters.

    Each call runs on a deep copy of the layer in which the parameters are replaced, wherever the
    layer holds them: nothing is left of it in the layer that was given.

    Attributes
    ----------
    parameters
        The way to each parameter.
    without_gradient
        Ways to arrays that change the result, and for which no gradient was found.
    notes
        What else there is to know of the layer.
    """

    subsets = False

    def __init__(
        self,
        layer: Any,
        inputs: Sequence[Any],
        wanted: Sequence[int],
        *,
        methods: tuple[str, str] = ("forward", "backward"),
        parameters: Sequence[str] | None = None,
        gradients: Mapping[str, str] | None = None,
        input_gradient: str | None = None,
        dtype: np.dtype[Any] | None = None,
    ) -> None:
        self.layer = layer
        self._forward, self._backward = methods
        self._given, self._wanted_inputs = list(inputs), list(wanted)
        self._input_gradient = path_of(input_gradient) if input_gradient else None
        self._named = {path_of(p): path_of(g) for p, g in (gradients or {}).items()}
        self.name = type(layer).__name__
        self.notes: list[str] = []
        self.dtype = dtype
        self.without_gradient: list[AttributePath] = []
        self.parameters: list[AttributePath] = []
        self._call = self._way_to_call_backward()
        self._arrays: list[Array] = []  # the parameters as the layer holds them
        self._places: dict[
            int, AttributePath | int
        ] = {}  # of each parameter's gradient: stored, returned
        self._find(None if parameters is None else [path_of(p) for p in parameters])
        count = len(self._given)
        self.inputs = [*self._given, *(np.array(a, np.float64) for a in self._arrays)]
        self.wanted = (*self._wanted_inputs, *range(count, count + len(self.parameters)))
        names = list(parameters_of(getattr(layer, self._forward)))[:count]
        names += [f"input {i}" for i in range(len(names), count)]
        self.names = (*names, *(text_of(p) for p in self.parameters))

    # ------------------------------------------------------------------ calls

    def _copy(self, parameters: Sequence[Array]) -> Any:
        memo: dict[int, Any] = {
            id(held): array for held, array in zip(self._arrays, parameters, strict=True)
        }
        try:
            return copy.deepcopy(self.layer, memo)
        except Exception as error:
            raise RuleError(
                f"the layer cannot be copied: {type(error).__name__}: {error}"
            ) from error

    def _run(self, inputs: Sequence[Any]) -> tuple[Any, Any]:
        """Return a copy of the layer after a forward pass, and the result."""
        count = len(self._given)
        layer = self._copy(inputs[count:])
        return layer, self._call_forward(layer, inputs)

    def _call_forward(self, layer: Any, inputs: Sequence[Any]) -> Any:
        with same_draws(), said_by(self._forward):
            return self._first(getattr(layer, self._forward)(*inputs[: len(self._given)]))

    @staticmethod
    def _first(out: Any) -> Any:
        """Return the first of several results: the others are kept for the backward pass."""
        return out[0] if isinstance(out, (tuple, list)) and out else out

    def forward(self, inputs: Sequence[Any]) -> Array:
        """Return the result as an array."""
        return np.asarray(self._run(inputs)[1])

    def record(
        self,
        inputs: Sequence[Any],
        wanted: Sequence[int] | None = None,  # noqa: ARG002  # a rule of arrays gives all
    ) -> tuple[Array, Pull]:
        """Run forward on a copy of the layer; the rule runs on copies of that one."""
        layer, out = self._run(inputs)
        result = np.asarray(out)

        def pull(g: Array) -> list[Any]:
            keep = {id(a): a for a in inputs if isinstance(a, np.ndarray)}
            if self._call == "update":
                keep = {}  # it writes to its parameters by design
            used = copy.deepcopy(layer, {**keep, id(out): out})
            held = np.array(g)
            found = self._call_backward(used, held, inputs, result.shape)
            if held.shape and not np.array_equal(held, g, equal_nan=True):
                self._note(
                    "backward writes into the gradient it is given: wrong as soon as somebody else "
                    "reads that one, as at a skip connection; copy it"
                )
            return self._gradients(used, found, inputs, g)

        return result, pull

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def _way_to_call_backward(self) -> str:
        """Return how the rule is called: what its arguments are."""
        backward = getattr(self.layer, self._backward)
        names, needed = list(parameters_of(backward)), required(backward)
        if RATES & {name.lower() for name in names}:
            return "update"
        forward_needs = required(getattr(self.layer, self._forward))
        if len(needed) > 1 and len(needed) == len(forward_needs) == len(self._given):
            return "as forward"
        if len(needed) > 1:
            raise ValueError(
                f"check_layer: {self._backward} of {self.name} expects {', '.join(needed)}; a rule "
                "that can be checked takes the gradient of the result, or nothing, or that and a "
                "learning rate"
            )
        return "gradient" if names else "nothing"

    def _call_backward(
        self, layer: Any, g: Array, inputs: Sequence[Any], shape: tuple[int, ...], rate: float = 1.0
    ) -> Any:
        backward = getattr(layer, self._backward)
        given: list[Any] = [g if shape else g.item()]
        extra: dict[str, Any] = {}
        if self._call == "nothing":
            given = []
        elif self._call == "as forward":
            given = list(inputs[: len(self._given)])
        elif self._call == "update":
            name = next(n for n in parameters_of(backward) if n.lower() in RATES)
            extra = {name: rate}
        with same_draws(), said_by(self._backward):
            return backward(*given, **extra)

    # ------------------------------------------------------------------ gradients

    def _gradients(self, layer: Any, found: Any, inputs: Sequence[Any], g: Array) -> list[Any]:
        """Gather the gradients of all inputs from what was returned and what was stored."""
        returned = self._returned(found)
        count = len(self._given)
        gradients: list[Any] = [None] * (count + len(self.parameters))
        for number, index in enumerate(self._wanted_inputs):
            if number < len(returned):
                gradients[index] = returned[number]
        if not returned and self._wanted_inputs:
            gradients[self._wanted_inputs[0]] = self._stored_input_gradient(layer)
        for number, path in enumerate(self.parameters):
            index = count + number
            place = self._places.get(number)
            if self._call == "update":
                gradients[index] = inputs[index] - read(layer, path)
            elif isinstance(place, int):
                gradients[index] = returned[place] if place < len(returned) else None
            elif place is not None:
                gradients[index] = read(layer, place)
        if self._call in ("nothing", "as forward"):
            if g.size != 1:
                raise RuleError(
                    f"{self._backward} takes no gradient of the result, which has shape {g.shape}: "
                    "only that of a single number can be left out"
                )
            factor = g.item()
            return [None if a is None else factor * np.asarray(a) for a in gradients]
        return gradients

    def _returned(self, found: Any) -> list[Any]:
        if found is None or found is self.layer:
            return []
        if isinstance(found, Mapping):
            names = list(parameters_of(getattr(self.layer, self._forward)))
            picked = [
                next((v for k, v in found.items() if k == n or is_gradient_of(k, n)), None)
                for n in names[: len(self._given)]
            ]
            return picked if any(p is not None for p in picked) else list(found.values())
        return list(found) if isinstance(found, (tuple, list)) else [found]

    def _stored_input_gradient(self, layer: Any) -> Array:
        if self._input_gradient is not None:
            value = read(layer, self._input_gradient)
        else:
            name = list(parameters_of(getattr(layer, self._forward)))[:1] or ["x"]
            value = next(
                (
                    array
                    for path, array in arrays_in(layer).items()
                    if len(path) == 1
                    and (is_gradient_of(path[0], "x") or is_gradient_of(path[0], name[0]))
                ),
                None,
            )
        if value is None:
            raise RuleError(
                f"{self._backward} returned None and stored no gradient of the input (looked for "
                "dx, dinputs, grad_input, …): return it, or name the attribute (input_gradient=)"
            )
        return np.asarray(value)

    # ------------------------------------------------------------------ finding

    def _find(self, given: Sequence[AttributePath] | None) -> None:
        """Run the layer once, and find which of its arrays have a gradient, and where."""
        before = arrays_in(self.layer)
        own = {id(array): array.copy() for array in before.values()}
        layer = copy.deepcopy(self.layer, dict(own))
        out = self._call_forward(layer, self._given)
        candidates: dict[int, list[AttributePath]] = {}
        for path, array in before.items():
            if read(layer, path) is own[id(array)]:  # what forward puts in its place was kept by it
                candidates.setdefault(id(array), []).append(path)
        g = np.ones(np.shape(out))
        used = copy.deepcopy(layer)
        returned = self._returned(self._call_backward(used, g, self._given, np.shape(out)))
        after = arrays_in(used)
        if self._call == "update":
            self._check_order(layer, g, returned)
        if given is not None:
            for path in given:
                if path not in before:
                    raise ValueError(
                        f"check_layer: {self.name} has no floating-point array {text_of(path)}; "
                        f"it has {', '.join(map(text_of, before)) or 'none'}"
                    )
        extra = list(range(len(self._wanted_inputs), len(returned)))
        for paths in candidates.values():
            if given is not None and not set(paths) & set(given):
                continue
            self._find_one(paths, before[paths[0]], after, used, returned, extra)
        if given is not None and self.without_gradient:
            missing = ", ".join(map(text_of, self.without_gradient))
            raise ValueError(
                f"check_layer: no gradient of {missing} found in {self.name} after "
                f"{self._backward}; say where it is: gradients={{'{missing.split(', ')[0]}': …}}"
            )

    def _check_order(self, layer: Any, g: Array, returned: Sequence[Any]) -> None:
        """Say so where the input's gradient is computed with parameters already updated."""
        unmoved = self._returned(
            self._call_backward(copy.deepcopy(layer), g, self._given, g.shape, rate=0.0)
        )
        if any(not np.allclose(a, b) for a, b in zip(returned, unmoved, strict=False)):
            self._note(
                f"{self._backward} changes the parameters before it computes the input's gradient "
                "with them: compute that gradient first"
            )

    def _find_one(
        self,
        paths: Sequence[AttributePath],
        array: Array,
        after: dict[AttributePath, Array],
        used: Any,
        returned: Sequence[Any],
        extra: list[int],
    ) -> None:
        place: AttributePath | int | None = None
        for path in paths:
            place = self._named.get(path) or gradient_of(path, list(after))
            if place is not None:
                break
        if self._call == "update":
            now = read(used, paths[0])
            place = () if now is not None and not np.array_equal(now, array) else None
        if place is None:
            place = next((i for i in extra if np.shape(returned[i]) == array.shape), None)
            if place is not None:
                extra.remove(place)
        if place is None:
            if self._matters(array):
                self.without_gradient.append(paths[0])
            return
        self._places[len(self.parameters)] = place
        self.parameters.append(paths[0])
        self._arrays.append(array)

    def _matters(self, array: Array) -> bool:
        """Whether the result changes with an array that the layer holds."""
        try:
            first = self.forward([*self._given, *self._arrays])
            memo: dict[int, Any] = {id(array): array * 1.01 + 0.01}
            other = self._call_forward(copy.deepcopy(self.layer, memo), self._given)
        except RuleError:  # whatever a layer raises with other numbers in it
            return False
        return not np.array_equal(first, other, equal_nan=True)

    # ------------------------------------------------------------------ used again

    def used_again(self, others: Sequence[Any], g: Array) -> dict[int, str]:
        """Run one object twice, on other inputs first; return "adds" or "stale" by position.

        A layer may add to its gradients until they are reset; it may keep nothing else.
        """
        if self._call == "update":
            return {}
        fresh = [self.record(list(x))[1](g) for x in (self.inputs, others)]
        count = len(self._given)
        layer = self._copy([np.array(a) for a in self.inputs[count:]])
        gradients: list[Any] = []
        for inputs in (others, self.inputs):
            shape = np.shape(self._call_forward(layer, inputs))
            found = self._call_backward(layer, np.array(g), inputs, shape)
            gradients = self._gradients(layer, found, inputs, g)
        said = {}
        for index in self.wanted:
            here, there = (
                np.zeros(np.shape(self.inputs[index])) if f[index] is None else np.asarray(f[index])
                for f in fresh
            )
            now = here if gradients[index] is None else np.asarray(gradients[index])
            if now.shape != here.shape or np.allclose(now, here, rtol=1e-9, atol=1e-12):
                continue
            adds = index >= count and np.allclose(now, here + there, rtol=1e-9, atol=1e-12)
            said[index] = "adds" if adds else "stale"
        return said
