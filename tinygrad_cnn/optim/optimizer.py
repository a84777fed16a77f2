"""`Optimizer`: parameters in groups, their options, their state, and how an update runs fast.

A subclass writes its update once, for flat arrays. A small parameter is updated in one go; a large
one block by block, so that the passes of an update meet each block in the cache, and on several
threads.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, TypedDict

import numpy as np

from tinygrad_cnn.autograd import enable_grad
from tinygrad_cnn.graph import Array, mode
from tinygrad_cnn.inplace import before_writing, changed
from tinygrad_cnn.kernels.runtime.threads import parallel
from tinygrad_cnn.ops.arguments import listed
from tinygrad_cnn.optim.slot import Slot, laid_out
from tinygrad_cnn.tensor import Tensor, as_tensor

Parameters = Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[dict[str, Any]]
"""What an optimiser takes: tensors, pairs of name and tensor, or dicts of groups."""


class Accepted(TypedDict, total=False):
    """PyTorch's words for how an update is carried out: taken, and without effect here."""

    foreach: bool | None
    fused: bool | None
    capturable: bool
    differentiable: bool


# What people write for an option, where no similar spelling leads to it.
_MEANT = {"learning_rate": "lr", "wd": "weight_decay", "decay": "weight_decay", "beta": "betas"}

# Elements in a block: as many as stay in a core's cache. SGD with momentum on 1.2 million float32
# (one thread of a server CPU) takes 1.3 times as long with 2¹⁴, and no less with more than 2¹⁶.
_BLOCK = 1 << 16
# Elements worth a thread: fewer are updated before another thread has woken up.
_GRAIN = 1 << 16


class Optimizer:
    """Update parameters by their gradients; a subclass says how.

    Parameters
    ----------
    params
        Tensors; pairs of name and tensor, as ``model.named_parameters()`` gives them; or dicts
        ``{"params": tensors, option: value, …}`` for groups with options of their own. A group may
        hold words of the user's own too.
    defaults
        The options of groups that do not say otherwise.
    foreach, fused, capturable
        Accepted as PyTorch's, and without effect: updates always run on flat arrays, in blocks.

    Attributes
    ----------
    param_groups
        A dict for each group: its ``"params"`` and options. Options may be changed between steps.
        ``lr`` may be a tensor of one element, and ``maximize`` climbs instead of descending.
    defaults
        The options that were given.

    Raises
    ------
    ValueError
        If there are no parameters, one is given twice or was computed from others, an option is
        misspelt or out of range, or ``differentiable`` is asked for: updates are not recorded.
    TypeError
        If a parameter is not a tensor.
    """

    state_names: ClassVar[tuple[str, ...]] = ()
    number_names: ClassVar[tuple[str, ...]] = ()
    scratch_arrays: ClassVar[int] = 1  # how many arrays of a block's size an update works in

    def __init__(self, params: Parameters, defaults: dict[str, Any], **accepted: Any) -> None:
        if accepted.keys() - Accepted.__annotations__.keys():
            raise TypeError(f"{self._name}: got unknown arguments {sorted(accepted)}")
        if accepted.get("differentiable"):
            raise ValueError(
                f"{self._name}: differentiable is not supported, updates are not recorded; write "
                "the update as p - lr * g to differentiate through it"
            )
        self.defaults = {**defaults, "maximize": defaults.get("maximize", False)}
        self.param_groups: list[dict[str, Any]] = []
        self._slots: dict[Tensor, Slot] = {}
        self._scratch: dict[np.dtype[Any], list[Array]] = {}
        if isinstance(params, Tensor):
            raise TypeError(f"{self._name}: expected several parameters, got a single tensor")
        given = listed(self._name, "parameters", params)
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
        if params is None:
            raise ValueError(
                f"{self._name}: a group expects 'params' and some of {sorted(self.defaults)}, "
                f"got {sorted(param_group)}"
            )
        self._check_words(options.keys() - self.defaults.keys())
        if isinstance(params, Tensor):
            params = [params]
        params = listed(self._name, "parameters", params)
        named = all(isinstance(p, tuple) and len(p) == 2 for p in params)
        if named:
            options["param_names"] = [name for name, _ in params]
            params = [p for _, p in params]
        self._check_options(options)
        slots: dict[Tensor, Slot] = {}
        for index, p in enumerate(params):
            self._check_parameter(index, p)
            if p in self._slots or p in slots:
                raise ValueError(f"{self._name}: {_label(index, p)} is given twice")
            slots[p] = Slot()
        self._slots.update(slots)
        self.param_groups.append({"params": params, **options})

    def _check_words(self, words: Iterable[str]) -> None:
        """Refuse words of a group that look like an option's name: they would do nothing."""
        for word in words:
            close = difflib.get_close_matches(word, self.defaults, 1, 0.8)
            meant = close[0] if close else _MEANT.get(word)
            if meant in self.defaults:
                raise ValueError(
                    f"{self._name}: a group has {word!r}, which is no option; "
                    f"did you mean {meant!r}?"
                )

    def _check_parameter(self, index: int, p: Any) -> None:
        if not isinstance(p, Tensor):
            more = ": give its parameters(), one list for all layers" * hasattr(p, "parameters")
            raise TypeError(f"{self._name}: expected tensors, got {type(p).__name__}{more}")
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
            value = options.get(name, 0.0)
            if isinstance(value, bool) or not isinstance(value, (int, float, np.generic, Tensor)):
                raise TypeError(f"{self._name}: {name} expects a number, got {value!r}")
            if not 0 <= float(value) < np.inf:
                raise ValueError(f"{self._name}: {name} expects at least 0, got {value}")
        betas = options.get("betas", (0, 0))
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(
                f"{self._name}: betas expects two numbers from 0 to less than 1, got {betas}"
            )

    # ------------------------------------------------------------------ steps

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients; with ``set_to_none=False``, fill them with zeros instead."""
        for p in self._slots:
            if set_to_none:
                p._grad = None
            elif p._grad is not None:
                p._grad.detach().zero_()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient.

        Parameters
        ----------
        closure
            Clears the gradients, computes the loss and its gradients, and returns it; called
            first, while operations are recorded.

        Returns
        -------
        What the closure returned, or None.
        """
        loss = _evaluated(closure)
        watch = mode.watch
        if watch is not None:
            watch.before_update(self)
        slots = self._slots
        for group in self.param_groups:
            if isinstance(group["lr"], Tensor):
                group = {**group, "lr": group["lr"].item()}
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
                    g = laid_out(g, data)
                if group["maximize"]:
                    g = np.negative(g)
                numbers = self._numbers(slot, group)
                before_writing(data)
                if data.size <= _BLOCK:
                    state, scratch = slot.flat_state, slot.scratch
                    self._update(slot.flat, g.ravel("K"), state, scratch, numbers)
                else:
                    self._update_in_blocks(slot, g.ravel("K"), numbers)
                changed(data)
        if watch is not None:
            watch.after_update(self)
        return loss

    def _update_in_blocks(self, slot: Slot, g: Array, numbers: Any) -> None:
        """Update a large parameter."""
        p, state = slot.flat, slot.flat_state

        def work(start: int, stop: int) -> None:
            scratch = [np.empty(_BLOCK, p.dtype) for _ in range(self.scratch_arrays)]
            for i in range(start, stop, _BLOCK):
                block = slice(i, min(i + _BLOCK, stop))
                parts = {name: array[block] for name, array in state.items()}
                fitting = [s[: block.stop - i] for s in scratch]
                self._update(p[block], g[block], parts, fitting, numbers)

        parallel(work, p.size, grain=_GRAIN)

    def _numbers(self, slot: Slot, group: dict[str, Any]) -> Any:
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

    @property
    def state(self) -> Mapping[Tensor, dict[str, Any]]:
        """What is kept with each parameter: tensors that share its memory, and numbers.

        To be read; the state itself is replaced by `load_state_dict`.

        >>> from tinygrad_cnn.optim import SGD
        >>> p = Tensor([1.0], requires_grad=True)
        >>> optimizer = SGD([p], lr=0.1, momentum=0.9)
        >>> p.grad = [2.0]
        >>> optimizer.step()
        >>> optimizer.state[p]["momentum_buffer"]
        tensor([2.])
        """
        found = {}
        for p, slot in self._slots.items():
            items = slot.asdict().items()
            if items:
                found[p] = {k: as_tensor(v) if isinstance(v, np.ndarray) else v for k, v in items}
        return MappingProxyType(found)

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to go on later, laid out as PyTorch's: options and state.

        Returns
        -------
        dict
            ``"param_groups"``: a list of dicts of the options, ready for JSON; ``"params"`` are
            the parameters' numbers in order. ``"state"``: for each number a dict of copies:
            ``"step"``, numbers, and arrays of the parameter's shape, such as ``"exp_avg"``.
        """
        groups = []
        numbers = {p: i for i, p in enumerate(self._slots)}
        for group in self.param_groups:
            options = {k: _plain(v) for k, v in group.items() if k != "params"}
            groups.append({"params": [numbers[p] for p in group["params"]], **options})
        state = {}
        for p, slot in self._slots.items():
            if items := slot.asdict():
                state[numbers[p]] = {
                    k: v.copy("C") if isinstance(v, np.ndarray) else v for k, v in items.items()
                }
        return {"param_groups": groups, "state": state}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned; steps are then the same to the last bit.

        PyTorch's own state of the same kind of optimiser is taken too.

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
            missing = self.defaults.keys() - group.keys() - {"maximize"}
            if missing:
                raise ValueError(
                    f"{self._name}: load_state_dict: expected the options "
                    f"{sorted(self.defaults)}, got {sorted(group.keys() - {'params'})}"
                )
            self._check_options(group)
        params = list(self._slots)
        fresh = [Slot() for _ in params]
        for number, items in state.items():
            for name, value in items.items():
                self._load(fresh, params, number, name, value)
        self._slots = dict(zip(params, fresh, strict=True))
        for group, loaded in zip(self.param_groups, groups, strict=True):
            for name, value in loaded.items():
                if name not in ("params", *Accepted.__annotations__):
                    default = self.defaults.get(name)
                    group[name] = tuple(value) if isinstance(default, tuple) else value

    def _load(
        self, slots: list[Slot], params: list[Tensor], number: Any, name: str, value: Any
    ) -> None:
        """Put one number or array of a state into its slot."""
        where = f"{self._name}: load_state_dict: {name!r} of parameter {number!r}"
        known = isinstance(number, int) and 0 <= number < len(params)
        if not known or name not in ("step", *self.number_names, *self.state_names):
            raise ValueError(f"{where} is unexpected")
        if value is None:  # PyTorch's SGD says so where there is no momentum
            return
        array = value._data if isinstance(value, Tensor) else np.asarray(value)
        slot, p = slots[number], params[number]
        expected = p.shape if name in self.state_names else ()
        if array.shape != expected or array.dtype.kind not in "fiu":
            raise ValueError(
                f"{where} expects numbers of shape {expected}, got {array.dtype} of shape "
                f"{array.shape}"
            )
        if name == "step":
            slot.step = int(array)
            if slot.step < 0:
                raise ValueError(f"{where} is {slot.step}")
        elif name in self.number_names:
            slot.numbers[name] = float(array)
        else:
            slot.state[name] = np.array(array)
            slot.step = max(slot.step, 1)  # PyTorch's SGD keeps no step

    def __repr__(self) -> str:
        lines = []
        for index, group in enumerate(self.param_groups):
            hidden = {"params", "param_names"} | (set() if group["maximize"] else {"maximize"})
            options = ", ".join(f"{k}={v}" for k, v in group.items() if k not in hidden)
            lines.append(f"  group {index}: {len(group['params'])} parameters, {options}")
        return "\n".join([f"{self._name}(", *lines, ")"])


def _label(index: int, p: Tensor) -> str:
    return f"parameter {index}" + (f" ({p.name})" if p.name else "")


def _plain(value: Any) -> Any:
    """Return an option as JSON would give it back."""
    if isinstance(value, Tensor):
        return value.item() if value.size == 1 else value.tolist()
    return list(value) if isinstance(value, tuple) else value


def _evaluated(closure: Callable[[], Any] | None) -> Any:
    """Call the closure of a step as if it were not under `no_grad`."""
    if closure is None:
        return None
    with enable_grad():
        return closure()
