"""Modes of a thread: whether operations are recorded, with their places, and watched for NaN."""

from __future__ import annotations

import inspect
import threading
import types
from collections.abc import Callable, Generator
from functools import wraps
from typing import Any, ClassVar, Self, TypeVar, cast

import numpy as np

from tinygrad_cnn.anomaly import Watch
from tinygrad_cnn.graph import GraphError
from tinygrad_cnn.graph import mode as _mode

__all__ = [
    "SetMode",
    "detect_anomaly",
    "enable_grad",
    "inference_mode",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "no_grad",
    "record_source",
    "set_detect_anomaly",
    "set_grad_enabled",
]

_F = TypeVar("_F", bound=Callable[..., Any])


class SetMode:
    """Set one attribute of the thread's mode; a context manager and a decorator.

    What to go back to stands in the mode, which each thread has for itself: one object may be
    entered by several threads, again within itself, and left in any order, as generators do that
    are suspended inside.
    """

    _attribute: ClassVar[str] = "recording"
    _value: Any = True

    def __new__(cls, function: Callable[..., Any] | None = None) -> Self:  # noqa: D102
        self = object.__new__(cls)
        # @no_grad without parentheses: what comes back is the decorated function.
        return self if function is None else cast(Any, self(function))

    def __enter__(self) -> None:
        now = _mode.__dict__
        attribute = self._attribute
        now["settings"].append((self, attribute, now[attribute]))
        _mode.set(attribute, self._value)

    def __exit__(self, *_: object) -> None:
        settings = _mode.settings
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
        _mode.set(attribute, before)

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


class no_grad(SetMode):  # noqa: N801  # PyTorch's name
    """Record nothing inside: results do not require a gradient.

    >>> from tinygrad_cnn import tensor
    >>> x = tensor(2.0, requires_grad=True)
    >>> with no_grad():
    ...     y = x * 3
    >>> y.requires_grad
    False
    """

    _value = False


class enable_grad(SetMode):  # noqa: N801  # PyTorch's name
    """Record inside, also within `no_grad`."""

    _value = True


class set_grad_enabled(SetMode):  # noqa: N801  # PyTorch's name
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
        self._called: tuple[int, bool] | None = threading.get_ident(), _mode.recording
        _mode.recording = self._value

    def _take_back(self) -> None:
        """Undo what the call itself did in this thread: it was not meant to last."""
        called = self._called
        if called is not None and called[0] == threading.get_ident():
            self._called = None
            _mode.recording = called[1]

    def __enter__(self) -> None:
        self._take_back()
        super().__enter__()

    def __call__(self, function: _F) -> _F:
        """Decorate a function."""
        self._take_back()
        return super().__call__(function)


class inference_mode(SetMode):  # noqa: N801  # PyTorch's name
    """Record nothing inside, as `no_grad`; with False, record, as `enable_grad`.

    >>> with inference_mode():
    ...     print(is_grad_enabled())
    False
    """

    def __new__(cls, mode: Any = True) -> Self:  # noqa: D102  # a function: @inference_mode
        self = object.__new__(cls)
        self._value = not mode
        return cast(Any, self(mode)) if callable(mode) else self


class record_source(SetMode):  # noqa: N801  # beside its siblings
    """Keep with each node recorded inside the file and line of the call, for reports."""

    _attribute = "source"
    _value = True


class detect_anomaly(SetMode):  # noqa: N801  # PyTorch's name
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
    >>> with detect_anomaly(), np.errstate(divide="ignore"):
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
        now = _mode.__dict__
        self._called: Any = threading.get_ident(), now["watch"], now["source"]
        _mode.set("watch", self._value)
        _mode.set("source", mode)

    def __enter__(self) -> None:
        called, self._called = self._called, None  # the call itself was not meant to last
        if called is not None and called[0] == threading.get_ident():
            _mode.set("watch", called[1])
            _mode.set("source", called[2])
        super().__enter__()


def is_anomaly_enabled() -> bool:
    """Whether `detect_anomaly` is looking at results in this thread."""
    return _mode.watch is not None


def _check_bool(function: str, value: Any) -> None:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{function}: expects True or False, got {value!r}")


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread."""
    return _mode.recording
