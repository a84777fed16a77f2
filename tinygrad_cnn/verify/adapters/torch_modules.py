"""Verification of PyTorch's modules: each submodule on what it really got, then from end to end."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinygrad_cnn.types import Array
from tinygrad_cnn.verify.adapters.torch_checks import points_of
from tinygrad_cnn.verify.adapters.torch_functions import (
    TorchSubject,
    framework,
    same_torch_draws,
    tensors_of,
    to_array,
    to_tensor,
)
from tinygrad_cnn.verify.core import Options, check_subject
from tinygrad_cnn.verify.hints.place import worst_of
from tinygrad_cnn.verify.light import check_lightly
from tinygrad_cnn.verify.numeric.along import along_one
from tinygrad_cnn.verify.numeric.elements import generator
from tinygrad_cnn.verify.numeric.probe import Tolerance
from tinygrad_cnn.verify.report import InputReport, Report, Verdict
from tinygrad_cnn.verify.subjects.inputs import overlapping
from tinygrad_cnn.verify.subjects.subject import RuleError
from tinygrad_cnn.verify.walk import Selection

_TOGETHER = "all inputs were moved at once, along one direction"


@dataclass
class _Call:
    """What a submodule was called with."""

    path: str
    module: Any
    inputs: list[Any]
    keywords: dict[str, Any]


class ModuleSubject(TorchSubject):
    """A PyTorch module at its inputs and parameters."""

    def __init__(
        self, call: _Call, dtype: np.dtype[Any] | None = None, whole: bool = False
    ) -> None:
        module = call.module
        self.held = dict(module.named_parameters())
        self.buffers = dict(module.named_buffers())
        self.keywords = call.keywords
        self.module = module
        self.count = len(call.inputs)
        names = [f"input {i}" for i in range(self.count)]
        if self.count == 1:
            names = ["input"]
        arrays = [p.detach().numpy() for p in self.held.values()]  # of the copy: nobody else's
        wanted = [i for i, x in enumerate(call.inputs) if _is_float(x)]
        # Of a container, those of its parts are checked there, and from end to end.
        own = self.held if whole else dict(module.named_parameters(recurse=False))
        asked = [i for i, (n, p) in enumerate(self.held.items()) if n in own and p.requires_grad]
        super().__init__(
            self._run,
            [*call.inputs, *arrays],
            [*wanted, *(self.count + i for i in asked)],
            [*names, *self.held],
            _described(module),
            dtype,
        )
        self.subsets = False

    def _run(self, *tensors: Any) -> Any:
        held = dict(zip(self.held, tensors[self.count :], strict=True))
        kind = next((t.dtype for t in tensors if t is not None and _is_float(t)), None)
        held |= {
            name: (b.to(kind) if b.is_floating_point() and kind else b).clone()
            for name, b in self.buffers.items()
        }
        call = framework().func.functional_call
        return call(self.module, held, tensors[: self.count], self.keywords)


def _is_float(x: Any) -> bool:
    torch = framework()
    if isinstance(x, torch.Tensor):
        return bool(x.is_floating_point())
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def _described(module: Any) -> str:
    settings = "" if list(module.children()) else module.extra_repr().replace("\n", " ")
    return f"{type(module).__name__}({settings})" if settings else type(module).__name__


def check_torch_module(
    module: Any,
    *inputs: Any,
    modes: Sequence[str] = ("train", "eval"),
    raise_exception: bool = False,
    eps: float | None = None,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    max_elements: int = 24,
    seed: int = 0,
    only: str | None = None,
    every: int = 1,
    max_seconds: float | None = None,
    thorough: bool = False,
    progress: bool | None = None,
) -> Report:
    """Verify a PyTorch module: every submodule in place, then the whole; inputs and parameters.

    A copy in float64 runs; the module itself, its buffers and all generators stay as they are.
    Each submodule is checked on what it got in a forward pass of the whole, those nearest the
    result first. PyTorch's own layers, one that repeats another (the same class, settings and
    shapes), and containers are compared along one direction of all their inputs, and closely where
    that shows anything; ``thorough`` compares all layers closely.

    Parameters
    ----------
    module
        A ``torch.nn.Module``, called as ``module(*inputs)``.
    inputs
        Tensors, arrays and constants.
    modes
        "train", "eval" or both; a module that gives the same in both is checked once.
    raise_exception, eps, atol, rtol, max_elements, seed
        As for `check_graph`.
    only, every, max_seconds, thorough, progress
        As for `check_graph`; ``only`` names paths of submodules or their classes.

    Returns
    -------
    A report; ``scope`` is a submodule's path. Parameters that no gradient reaches are listed.

    Raises
    ------
    ValueError
        If a mode is not one, or the module cannot be copied.
    """
    options = Options(Tolerance(eps, atol, rtol), max_elements, seed)
    selection = Selection(only, every, max_seconds, thorough, progress)
    points, _, own = points_of(inputs)
    report = Report(f"check_torch_module of {type(module).__name__}", [], overlapping(points), seed)
    for mode in modes:
        if mode not in ("train", "eval"):
            raise ValueError(f"check_torch_module: modes are 'train' and 'eval', got {mode!r}")
    if len(modes) > 1 and not thorough and _same_in_both(module, points):
        modes = modes[:1]
        report.notes.append("the same in training and in evaluation: checked once")
    for mode in modes:
        found = _check_mode(_copied(module, mode == "train"), points, own, options, selection)
        for result in found:
            result.op += f" [{mode}]" if len(modes) > 1 else ""
        report.results += found
    if raise_exception:
        report.raise_if_wrong()
    return report


def _copied(module: Any, training: bool) -> Any:
    try:
        return copy.deepcopy(module).double().train(training)
    except Exception as error:
        raise ValueError(
            f"check_torch_module: {type(module).__name__} cannot be copied: {error}"
        ) from error


def _same_in_both(module: Any, points: list[Any]) -> bool:
    """Whether a module gives the same in training and in evaluation."""
    results = []
    for training in (True, False):
        copied = _copied(module, training)
        with framework().no_grad(), same_torch_draws():
            try:
                out = copied(*[to_tensor(p) for p in points])
            except Exception:  # the check says so
                return False
        results.append([to_array(tensor) for tensor in tensors_of(out)])
        if any(True for _ in copied.buffers()):
            return False  # statistics that move are part of what a mode does
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(*results, strict=True))


def _check_mode(
    module: Any,
    points: list[Any],
    own: np.dtype[Any] | None,
    options: Options,
    selection: Selection,
) -> list[InputReport]:
    calls = _calls_in(module, points)
    whole, parts = calls[-1], calls[:-1]
    named = [call for call in reversed(parts) if _is_named(call, selection)]
    results: list[InputReport] = []
    kinds: set[Any] = set()
    # A part ends before what it is a part of: from the end, containers come before their parts.
    with selection.bar(len(named)) as move:
        for call in sorted(named[:: selection.every], key=_is_container):
            results += _check_call(call, own, options, selection, kinds, results)
            move()
    order = {call.path: number for number, call in enumerate(reversed(parts))}
    results.sort(key=lambda result: order[result.scope])
    return results + _check_whole(whole, own, options, results)


def _is_container(call: _Call) -> bool:
    return any(True for _ in call.module.children())


def _calls_in(module: Any, points: list[Any]) -> list[_Call]:
    """Run the module and return the calls of its submodules, in the order in which they end."""
    calls: list[_Call] = []
    begun: list[_Call] = []

    def before(part: Any, arguments: Any, keywords: Any) -> None:
        inputs = [to_array(x) for x in arguments]
        begun.append(_Call(paths[id(part)], part, inputs, dict(keywords)))

    def after(_part: Any, _arguments: Any, _keywords: Any, _out: Any) -> None:
        calls.append(begun.pop())

    paths = {id(part): path for path, part in module.named_modules()}
    hooks = []
    for part in module.modules():
        hooks.append(part.register_forward_pre_hook(before, with_kwargs=True))
        hooks.append(part.register_forward_hook(after, with_kwargs=True))
    try:
        with _buffers_kept(module), framework().no_grad(), same_torch_draws():
            module(*[to_tensor(np.array(p)) if isinstance(p, np.ndarray) else p for p in points])
    finally:
        for hook in hooks:
            hook.remove()
    return calls


@contextmanager
def _buffers_kept(module: Any) -> Iterator[None]:
    held = [(b, b.clone()) for b in module.buffers()]
    try:
        yield
    finally:
        with framework().no_grad():
            for buffer, value in held:
                buffer.copy_(value)


def _is_named(call: _Call, selection: Selection) -> bool:
    """Whether a submodule is checked: those that only call others in a row are not."""
    if type(call.module).forward is framework().nn.Sequential.forward:
        return False
    return selection.names(call.path, type(call.module).__name__)


def _check_call(
    call: _Call,
    own: np.dtype[Any] | None,
    options: Options,
    selection: Selection,
    kinds: set[Any],
    parts: Sequence[InputReport],
) -> list[InputReport]:
    subject = ModuleSubject(call, own)
    if not subject.wanted:
        return []
    kind = (subject.name, *(np.shape(x) for x in subject.inputs), subject.wanted)
    container = _is_container(call)
    wrong = [r for r in parts if not r.ok and r.scope.startswith(f"{call.path}.")]
    found: list[InputReport] | None = None
    if selection.is_over():
        found = _all_say(subject, Verdict.SKIPPED, "not checked: the time was up")
    elif container or ((kind in kinds or _is_own(call.module)) and not selection.thorough):
        found = check_lightly(subject, options, _TOGETHER)
        if found is None and wrong:
            where = _names(wrong)
            found = _all_say(subject, Verdict.SKIPPED, f"not judged: a part is wrong: {where}")
    if found is None:
        found = check_subject(subject, options)
    if all(result.ok for result in found):
        kinds.add(kind)
    for result in found:
        result.scope = call.path
    return found


def _all_say(subject: ModuleSubject, verdict: Verdict, text: str) -> list[InputReport]:
    results = [
        InputReport(subject.name, subject.names[i], i, np.shape(subject.inputs[i]))
        for i in subject.wanted
    ]
    for result in results:
        result.say(verdict, "note", text)
    return results


def _is_own(module: Any) -> bool:
    """Whether a submodule is one of PyTorch's own layers."""
    return type(module).__module__.startswith("torch.nn.")


def _names(wrong: Sequence[InputReport]) -> str:
    return ", ".join(dict.fromkeys(f"{r.op.partition('(')[0]} (in {r.scope})" for r in wrong))


def _check_whole(
    call: _Call, own: np.dtype[Any] | None, options: Options, parts: Sequence[InputReport]
) -> list[InputReport]:
    """Check the module as one function of its inputs and parameters."""
    subject = ModuleSubject(call, own, whole=True)
    subject.name = "end to end"
    unreached = _unreached(subject)
    subject.wanted = tuple(i for i in subject.wanted if i not in {r.position for r in unreached})
    if not subject.wanted:
        return unreached
    found = check_lightly(subject, options, _TOGETHER)
    wrong = [r for r in parts if not r.ok]
    if found is None and wrong:
        found = [_because(subject, index, options, _names(wrong)) for index in subject.wanted]
    elif found is None:
        alone = not _is_container(call)
        found = check_subject(subject, replace(options, special=alone, explained=alone))
    return found + unreached


def _because(subject: ModuleSubject, index: int, options: Options, where: str) -> InputReport:
    """Compare the gradient of one input of a module in which a part is wrong."""
    alone = copy.copy(subject)
    alone.wanted = (index,)
    result = InputReport(subject.name, subject.names[index], index, subject.inputs[index].shape)
    line = along_one(alone, options.tolerance, generator(options.seed))
    if line is not None and line.prober.misses:
        result.wrong = worst_of(line.prober)
        result.say(Verdict.FAIL, "end to end", f"wrong because of {where}")
    elif line is None or not line.settled:
        result.say(Verdict.UNSEEN, "note", f"not judged: a part is wrong: {where}")
    return result


def _unreached(subject: ModuleSubject) -> list[InputReport]:
    """Return a result for each input and parameter that no gradient reaches."""
    torch = framework()
    try:
        tensors = [to_tensor(x) for x in subject.inputs]
        leaves = [tensors[index].requires_grad_() for index in subject.wanted]
        outs = [out for out in tensors_of(subject._outputs(tensors)) if out.requires_grad]
        found = (
            torch.autograd.grad([out.sum() for out in outs], leaves, allow_unused=True)
            if outs
            else [None] * len(leaves)
        )
    except (RuleError, RuntimeError):
        return []  # the check itself says what was raised
    results = []
    frozen = [i for i in range(subject.count, len(subject.inputs)) if i not in subject.wanted]
    for index in frozen:
        result = InputReport(subject.name, subject.names[index], index, subject.inputs[index].shape)
        result.say(Verdict.SKIPPED, "unreached", "frozen: it wants no gradient")
        results.append(result)
    value = subject.forward(subject.inputs)
    for index, gradient in zip(subject.wanted, found, strict=True):
        if gradient is None:
            results.append(_unreached_result(subject, index, value))
    return results


def _unreached_result(subject: ModuleSubject, index: int, value: Array) -> InputReport:
    inputs = list(subject.inputs)
    result = InputReport(subject.name, subject.names[index], index, inputs[index].shape)
    inputs[index] = inputs[index] * 1.01 + 0.01
    if np.array_equal(subject.forward(inputs), value, equal_nan=True):
        text = "never reached: the result does not depend on it (unused); it gets no gradient"
        result.say(Verdict.UNSEEN, "unreached", text)
    else:
        text = "the result is computed with its values, but not recorded: through detach(), .data "
        result.say(Verdict.FAIL, "unreached", f"{text}or no_grad(); it gets no gradient")
    return result
