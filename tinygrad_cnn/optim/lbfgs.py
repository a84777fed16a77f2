"""`LBFGS`: a quasi-Newton method with a memory of recent steps, for losses of the whole data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from tinygrad_cnn.autograd import enable_grad
from tinygrad_cnn.graph import Array
from tinygrad_cnn.inplace import before_writing, changed
from tinygrad_cnn.optim.line_search import Trial, strong_wolfe
from tinygrad_cnn.optim.optimizer import Optimizer, Parameters
from tinygrad_cnn.optim.slot import Slot
from tinygrad_cnn.tensor import Tensor

_LEAST_CURVATURE = 1e-10  # y · s below this would make the estimate of the curvature useless


class LBFGS(Optimizer):
    """Step along −H · g, where H estimates the inverse of the second derivative from recent steps.

    Each `step` makes up to `max_iter` iterations, and calls the closure at least once for each.
    The memory of steps s and differences of gradients y is applied by the two-loop recursion.
    Source: Nocedal and Wright, Numerical Optimization (2006), algorithms 7.4 and 7.5.

    Parameters
    ----------
    params
        As for `Optimizer`, in one group.
    lr
        The length of a step, or the first one that the line search tries.
    max_iter
        The most iterations in a step.
    max_eval
        The most calls of the closure in a step; 1.25 · max_iter if None.
    tolerance_grad
        A largest element of the gradient at which the step ends.
    tolerance_change
        A change of the loss, or of the largest element, at which the step ends.
    history_size
        How many steps are remembered.
    line_search_fn
        None, or ``"strong_wolfe"``.

    Raises
    ------
    ValueError
        If there are several groups, or an option is out of range; also as for `Optimizer`.
    TypeError
        By `step` if there is no closure.

    >>> from tinygrad_cnn import tensor
    >>> p = tensor([3.0, -1.0], requires_grad=True)
    >>> optimizer = LBFGS([p], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((p - 2) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> round(optimizer.step(closure).item(), 3), p.numpy().round(4).tolist()
    (10.0, [2.0, 2.0])
    """

    number_names = ("func_evals", "n_iter", "t", "prev_loss", "H_diag")
    state_names = ("d", "prev_flat_grad", "old_dirs", "old_stps", "ro")
    _vectors: ClassVar[tuple[str, ...]] = ("d", "prev_flat_grad")

    def __init__(
        self,
        params: Parameters,
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Take the parameters; there is one group only.

        Raises
        ------
        ValueError
            If there is a group already.
        """
        if self.param_groups:
            raise ValueError("LBFGS: works on one group of parameters, got several")
        super().add_param_group(param_group)

    def _check_options(self, options: dict[str, Any]) -> None:
        super()._check_options(options)
        if options["line_search_fn"] not in (None, "strong_wolfe"):
            raise ValueError(
                f"LBFGS: line_search_fn expects None or 'strong_wolfe', got "
                f"{options['line_search_fn']!r}"
            )
        for name in ("max_iter", "history_size"):
            if not options[name] >= 1:
                raise ValueError(f"LBFGS: {name} expects at least 1, got {options[name]}")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make up to `max_iter` iterations.

        Parameters
        ----------
        closure
            Clears the gradients, computes the loss and its gradients, and returns the loss.

        Returns
        -------
        What the closure returned at first.

        Raises
        ------
        TypeError
            If there is no closure.
        """
        if closure is None:
            raise TypeError("LBFGS: step expects a closure that computes the loss anew")
        group = self.param_groups[0]
        group = {**group, "lr": _number(group["lr"])}
        with enable_grad():
            first = closure()
            memory = _Memory(self._slot, group["history_size"])
            _Descent(group, memory, closure).run(_number(first))
        memory.store(self._slot)
        return first

    @property
    def _slot(self) -> Slot:
        return next(iter(self._slots.values()))

    def _load(
        self, slots: list[Slot], params: list[Tensor], number: Any, name: str, value: Any
    ) -> None:
        """Put one number or array of a state into its slot: those of vectors of all parameters."""
        if name not in self.state_names:
            super()._load(slots, params, number, name, value)
            return
        size = sum(p.numel() for p in params)
        given = value if isinstance(value, (np.ndarray, Tensor)) else [np.asarray(v) for v in value]
        array = given._data if isinstance(given, Tensor) else np.asarray(given)
        expected = {1: (size,)} if name in self._vectors else {2: (len(array), size)}
        expected = {1: (len(array),)} if name == "ro" else expected
        if number != 0 or (array.size and array.shape != expected.get(array.ndim)):
            raise ValueError(
                f"LBFGS: load_state_dict: {name!r} of parameter {number!r} expects vectors of "
                f"{size} elements, got shape {array.shape}"
            )
        slots[0].state[name] = np.array(array)


def _number(loss: Any) -> float:
    """Return a loss as a number; it is read on purpose, so nothing warns that the graph is left."""
    return float(loss.item() if isinstance(loss, Tensor) else loss)


class _Memory:
    """What goes from one iteration to the next: the last step, and the history."""

    def __init__(self, slot: Slot, limit: int) -> None:
        state, numbers = slot.state, slot.numbers
        self.limit = limit
        self.iterations = int(numbers.get("n_iter", 0))
        self.evaluations = int(numbers.get("func_evals", 0))
        self.scale = numbers.get("H_diag", 1.0)
        self.t = numbers.get("t", 0.0)
        self.loss = numbers.get("prev_loss", 0.0)
        self.direction: Any = state.get("d")
        self.gradient: Any = state.get("prev_flat_grad")
        self.differences: list[Array] = list(state.get("old_dirs", ()))
        self.steps: list[Array] = list(state.get("old_stps", ()))
        self.inverses: list[Any] = list(state.get("ro", ()))

    def store(self, slot: Slot) -> None:
        """Keep all of it with the optimiser."""
        slot.step = self.iterations
        slot.numbers = {
            "func_evals": self.evaluations,
            "n_iter": self.iterations,
            "t": self.t,
            "prev_loss": self.loss,
            "H_diag": self.scale,
        }
        if self.direction is not None:
            slot.state = {
                "d": self.direction,
                "prev_flat_grad": self.gradient,
                "old_dirs": np.array(self.differences),
                "old_stps": np.array(self.steps),
                "ro": np.array(self.inverses),
            }

    def next_direction(self, g: Array) -> Array:
        """Return −H · g, after the last step went into H."""
        if self.iterations == 1:
            self.differences, self.steps, self.inverses, self.scale = [], [], [], 1.0
            return -g
        y, s = g - self.gradient, self.direction * self.t
        curvature = y @ s
        if curvature > _LEAST_CURVATURE:
            if len(self.steps) == self.limit:
                for history in (self.differences, self.steps, self.inverses):
                    history.pop(0)
            self.differences.append(y)
            self.steps.append(s)
            self.inverses.append(1 / curvature)
            self.scale = float(curvature / (y @ y))
        d = -g
        history = list(zip(self.differences, self.steps, self.inverses, strict=True))
        shares = []
        for y, s, inverse in reversed(history):
            shares.append((s @ d) * inverse)
            d -= shares[-1] * y
        d *= self.scale
        for (y, s, inverse), share in zip(history, reversed(shares), strict=True):
            d += s * (share - (y @ d) * inverse)
        return d


class _Descent:
    """The iterations of one step."""

    def __init__(self, group: dict[str, Any], memory: _Memory, closure: Callable[[], Any]) -> None:
        self.group = group
        self.params: list[Tensor] = group["params"]
        self.memory = memory
        self.closure = closure

    def run(self, loss: float) -> None:
        """Iterate until a limit or a tolerance is reached."""
        group, memory = self.group, self.memory
        evaluations = 1
        memory.evaluations += 1
        g = self._gradient()
        for n in range(1, group["max_iter"] + 1):
            if np.abs(g).max(initial=0) <= group["tolerance_grad"]:
                return
            memory.iterations += 1
            d = memory.next_direction(g)
            memory.direction, memory.gradient, memory.loss = d, g, loss
            shortened = memory.iterations == 1
            t = min(1.0, 1 / np.abs(g).sum()) * group["lr"] if shortened else group["lr"]
            memory.t = t = float(t)
            slope = float(g @ d)
            if slope > -group["tolerance_change"]:
                return
            before = loss
            if group["line_search_fn"] is None:
                self._move(self._values(), d, t)
                if n == group["max_iter"]:
                    return
                loss, g, made = _number(self.closure()), self._gradient(), 1
            else:
                loss, g, t, made = self._search(d, t, Trial(0.0, loss, g, slope))
                memory.t = t
            evaluations += made
            memory.evaluations += made
            moved = float(np.abs(d).max()) * t
            small = min(moved, abs(loss - before)) <= group["tolerance_change"]
            if evaluations >= group["max_eval"] or small:
                return

    def _search(self, d: Array, t: float, start: Trial) -> tuple[float, Array, float, int]:
        """Find a good length along the direction, and go there."""
        values = self._values()

        def evaluate(t: float) -> Trial:
            self._move(values, d, t)
            loss, g = _number(self.closure()), self._gradient()
            return Trial(t, loss, g, float(g @ d))

        least = self.group["tolerance_change"]
        found, made = strong_wolfe(evaluate, start, t, float(np.abs(d).max()), least)
        self._move(values, d, found.t)
        return found.loss, found.gradient, found.t, made

    def _gradient(self) -> Array:
        """Return the gradient of all parameters as one vector."""
        return np.concatenate(
            [
                np.zeros(p.size, p.dtype) if p._grad is None else p._grad._data.ravel()
                for p in self.params
            ]
        )

    def _values(self) -> list[Array]:
        return [p._data.copy() for p in self.params]

    def _move(self, values: list[Array], d: Array, t: float) -> None:
        """Set the parameters to values + t · d."""
        start = 0
        for p, value in zip(self.params, values, strict=True):
            part = d[start : start + p.size].reshape(p.shape)
            before_writing(p._data)
            np.add(value, np.multiply(part, t), out=p._data)
            changed(p._data)
            start += p.size
