"""`Stateful`: a module's state by name, taken, put back, written to files and read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.autograd import no_grad
from tinygrad_cnn.graph import Array
from tinygrad_cnn.nn.hooks import Hooks
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.nn.weights import read_arrays, write_arrays
from tinygrad_cnn.tensor import Tensor

__all__: list[str] = []


class IncompatibleKeys(NamedTuple):
    """What `Module.load_state_dict` with ``strict=False`` passed over."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Stateful(Hooks):
    """Parameters and persistent buffers by name; `Module` inherits it."""

    # Names of buffers, and whether each belongs to the state; replaced, never written to.
    _persistence: Mapping[str, bool] = {}

    def _walk(self, prefix: str, seen: set[Any], shared: bool) -> Iterator[tuple[str, Any]]:
        raise NotImplementedError

    def _state(self) -> dict[str, Tensor]:
        """Return parameters and persistent buffers by path; a shared one by each of its paths."""
        state = {}
        for path, module in self._walk("", set(), shared=True):
            values = vars(module)
            names = [name for name, value in values.items() if isinstance(value, Parameter)]
            names += [name for name, persistent in module._persistence.items() if persistent]
            for name in names:
                if isinstance(values.get(name), Tensor):
                    state[f"{path}.{name}" if path else name] = values[name]
        return state

    def _all_hooks(self, kind: str) -> Iterator[tuple[str, Any, Any]]:
        for path, module in self._walk("", set(), shared=False):
            if module._hooks is not None:
                for hook in list(getattr(module._hooks, kind).values()):
                    yield f"{path}." if path else "", module, hook

    def state_dict(
        self,
        destination: dict[str, Any] | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> dict[str, Any]:
        """Return all parameters and persistent buffers by PyTorch's names.

        They are tensors that share the module's memory, so that what is written to them is written
        to the module; to keep values, copy them: ``copy.deepcopy(model.state_dict())``.

        Parameters
        ----------
        destination
            A dict to put them into.
        prefix
            Stands before each name.
        keep_vars
            Whether to give the parameters themselves, which require gradients.
        """
        for path, module, hook in self._all_hooks("saving"):
            hook(module, prefix + path, keep_vars)
        state = {} if destination is None else destination
        for path, tensor in self._state().items():
            state[prefix + path] = tensor if keep_vars else tensor.detach()
        for path, module, hook in self._all_hooks("saved"):
            hook(module, state, prefix + path, {})
        return state

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Overwrite parameters and buffers, in place, by values of those names.

        Parameters
        ----------
        state_dict
            Arrays or tensors by name, as `state_dict` returns them; converted to the module's
            dtypes.
        strict
            Whether every name must be there and no other; shapes must fit in any case.
        assign
            Whether to take the values' dtypes too, instead of converting to the module's.

        Returns
        -------
        IncompatibleKeys
            The names that are missing and those that were not expected, empty if strict.

        Raises
        ------
        ValueError
            If anything does not fit; it lists all that is wrong, and nothing was changed.
        """
        state = dict(state_dict)
        for path, module, hook in self._all_hooks("loading"):
            hook(module, state, path, {}, strict, [], [], [])
        wanted = self._state()
        given = {
            name: value._data if isinstance(value, Tensor) else np.asarray(value)
            for name, value in state.items()
        }
        missing = [name for name in wanted if name not in given]
        unexpected = [name for name in given if name not in wanted]
        problems = []
        if strict and missing:
            problems.append(f"missing: {', '.join(missing)}")
        if strict and unexpected:
            problems.append(f"unexpected: {', '.join(unexpected)}")
        common = [name for name in wanted if name in given]
        for name in common:
            problems += _mismatch(name, wanted[name]._data, given[name])
        if problems:
            problems += _found_elsewhere(missing, state)
            raise ValueError(f"load_state_dict: {type(self).__name__}: {'; '.join(problems)}")
        with no_grad():
            for name in common:
                if assign and wanted[name]._data.dtype != given[name].dtype:
                    wanted[name]._data = np.array(given[name])
                else:
                    wanted[name].copy_(given[name])
        keys = IncompatibleKeys(missing, unexpected)
        for _, module, hook in self._all_hooks("loaded"):
            hook(module, keys)
        return keys

    def save_weights(self, path: str | os.PathLike[str]) -> None:
        """Write `state_dict` to a file ending in ``.npz`` or ``.safetensors``, whole or not at all.

        Raises
        ------
        ValueError
            If the name ends otherwise.
        ImportError
            If the package safetensors is needed and not installed.
        """
        write_arrays(path, {name: tensor._data for name, tensor in self._state().items()})

    def load_weights(self, path: str | os.PathLike[str], strict: bool = True) -> IncompatibleKeys:
        """Read what `save_weights` or ``torch.save`` wrote; errors are of `load_state_dict`."""
        return self.load_state_dict(read_arrays(path), strict)


def _found_elsewhere(missing: list[str], state: Mapping[str, Any]) -> list[str]:
    """Say where missing names are, if in a part of a checkpoint or behind a prefix."""
    if not missing:
        return []
    for part, inner in {"": state, **state}.items():
        if not isinstance(inner, Mapping):
            continue
        longer = [name for name in map(str, inner) if f".{name}".endswith(f".{missing[0]}")]
        for prefix in (name.removesuffix(missing[0]) for name in longer):
            if all(prefix + name in inner for name in missing):
                values = f"state[{part!r}]" if part else "state"
                renamed = f"{{name.removeprefix({prefix!r}): v for name, v in {values}.items()}}"
                return [f"they are there: give it {renamed if prefix else values}"]
    return []


def _mismatch(name: str, wanted: Array, given: Array) -> list[str]:
    """Say what does not fit about a value to load."""
    if given.shape != wanted.shape:
        return [f"{name} expects shape {wanted.shape}, got {given.shape}"]
    if not np.can_cast(given.dtype, wanted.dtype, "same_kind"):
        return [f"{name} expects {wanted.dtype}, got {given.dtype}"]
    return []
