"""Reverse-mode automatic differentiation: what is recorded, `backward` and `grad`.

The walk over the graph itself stands in `engine`.
"""

from __future__ import annotations

import inspect
import threading
import types
from collections.abc import Callable, Generator
from functools import wraps
from typing import Any, ClassVar, Self, TypeVar, cast

import numpy as np

from tinygrad_cnn.anomaly import AnomalyError, Watch
from tinygrad_cnn.engine import BackwardPass, Edge
from tinygrad_cnn.graph import GraphError, mode
from tinygrad_cnn.op import TensorBase, edge_of
from tinygrad_cnn.ops.arguments import listed
from tinygrad_cnn.ownership import own

_F = TypeVar("_F", bound=Callable[..., Any])


class _SetMode:
    """Set one attribute of the recording mode; a context manager and a decorator.

    What to go back to stands in the mode, which each thread has for itself: one object may be
    entered by several threads, again within itself, and left in any order, as generators do that
    are suspended inside.
    """

    _attribute: ClassVar[str] = "recording"
    _value: Any = True

    def __new__(cls, function: Callable[..., Any] | None = None) -> Self:
        self = object.__new__(cls)
        # @no_grad without parentheses: what comes back is the decorated function.
        return self if function is None else cast(Any, self(function))

    def __enter__(self) -> None:
        now = mode.__dict__
        attribute = self._attribute
        now["settings"].append((self, attribute, now[attribute]))
        now[attribute] = self._value

    def __exit__(self, *_: object) -> None:
        settings = mode.settings
        place = len(settings) - 1
        while place >= 0 and settings[place][0] is not self:
            place -= 1
        if place < 0:
            raise GraphError(
                f"{type(self).__name__}: left in another thread than it was entered in"
            )
        attribute, before = settings[place][1:]
        del settings[place]
        for later in range(place, len(settings)):
            setter, other = settings[later][:2]
            if other == attribute:  # entered later and still in force: that one goes back instead
                settings[later] = setter, attribute, before
                return
        mode.__dict__[attribute] = before

    def __call__(self, function: _F) -> _F:
        """Decorate a function, a generator function or a coroutine function."""
        if inspect.isclass(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                f"{type(self).__name__}: decorates functions and generators, got {function!r}; "
                "decorate its methods, or write `with` round the operations"
            )
        setting: Any = self

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with setting:
                return function(*args, **kwargs)

        @wraps(function)
        def generate(*args: Any, **kwargs: Any) -> Any:
            return (yield from _stepwise(function(*args, **kwargs), setting))

        @wraps(function)
        async def wait(*args: Any, **kwargs: Any) -> Any:
            return await _awaitable(function(*args, **kwargs), setting)

        if inspect.iscoroutinefunction(function):
            return cast(_F, wait)
        return cast(_F, generate if inspect.isgeneratorfunction(function) else call)


def _stepwise(steps: Any, setting: Any) -> Generator[Any, Any, Any]:
    """Run a generator or coroutine with a mode set while it runs, and not while it is suspended."""
    go_on, value = steps.send, None
    while True:
        try:
            with setting:
                result = go_on(value)
        except StopIteration as stop:
            return stop.value
        try:
            go_on, value = steps.send, (yield result)
        except GeneratorExit:
            with setting:
                steps.close()
            raise
        except BaseException as error:
            go_on, value = steps.throw, error


_awaitable = types.coroutine(_stepwise)


class no_grad(_SetMode):  # noqa: N801  # PyTorch's name
    """Record nothing inside: results do not require a gradient.

    >>> from tinygrad_cnn import tensor
    >>> x = tensor(2.0, requires_grad=True)
    >>> with no_grad():
    ...     y = x * 3
    >>> y.requires_grad
    False
    """

    _value = False


class enable_grad(_SetMode):  # noqa: N801  # PyTorch's name
    """Record inside, also within `no_grad`."""

    _value = True


class set_grad_enabled(_SetMode):  # noqa: N801  # PyTorch's name
    """Record, or not, as the argument says: from the call on, or inside of ``with``.

    Raises
    ------
    TypeError
        If the argument is not a bool.

    >>> with set_grad_enabled(False):
    ...     print(is_grad_enabled())
    False
    >>> is_grad_enabled()
    True
    """

    def __new__(cls, _: bool) -> Self:  # noqa: D102  # no function: the argument is a bool
        return object.__new__(cls)

    def __init__(self, enabled: bool) -> None:
        _check_bool("set_grad_enabled", enabled)
        self._value = bool(enabled)
        self._called: tuple[int, bool] | None = threading.get_ident(), mode.recording
        mode.recording = self._value

    def _take_back(self) -> None:
        """Undo what the call itself did in this thread: it was not meant to last."""
        called = self._called
        if called is not None and called[0] == threading.get_ident():
            self._called = None
            mode.recording = called[1]

    def __enter__(self) -> None:
        self._take_back()
        super().__enter__()

    def __call__(self, function: _F) -> _F:
        """Decorate a function."""
        self._take_back()
        return super().__call__(function)


class record_source(_SetMode):  # noqa: N801  # beside its siblings
    """Keep with each node recorded inside the file and line of the call, for reports."""

    _attribute = "source"
    _value = True


class detect_anomaly(_SetMode):  # noqa: N801  # PyTorch's name
    """Stop at the first operation that makes a NaN or an infinity out of finite numbers.

    Inside, the result of every operation on tensors, every gradient that a rule returns and every
    parameter that an optimiser updates is looked at, in this thread. The error names the operation,
    its module, file and line, the element, and why: "log of 0 at [3, 7]". Infinities that were
    given, as in a mask of attention, are left alone. Costs nothing outside.

    Parameters
    ----------
    check_nan
        Whether to look at all; False only keeps files and lines, as PyTorch does.

    Raises
    ------
    AnomalyError
        A RuntimeError; inside of the context, where a NaN or an infinity is made.

    >>> from tinygrad_cnn import tensor
    >>> x = tensor([1.0, 0.0], requires_grad=True)
    >>> with detect_anomaly():
    ...     x.log().sum().backward()
    Traceback (most recent call last):
        ...
    tinygrad_cnn.anomaly.watch.AnomalyError: log made −∞ out of finite numbers: log of 0 at [1] ...
    """

    _attribute = "watch"

    def __new__(cls, check_nan: bool = True) -> Self:  # noqa: ARG004, D102
        return object.__new__(cls)

    def __init__(self, check_nan: bool = True) -> None:
        _check_bool(type(self).__name__, check_nan)
        self._value = Watch() if check_nan else None
        self._sources = record_source()

    def __enter__(self) -> None:
        super().__enter__()
        self._sources.__enter__()

    def __exit__(self, *_: object) -> None:
        self._sources.__exit__()
        super().__exit__()


class set_detect_anomaly(detect_anomaly):  # noqa: N801  # PyTorch's name
    """Switch `detect_anomaly` on or off: from the call on, or inside of ``with``.

    Parameters
    ----------
    mode
        Whether to look for NaN and infinity.
    check_nan
        As for `detect_anomaly`.

    Raises
    ------
    TypeError
        If an argument is not a bool.

    >>> with set_detect_anomaly(True):
    ...     print(is_anomaly_enabled())
    True
    >>> is_anomaly_enabled()
    False
    """

    def __new__(cls, mode: bool, check_nan: bool = True) -> Self:  # noqa: ARG004, D102
        return object.__new__(cls)

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        _check_bool("set_detect_anomaly", mode)
        super().__init__(check_nan and mode)
        self._sources._value = mode
        now = _mode_of_thread()
        self._called: Any = threading.get_ident(), now["watch"], now["source"]
        now["watch"], now["source"] = self._value, mode

    def __enter__(self) -> None:
        called, self._called = self._called, None  # the call itself was not meant to last
        if called is not None and called[0] == threading.get_ident():
            now = _mode_of_thread()
            now["watch"], now["source"] = called[1:]
        super().__enter__()


def is_anomaly_enabled() -> bool:
    """Whether `detect_anomaly` is looking at results in this thread."""
    return mode.watch is not None


def _mode_of_thread() -> dict[str, Any]:
    return mode.__dict__


def _check_bool(function: str, value: Any) -> None:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{function}: expects True or False, got {value!r}")


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread."""
    return mode.recording


def backward(
    tensor: TensorBase,
    gradient: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> None:
    """Add the gradient of ``tensor`` by every leaf of its graph to the leaf's ``grad``.

    Parameters
    ----------
    tensor
        Where to start; a loss of one element, unless ``gradient`` is given.
    gradient
        The gradient of the result, of the tensor's shape (the vector of the product with the
        Jacobian).
    retain_graph
        Keep the arrays that the rules need, for another pass. Default: as ``create_graph``.
    create_graph
        Record the backward pass itself, so that gradients can be differentiated again.

    Raises
    ------
    GraphError
        If the tensor has no graph, is not a single number and no gradient is given, the graph was
        released by an earlier pass, or a saved array was changed in place.

    >>> from tinygrad_cnn import tensor
    >>> x = tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """
    start = _starting_gradient("backward", tensor, gradient, create_graph)
    retain = create_graph if retain_graph is None else retain_graph
    try:
        BackwardPass(tensor._wrap, create_graph, retain).run([(tensor, start)])
    except AnomalyError as error:
        error.result = tensor
        raise


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Any, ...]:
    """Return the gradients of the sum of ``outputs`` by each of ``inputs``; no ``grad`` is touched.

    Parameters
    ----------
    outputs, inputs
        A tensor or a sequence of tensors; inputs may be leaves or results inside of the graph.
    grad_outputs
        The gradient of each output, of its shape; needed where an output is not a single number.
    retain_graph, create_graph
        As for `backward`.
    allow_unused
        Return None for an input that the outputs do not depend on, instead of raising.

    Returns
    -------
    A tuple with a tensor for each input.

    >>> from tinygrad_cnn import tensor
    >>> x = tensor(3.0, requires_grad=True)
    >>> (dx,) = grad(x**3, x, create_graph=True)
    >>> (ddx,) = grad(dx, x)
    >>> dx.item(), ddx.item()
    (27.0, 18.0)
    """
    outs = _as_tuple("grad", "outputs", outputs)
    ins = _as_tuple("grad", "inputs", inputs)
    given = (None,) * len(outs)
    if grad_outputs is not None:
        single = isinstance(grad_outputs, (TensorBase, np.ndarray, float, int))
        given = (grad_outputs,) if single else tuple(listed("grad", "grad_outputs", grad_outputs))
    if len(given) != len(outs):
        raise GraphError(f"grad: expects {len(outs)} grad_outputs, got {len(given)}")
    starts = [
        (out, _starting_gradient("grad", out, g, create_graph))
        for out, g in zip(outs, given, strict=True)
    ]
    for index, x in enumerate(ins):
        if not x._requires_grad:
            raise GraphError(f"grad: input {index} does not require a gradient")
    retain = create_graph if retain_graph is None else retain_graph
    targets: set[Edge] = {edge_of(x) for x in ins}
    try:
        found = BackwardPass(outs[0]._wrap, create_graph, retain, targets).run(starts)
    except AnomalyError as error:
        error.result = outs[0]
        raise
    results: list[Any] = []
    given_out: set[Edge] = set()
    for index, x in enumerate(ins):
        edge = edge_of(x)
        g = found.get(edge)
        if g is None and not allow_unused:
            raise GraphError(
                f"grad: the outputs do not depend on input {index}; "
                "allow_unused=True returns None for it"
            )
        if g is not None:
            again = edge in given_out  # an input named twice: each result is the caller's alone
            given_out.add(edge)
            if again:
                g = own(g, x._wrap)
            elif not isinstance(g, TensorBase):
                g = x._wrap(g, None)
        results.append(g)
    return tuple(results)


def _as_tuple(function: str, argument: str, value: Any) -> tuple[Any, ...]:
    if isinstance(value, (TensorBase, np.ndarray)) or not hasattr(value, "__iter__"):
        value = [value]
    values = tuple(listed(function, argument, value))
    for v in values:
        if not isinstance(v, TensorBase):
            raise TypeError(f"{function}: {argument} expects tensors, got {type(v).__name__}")
    return values


def _starting_gradient(function: str, tensor: TensorBase, gradient: Any, as_tensor: bool) -> Any:
    """Check the gradient to start from; 1 for a single number."""
    if not tensor._requires_grad:
        raise GraphError(
            f"{function}: the tensor does not require a gradient: it was not computed from a "
            "tensor with requires_grad=True, or was computed under no_grad() or detached"
        )
    data = tensor._data
    if gradient is None:
        if data.size != 1:
            raise GraphError(
                f"{function}: a gradient can be made for a single number only; the tensor has "
                f"shape {data.shape}: reduce it to a loss, or give the gradient of that shape"
            )
        array = np.ones(data.shape, data.dtype)
    elif isinstance(gradient, TensorBase):
        if gradient._requires_grad and as_tensor:
            return gradient
        array = gradient._data
    else:
        array = np.asarray(gradient)
    if array.shape != data.shape:
        raise GraphError(f"{function}: expects a gradient of shape {data.shape}, got {array.shape}")
    if gradient is not None:
        array = array.astype(data.dtype)  # a copy: the user's own may change
    return tensor._wrap(array, None) if as_tensor else array
