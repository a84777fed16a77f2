"""Nothing of an operation is forgotten: its function, sample, layer and name.

Each check says what is missing and what to add. `CONTRIBUTING.md` goes through them in order.
Faults are put into every sampled operation by `verify/test_every_op.py`.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import tinygrad_cnn
import tinygrad_cnn.functional as F
from tests.names import table
from tests.sources import ROOT, tree_of
from tests.test_ops import ops_of_the_package
from tinygrad_cnn import nn
from tinygrad_cnn.operators import Operators

TESTS = Path(__file__).parent


def module_name(path: Path) -> str:
    return ".".join(("tinygrad_cnn", *path.relative_to(ROOT).with_suffix("").parts))


@cache
def families() -> dict[str, ModuleType]:
    """The files of `ops` that define operations or name functions, by their names."""
    found = {}
    for path in sorted((ROOT / "ops").rglob("*.py")):
        name = module_name(path)
        module = importlib.import_module(name)
        ops = [op for op in ops_of_the_package() if op.__module__ == name]
        if getattr(module, "__all__", ()) or ops:
            found[name] = module
    return found


def functions() -> dict[str, Any]:
    return {name: getattr(F, name) for name in F.__all__}


def complain(missing: list[str]) -> None:
    assert not missing, "\n" + "\n".join(missing)


# ------------------------------------------------------------------------------- functions


def test_every_family_is_gathered_in_functional() -> None:
    missing = []
    for name, module in families().items():
        public = getattr(module, "__all__", None)
        if public is None:
            missing.append(f"{name} has operations but no __all__: name its public functions there")
            continue
        missing += [
            f"{name}.{function} is not in functional: add `from {name} import *` there, or give it "
            "another name if two families have one of this name"
            for function in public
            if getattr(F, function, None) is not getattr(module, function)
        ]
    complain(missing)


def test_no_two_families_have_one_name() -> None:
    count = Counter(n for module in families().values() for n in getattr(module, "__all__", ()))
    complain(
        [f"{n} is in __all__ of {k} families: one of them hides" for n, k in count.items() if k > 1]
    )


def test_every_op_serves_a_function() -> None:
    """An op is used by a function of the package, or by the rule of another op."""
    used = set()
    for path in ROOT.rglob("*.py"):
        for node in tree_of(path).body:
            own = node.name if isinstance(node, ast.ClassDef) else ""
            used |= {name for name in names_in(node) if name != own}
    complain(
        [
            f"{op.__module__}.{op.__name__} serves no function: write one below the class "
            f"(`{op.name} = unary({op.__name__})` if it has one operand and no settings) and name "
            "it in the family's __all__"
            for op in sorted(ops_of_the_package(), key=lambda op: op.__name__)
            if op.__name__ not in used
        ]
    )


def names_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr


def test_what_unary_and_binary_make_is_public() -> None:
    missing = []
    for name, module in families().items():
        for node in tree_of(Path(str(module.__file__))).body:
            if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
                continue
            if ast.unparse(node.value.func) not in ("unary", "binary"):
                continue
            for target in node.targets:
                function = ast.unparse(target)
                if function not in module.__all__ and not function.startswith("_"):
                    missing.append(f"{name}.{function} is not in the family's __all__: add it")
    complain(missing)


def test_settings_are_slots() -> None:
    """What stands in no slot is shown in no picture and no report."""
    complain(
        [
            f"{op.__module__}.{op.__name__} has no __slots__: name its settings there, () for none"
            for op in ops_of_the_package()
            if "__slots__" not in op.__dict__
        ]
    )


def test_whoever_takes_dim_takes_axis() -> None:
    missing = []
    for name, function in functions().items():
        parameters = inspect.signature(function).parameters
        for own, word in (("dim", "axis"), ("keepdim", "keepdims")):
            if own in parameters and word not in parameters:
                missing.append(
                    f"functional.{name} takes {own} but not {word}: put @numpy_words on it"
                )
    complain(missing)


def test_methods_are_functions() -> None:
    """A method has the parameters of the function of its name, in order."""
    different = {"where", "polygamma"}  # the tensor is not the first argument
    wrong = []
    for name, value in vars(Operators).items():
        if name in F.__all__ and name not in different:
            function = list(inspect.signature(getattr(F, name)).parameters.values())
            own = list(inspect.signature(value).parameters.values())
            if [(p.name, p.default) for p in own[1:]] != [
                (p.name, p.default) for p in function[1:]
            ]:
                wrong.append(
                    f"Tensor.{name} does not take what functional.{name} takes: write "
                    f"`{name} = method(F.{name})` in operators.py, numpy_method if it takes dim"
                )
    complain(wrong)


# ------------------------------------------------------------------------------- samples


@cache
def names_in_tests() -> frozenset[str]:
    found: set[str] = set()
    for path in TESTS.rglob("*.py"):
        found |= set(names_in(ast.parse(path.read_text(encoding="utf-8"))))
    return frozenset(found)


def test_every_function_is_tested() -> None:
    """An op has to have samples (`test_ops` says so); a composition at least a test."""
    complain(
        [
            f"functional.{name} is called in no test: add a sample to tests/samples/"
            f"{function.__module__.rpartition('.')[2]}.py"
            for name, function in functions().items()
            if not {name, function.__name__} & names_in_tests()
        ]
    )


# ------------------------------------------------------------------------------- layers, names


def test_every_layer_is_gathered_in_nn() -> None:
    missing = []
    for path in sorted((ROOT / "nn").rglob("*.py")):
        module = importlib.import_module(module_name(path)) if path.stem != "__init__" else nn
        layers = [
            name
            for name, value in vars(module).items()
            if inspect.isclass(value)
            and issubclass(value, nn.Module)
            and value.__module__ == module.__name__
            and not name.startswith("_")
        ]
        missing += [
            f"{module.__name__}.{name} is not in nn: name it in the file's __all__ (and write "
            f"`from {module.__name__} import *` in nn/__init__.py)"
            for name in layers
            if getattr(nn, name, None) is not getattr(module, name)
        ]
    complain(missing)


def test_every_function_with_a_layer_in_pytorch_has_one() -> None:
    complain(
        [
            f"functional.{name} has no layer: PyTorch has nn.{layer}. Add the class to the file of "
            "its family in tinygrad_cnn/nn and to the __all__ there"
            for name in F.__all__
            for layer in table.layers_of(name)
            if not hasattr(nn, layer)
        ]
    )


def test_plain_layers_call_their_function() -> None:
    """A layer without arguments, of a function without any but the input, is that function."""
    drops = {name for name in functions() if "dropout" in name}
    # Random; random; the layer leaves the batch; the layer expects a size or a scale.
    others = {*drops, "rrelu", "flatten", "interpolate"}
    wrong, plain = [], 0
    x = np.random.default_rng(0).uniform(-3, 3, (2, 3, 4))
    for name, function in functions().items():
        first, *rest = inspect.signature(function).parameters.values()
        for layer in [getattr(nn, n) for n in table.layers_of(name) if hasattr(nn, n)]:
            settings = [*rest, *inspect.signature(layer).parameters.values()]
            if first.name == "input" and all(p.default is not p.empty for p in settings):
                plain += 1
                if name not in others and not np.array_equal(layer()(x), function(x)):
                    wrong.append(f"nn.{layer.__name__}() is not what functional.{name} is: call it")
    assert plain > 5
    complain(wrong)


def test_every_function_has_a_line_in_the_table_of_names() -> None:
    names = table.torch_names()
    known = set().union(*(found for module, found in names.items() if "optim" not in module))
    complain(
        [
            f"functional.{name} is no name of PyTorch or NumPy: use theirs, or add a line to "
            "OURS in tests/names/table.py that says what it is called there"
            for name in F.__all__
            if name not in known and not hasattr(np, name) and name not in table.OURS
        ]
    )


def test_the_table_of_names_is_true() -> None:
    names = table.torch_names()
    assert sorted(names) == sorted({*names, "torch.nn.functional", "torch.nn", "torch.optim"})
    for name in table.OURS:
        assert hasattr(F, name), f"OURS names {name}, which is not in functional"
    for name, layers in table.LAYERS.items():
        assert hasattr(F, name), f"LAYERS names {name}, which is not in functional"
        assert set(layers) <= names["torch.nn"], f"LAYERS names layers {layers} PyTorch has not"
    for path in table.ABSENT:
        module, _, name = path.rpartition(".")
        assert name in names[module], f"ABSENT names {path}, which PyTorch does not have"
        ours = {"torch.nn.functional": F, "torch.nn": nn, "torch.optim": tinygrad_cnn.optim}
        assert not hasattr(ours.get(module), name), f"ABSENT names {path}, which is here"
