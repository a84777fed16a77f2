"""`Hooks`: functions of one's own that run before and after a module, forward and backward."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from tinygrad_cnn.function import Function
from tinygrad_cnn.graph import RemovableHook, mode
from tinygrad_cnn.tensor import Tensor

__all__ = ["Hooks"]

_keys = itertools.count()


class Registered:
    """The hooks of one module, by kind; each with the words it was registered with."""

    def __init__(self) -> None:
        self.before: dict[int, Any] = {}
        self.after: dict[int, Any] = {}
        self.backward_before: dict[int, Any] = {}
        self.backward: dict[int, Any] = {}
        self.saving: dict[int, Any] = {}
        self.saved: dict[int, Any] = {}
        self.loading: dict[int, Any] = {}
        self.loaded: dict[int, Any] = {}


class Hooks:
    """What registers hooks; `Module` inherits it.

    Each returns a handle whose ``remove()`` takes the hook away.

    >>> from tinygrad_cnn.nn import ReLU
    >>> layer = ReLU()
    >>> handle = layer.register_forward_hook(lambda module, args, output: output * 10)
    >>> layer(Tensor([2.0]))
    tensor([20.])
    >>> handle.remove()
    >>> layer(Tensor([2.0]))
    tensor([2.])
    """

    _hooks: Registered | None = None  # of this module, once one was registered

    def _add(self, kind: str, hook: Any, prepend: bool = False) -> RemovableHook:
        if self._hooks is None:
            object.__setattr__(self, "_hooks", Registered())
        hooks: dict[int, Any] = getattr(self._hooks, kind)
        key = next(_keys)
        before = dict(hooks) if prepend else {}
        if prepend:
            hooks.clear()
        hooks[key] = hook
        hooks.update(before)
        return RemovableHook(hooks, key)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHook:
        """Call ``hook(module, args)`` before `forward`; what it returns replaces the arguments.

        With ``with_kwargs`` it is ``hook(module, args, kwargs)``, which returns both or None.
        """
        return self._add("before", (hook, with_kwargs), prepend)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHook:
        """Call ``hook(module, args, output)`` after `forward`; what it returns is the output.

        With ``with_kwargs`` it is ``hook(module, args, kwargs, output)``; with ``always_call`` it
        is called with an output of None where `forward` raised.
        """
        return self._add("after", (hook, with_kwargs, always_call), prepend)

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHook:
        """Call ``hook(module, grad_output)`` before the module's backward; it may replace them."""
        return self._add("backward_before", hook, prepend)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHook:
        """Call ``hook(module, grad_input, grad_output)`` after the module's backward.

        Both are tuples; what it returns, a tuple, replaces the gradients of the inputs.
        """
        return self._add("backward", hook, prepend)

    register_backward_hook = register_full_backward_hook

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHook:
        """Call ``hook(module, prefix, keep_vars)`` before `state_dict`."""
        return self._add("saving", hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHook:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` after `state_dict`."""
        return self._add("saved", hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHook:
        """Call ``hook(module, state_dict, prefix, …)`` before `load_state_dict`; it may change it.

        The five further arguments are PyTorch's: local_metadata, strict, and three lists.
        """
        return self._add("loading", hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHook:
        """Call ``hook(module, incompatible_keys)`` after `load_state_dict`."""
        return self._add("loaded", hook)


def call_with_hooks(module: Any, hooks: Registered, args: Any, kwargs: Any) -> Any:
    """Run a module's forward with its hooks round it."""
    for hook, with_kwargs in list(hooks.before.values()):
        answer = hook(module, args, kwargs) if with_kwargs else hook(module, args)
        if answer is not None and with_kwargs:
            args, kwargs = answer
        elif answer is not None:
            args = answer if isinstance(answer, tuple) else (answer,)
    watch = None
    if (hooks.backward or hooks.backward_before) and mode.recording:
        watch = _Watch(module, hooks)
        args = watch.inputs(args)
    try:
        output = module.forward(*args, **kwargs)
    except Exception:
        for hook, with_kwargs, always in list(hooks.after.values()):
            if always:
                hook(module, args, kwargs, None) if with_kwargs else hook(module, args, None)
        raise
    for hook, with_kwargs, _ in list(hooks.after.values()):
        answer = hook(module, args, kwargs, output) if with_kwargs else hook(module, args, output)
        output = output if answer is None else answer
    return output if watch is None else watch.outputs(output)


class _Watch:
    """The gradients of a module's outputs and inputs in one call."""

    def __init__(self, module: Any, hooks: Registered) -> None:
        self.module = module
        self.hooks = hooks
        self.grad_output: tuple[Any, ...] = ()
        self.no_input = True

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Let the tensors among the arguments pass through one operation whose rule tells."""
        places = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a._requires_grad]
        if not places:
            return args
        self.no_input = False
        passed = iter(_Entrance.apply(self, len(args), tuple(places), *[args[i] for i in places]))
        return tuple(next(passed) if i in places else a for i, a in enumerate(args))

    def outputs(self, output: Any) -> Any:
        """Let the results pass through one operation whose rule tells."""
        single = isinstance(output, Tensor)
        several = [output] if single else output
        if not isinstance(several, (tuple, list)):
            return output  # a dict, or no tensor: nothing is told, as in PyTorch
        places = [i for i, t in enumerate(several) if isinstance(t, Tensor) and t._requires_grad]
        if not places:
            return output
        passed = iter(_Exit.apply(self, len(several), tuple(places), *[several[i] for i in places]))
        results = [next(passed) if i in places else t for i, t in enumerate(several)]
        return results[0] if single else type(output)(results)

    def leaving(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        """Note the gradients of the results; they may be replaced."""
        for hook in list(self.hooks.backward_before.values()):
            answer = hook(self.module, gradients)
            if answer is not None:
                gradients = answer if isinstance(answer, tuple) else (answer,)
        self.grad_output = gradients
        if self.no_input:
            self.entering((None,))
        return gradients

    def entering(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        """Tell the gradients of the arguments; they may be replaced."""
        for hook in list(self.hooks.backward.values()):
            answer = hook(self.module, gradients, self.grad_output)
            if answer is not None:
                gradients = answer if isinstance(answer, tuple) else (answer,)
        return gradients


def _spread(count: int, places: tuple[int, ...], gradients: tuple[Any, ...]) -> tuple[Any, ...]:
    found = iter(gradients)
    return tuple(next(found) if i in places else None for i in range(count))


class _Entrance(Function):
    """Hands the arguments on; its rule tells the gradients of all of them at once."""

    @staticmethod
    def forward(ctx: Any, watch: _Watch, count: int, places: Any, *tensors: Tensor) -> Any:
        """Return the tensors."""
        ctx.watch, ctx.count, ctx.places = watch, count, places
        return tensors

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Tell the gradients."""
        passed = ctx.watch.entering(_spread(ctx.count, ctx.places, gradients))
        return None, None, None, *[passed[i] for i in ctx.places]


class _Exit(_Entrance):
    """Hands the results on; its rule tells their gradients."""

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Tell the gradients."""
        passed = ctx.watch.leaving(_spread(ctx.count, ctx.places, gradients))
        return None, None, None, *[passed[i] for i in ctx.places]
