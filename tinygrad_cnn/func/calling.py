"""Functions called for each example of a batch; modules called with other parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import tinygrad_cnn.functional as F
from tinygrad_cnn.func.recorded import leaves_of, rebuilt
from tinygrad_cnn.nn.module import Module
from tinygrad_cnn.tensor import Tensor

__all__ = ["functional_call", "vmap"]


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",  # noqa: ARG001  # PyTorch's words: each call draws its own
    chunk_size: int | None = None,  # noqa: ARG001
) -> Callable[..., Any]:
    """Return a function that calls another for each example of a batch and stacks the results.

    It is a loop: the results are those of PyTorch's, the time is that of as many calls.

    Parameters
    ----------
    func
        Takes tensors of one example.
    in_dims
        The dimension of the batch in each argument; None where all examples share it.
    out_dims
        Where it stands in the results.

    Raises
    ------
    ValueError
        When called, if the batches have different sizes, or there is none.

    >>> vmap(lambda a, b: (a * b).sum())(Tensor([[1.0, 2.0], [3.0, 4.0]]), Tensor([[1.0, 1.0]] * 2))
    tensor([3., 7.])
    """

    @wraps(func)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        dims = in_dims if isinstance(in_dims, (tuple, list)) else (in_dims,) * len(args)
        if len(dims) != len(args):
            raise ValueError(f"vmap: in_dims has {len(dims)} entries for {len(args)} arguments")
        batched = [
            leaf for a, d in zip(args, dims, strict=True) if d is not None for leaf in leaves_of(a)
        ]
        where = [d for a, d in zip(args, dims, strict=True) if d is not None for _ in leaves_of(a)]
        sizes = {t._data.shape[d] for t, d in zip(batched, where, strict=True)}
        if len(sizes) != 1:
            raise ValueError(f"vmap: expects batches of one size, got {sorted(sizes)}")
        results = []
        for i in range(sizes.pop()):
            picked = [
                a if d is None else rebuilt(a, iter([F.select(t, d, i) for t in leaves_of(a)]))
                for a, d in zip(args, dims, strict=True)
            ]
            results.append(func(*picked, **kwargs))
        if not results:
            raise ValueError("vmap: the batch is empty")
        columns = zip(*[leaves_of(r) for r in results], strict=True)
        places = leaves_of(out_dims) if isinstance(out_dims, (tuple, list)) else None
        stacked = [
            F.stack(list(column), out_dims if places is None else places[i])
            for i, column in enumerate(columns)
        ]
        return rebuilt(results[0], iter(stacked))

    return mapped


def functional_call(
    module: Module,
    parameter_and_buffer_dicts: Any,
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Call a module with other tensors in place of its parameters and buffers, for the one call.

    Parameters
    ----------
    module
        Left as it was.
    parameter_and_buffer_dicts
        Tensors by path, as `Module.named_parameters` names them, or several such dicts.
    args, kwargs
        What the module is called with: one tensor or a tuple, and keywords.
    tie_weights
        Whether a parameter that stands under several names is replaced under all.
    strict
        Whether every parameter and buffer must be given.

    Raises
    ------
    ValueError
        If there is no such parameter or buffer, or one is missing and ``strict``.

    >>> from tinygrad_cnn import nn
    >>> layer = nn.Linear(1, 1, bias=False)
    >>> functional_call(layer, {"weight": Tensor([[5.0]])}, Tensor([[2.0]]))
    tensor([[10.]])
    """
    several = isinstance(parameter_and_buffer_dicts, (tuple, list))
    dicts = parameter_and_buffer_dicts if several else [parameter_and_buffer_dicts]
    given = {name: value for one in dicts for name, value in one.items()}
    places: dict[str, tuple[Module, str, Any]] = {}
    for path, part in module._walk("", set(), shared=True):
        for name, value in vars(part).items():
            if isinstance(value, Tensor):
                places[f"{path}.{name}" if path else name] = part, name, value
    unknown = given.keys() - places.keys()
    missing = places.keys() - given.keys() if strict else set()
    if unknown or missing:
        raise ValueError(
            f"functional_call: {type(module).__name__}: "
            f"unexpected: {sorted(unknown)}, missing: {sorted(missing)}"
        )
    changes = [(*places[name][:2], value) for name, value in given.items()]
    if tie_weights:
        of = {id(places[name][2]): value for name, value in given.items()}
        changes = [(p, n, of[id(v)]) for p, n, v in places.values() if id(v) in of]
    before = [(part, name, vars(part)[name]) for part, name, _ in changes]
    try:
        for part, name, value in changes:
            vars(part)[name] = value
        positional = args if isinstance(args, tuple) else () if args is None else (args,)
        return module(*positional, **(kwargs or {}))
    finally:
        for part, name, value in before:
            vars(part)[name] = value
