"""`Optimizer`: parameters in groups, their options, their state, and how an update runs fast.

A subclass writes its update once, for flat arrays. A small parameter is updated in one go; a large
one block by block, so that the passes of an update meet each block in the cache, and on several
threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from tinygrad_cnn.graph import Array
from tinygrad_cnn.inplace import changed
from tinygrad_cnn.kernels.runtime.threads import parallel
from tinygrad_cnn.tensor import Tensor

# Elements in a block. Measured for SGD with momentum on 1.2 million float32, one thread:
# 2¹³ 1.8 ms, 2¹⁴ 0.83, 2¹⁵ 0.69, 2¹⁶ 0.65, beyond that no better; Adam alike.
_BLOCK = 1 << 16
# Elements worth a thread: some 30 µs of SGD with momentum.
_GRAIN = 1 << 16


class _Slot:
    """What an optimiser keeps with a parameter: its state, and flat views to work on."""

    __slots__ = ("data", "flat", "flat_state", "scratch", "state", "step", "strides")

    def __init__(self) -> None:
        self.step = 0
        self.state: dict[str, Array] = {}  # arrays of the parameter's shape, by name
        self.data: Any = None  # the parameter's array when the views below were made
        self.strides: tuple[int, ...] = ()
        self.flat: Any = None  # that array in the order of memory, (size,)
        self.flat_state: dict[str, Array] = {}  # the same of the state
        self.scratch: list[Array] = []

    def look_at(self, data: Array) -> None:
        """Make the views of a parameter's array; the state follows it to its dtype and layout."""
        self.data, self.strides, self.flat = data, data.strides, data.ravel("K")
        self.state = {name: _laid_out(array, data) for name, array in self.state.items()}
        self.flat_state = {name: array.ravel("K") for name, array in self.state.items()}

    def add_state(self, names: Iterable[str]) -> None:
        """Add arrays of zeros under those names that are not there yet."""
        for name in names:
            if name not in self.state:
                self.state[name] = np.zeros_like(self.data)
                self.flat_state[name] = self.state[name].ravel("K")


class Optimizer:
    """Update parameters by their gradients; a subclass says how.

    Parameters
    ----------
    params
        Tensors, or dicts ``{"params": tensors, option: value, …}`` for groups with options of
        their own.
    defaults
        The options of groups that do not say otherwise.

    Attributes
    ----------
    param_groups
        A dict for each group: its ``"params"`` and options. Options may be changed between steps.

    Raises
    ------
    ValueError
        If there are no parameters, one is given twice or was computed from others, or an option
        is unknown or out of range.
    TypeError
        If a parameter is not a tensor.
    """

    state_names: ClassVar[tuple[str, ...]] = ()
    scratch_arrays: ClassVar[int] = 1  # how many arrays of a block's size an update works in

    def __init__(
        self, params: Iterable[Tensor] | Iterable[dict[str, Any]], defaults: dict[str, Any]
    ) -> None:
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self._slots: dict[Tensor, _Slot] = {}
        self._scratch: dict[np.dtype[Any], list[Array]] = {}
        if isinstance(params, Tensor):
            raise TypeError(f"{self._name}: expected several parameters, got a single tensor")
        given: list[Any] = list(params)
        if not given:
            raise ValueError(f"{self._name}: got no parameters")
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    @property
    def _name(self) -> str:
        return type(self).__name__

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with options of their own.

        Parameters
        ----------
        param_group
            ``{"params": tensors, option: value, …}``.

        Raises
        ------
        ValueError, TypeError
            As for the class.
        """
        options = {**self.defaults, **param_group}
        params = options.pop("params", None)
        unknown = options.keys() - self.defaults.keys()
        if params is None or unknown:
            raise ValueError(
                f"{self._name}: a group expects 'params' and some of {sorted(self.defaults)}, "
                f"got {sorted(param_group)}"
            )
        params = [params] if isinstance(params, Tensor) else list(params)
        if not params:
            raise ValueError(f"{self._name}: got no parameters")
        self._check_options(options)
        slots: dict[Tensor, _Slot] = {}
        for index, p in enumerate(params):
            self._check_parameter(index, p)
            if p in self._slots or p in slots:
                raise ValueError(f"{self._name}: {_label(index, p)} is given twice")
            slots[p] = _Slot()
        self._slots.update(slots)
        self.param_groups.append({"params": params, **options})

    def _check_parameter(self, index: int, p: Any) -> None:
        if not isinstance(p, Tensor):
            raise TypeError(f"{self._name}: expected tensors, got {type(p).__name__}")
        if not p.is_leaf:
            raise ValueError(
                f"{self._name}: {_label(index, p)} was computed from other tensors; only leaves "
                "can be optimised"
            )
        if p.dtype.kind != "f":
            raise TypeError(f"{self._name}: {_label(index, p)} is of {p.dtype}, not floating-point")
        if p.size and not np.may_share_memory(p._data.ravel("K"), p._data):
            raise ValueError(
                f"{self._name}: {_label(index, p)} is a view with gaps in memory; make it with "
                "tensor(), which copies"
            )

    def _check_options(self, options: dict[str, Any]) -> None:
        """Raise a ValueError if an option is out of range."""
        for name in ("lr", "weight_decay", "eps", "momentum"):
            if name in options and not options[name] >= 0:
                raise ValueError(f"{self._name}: {name} expects at least 0, got {options[name]}")

    # ------------------------------------------------------------------ steps

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients; with ``set_to_none=False``, fill them with zeros instead."""
        for p in self._slots:
            if set_to_none:
                p._grad = None
            elif p._grad is not None:
                p._grad._data.fill(0)
                changed(p._grad._data)

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        slots = self._slots
        for group in self.param_groups:
            for p in group["params"]:
                grad = p._grad
                if grad is None:
                    continue
                slot = slots[p]
                data = p._data
                if slot.data is not data:
                    slot.look_at(data)
                    slot.scratch = [s[: data.size] for s in self._shared_scratch(data.dtype)]
                slot.step += 1
                g = grad._data
                if g.strides != slot.strides:
                    g = _laid_out(g, data)
                numbers = self._numbers(slot, group)
                if data.size <= _BLOCK:
                    state, scratch = slot.flat_state, slot.scratch
                    self._update(slot.flat, g.ravel("K"), state, scratch, numbers)
                else:
                    self._update_in_blocks(slot, g.ravel("K"), numbers)
                changed(data)

    def _update_in_blocks(self, slot: _Slot, g: Array, numbers: Any) -> None:
        """Update a large parameter."""
        p, state = slot.flat, slot.flat_state

        def work(start: int, stop: int) -> None:
            scratch = [np.empty(_BLOCK, p.dtype) for _ in range(self.scratch_arrays)]
            for i in range(start, stop, _BLOCK):
                block = slice(i, min(i + _BLOCK, stop))
                parts = {name: array[block] for name, array in state.items()}
                room = [s[: block.stop - i] for s in scratch]
                self._update(p[block], g[block], parts, room, numbers)

        parallel(work, p.size, grain=_GRAIN)

    def _numbers(self, slot: _Slot, group: dict[str, Any]) -> Any:
        """Return the numbers that the update of a parameter needs; make its state if need be."""
        raise NotImplementedError(f"{self._name}: _numbers is not defined")

    def _update(
        self, p: Array, g: Array, state: dict[str, Array], scratch: list[Array], numbers: Any
    ) -> None:
        """Update (part of) a parameter in place, all arrays flat; `g` must not be written to."""
        raise NotImplementedError(f"{self._name}: _update is not defined")

    def _shared_scratch(self, dtype: np.dtype[Any]) -> list[Array]:
        """Return the arrays in which small parameters are updated, one after the other."""
        if dtype not in self._scratch:
            self._scratch[dtype] = [np.empty(_BLOCK, dtype) for _ in range(self.scratch_arrays)]
        return self._scratch[dtype]

    # ------------------------------------------------------------------ state

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to go on later: options and state.

        Returns
        -------
        dict
            ``"param_groups"``: a list of dicts of numbers, and lists of them, ready for JSON;
            ``"params"`` are the parameters' numbers in order. ``"state"``: copies of arrays, ready
            for `numpy.savez`, by names such as ``"0.exp_avg"`` (for parameter 0, of its shape) and
            ``"0.step"``.
        """
        groups = []
        numbers = {p: str(i) for i, p in enumerate(self._slots)}
        for group in self.param_groups:
            options = {k: _plain(v) for k, v in group.items() if k != "params"}
            groups.append({"params": [int(numbers[p]) for p in group["params"]], **options})
        state = {}
        for p, slot in self._slots.items():
            if slot.step:
                state[f"{numbers[p]}.step"] = np.array(slot.step)
            for name, array in slot.state.items():
                state[f"{numbers[p]}.{name}"] = array.copy("C")
        return {"param_groups": groups, "state": state}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned; steps are then the same to the last bit.

        Raises
        ------
        ValueError
            If it is of another kind of optimiser or of other parameters; nothing was changed.
        """
        groups, state = state_dict["param_groups"], state_dict["state"]
        if [len(g["params"]) for g in groups] != [len(g["params"]) for g in self.param_groups]:
            raise ValueError(
                f"{self._name}: load_state_dict: the groups hold "
                f"{[len(g['params']) for g in self.param_groups]} parameters, those of the state "
                f"{[len(g['params']) for g in groups]}"
            )
        for group in groups:
            if group.keys() - {"params"} != self.defaults.keys():
                raise ValueError(
                    f"{self._name}: load_state_dict: expected the options "
                    f"{sorted(self.defaults)}, got {sorted(group.keys() - {'params'})}"
                )
            self._check_options(group)
        params = list(self._slots)
        fresh = [_Slot() for _ in params]
        for key, array in state.items():
            self._load(fresh, params, key, np.asarray(array))
        self._slots = dict(zip(params, fresh, strict=True))
        for group, loaded in zip(self.param_groups, groups, strict=True):
            for name, default in self.defaults.items():
                value = loaded[name]
                group[name] = tuple(value) if isinstance(default, tuple) else value

    def _load(self, slots: list[_Slot], params: list[Tensor], key: str, array: Array) -> None:
        """Put one array of a state into its slot."""
        number, _, name = key.partition(".")
        known = number.isdecimal() and int(number) < len(params)
        if not known or name not in ("step", *self.state_names):
            raise ValueError(f"{self._name}: load_state_dict: unexpected {key!r}")
        slot, p = slots[int(number)], params[int(number)]
        expected = () if name == "step" else p.shape
        if array.shape != expected or array.dtype.kind not in "fiu":
            raise ValueError(
                f"{self._name}: load_state_dict: {key} expects numbers of shape {expected}, "
                f"got {array.dtype} of shape {array.shape}"
            )
        if name == "step":
            slot.step = int(array)
            return
        slot.state[name] = np.array(array)

    def __repr__(self) -> str:
        lines = []
        for index, group in enumerate(self.param_groups):
            options = ", ".join(f"{k}={v}" for k, v in group.items() if k != "params")
            lines.append(f"  group {index}: {len(group['params'])} parameters, {options}")
        return "\n".join([f"{self._name}(", *lines, ")"])


def _laid_out(array: Array, like: Array) -> Array:
    """Return a copy with the dtype of another array and its order of memory."""
    copy = np.empty_like(like)
    copy[...] = array
    return copy


def _label(index: int, p: Tensor) -> str:
    return f"parameter {index}" + (f" ({p.name})" if p.name else "")


def _plain(value: Any) -> Any:
    """Return an option as JSON would give it back."""
    return list(value) if isinstance(value, tuple) else value
