"""How the package is built: imports run down the floors, functions stay short, nothing executes.

Begin with `FLOORS`: a part imports from its own floor and from those below.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import printed, python
from tests.sources import (
    FILES,
    NAME,
    REPOSITORY,
    ROOT,
    imported,
    let_go,
    name_of,
    nodes_for_types,
    none,
    own_imports,
    top,
    tree_of,
    walked,
)

# From the bottom; what stands on one line is one floor. A module may import from its own floor and
# from those below.
FLOORS: list[tuple[str, ...]] = [
    ("types", "sizes", "devices", "watching"),
    ("atomic", "npz", "pt", "kernels", "random"),
    ("graph",),
    ("detaching", "inplace", "saving"),
    ("deferring",),
    ("joining",),
    ("base",),
    ("operands",),
    ("op",),
    ("dtypes",),
    ("ops", "rules"),
    ("functional", "linalg"),
    ("ownership",),
    ("anomaly", "engine"),
    ("autograd", "conversion", "copying", "deferred", "modes", "views", "writing"),
    ("dispatch",),
    ("arithmetic", "operators", "protocols", "assigning", "updating", "describing", "converting"),
    ("tensor",),
    ("creation", "drawing", "generators", "function"),
    ("nn",),
    ("func", "checkpointing"),
    ("capturing", "optim", "storing"),
    ("data",),
    ("models",),
    ("distributed",),
    ("verify", "viz", "report"),
    ("training",),
    ("numpy", "onnx", "torch", "torchvision"),
    ("cli", "__main__"),
]
FLOOR = {name: height for height, names in enumerate(FLOORS) for name in names}

# The rooms of `kernels`, from the bottom: each imports from itself and from those below. Above them
# all, nothing in `kernels`.
ROOMS = ("runtime", "pointwise", "reduce", "pool", "resample", "conv", "norm")

# The walk over the graph knows what an operation is, and no operation.
ENGINE = ("engine", "ownership", "rules")

# Numbers in `kernels` that no measurement found: of mathematics, of C headers, and of shapes.
FOUND_BY_NOBODY = {
    "pointwise/special.py": None,  # all of them
    "conv/winograd.py": {"_POINTS"},
    "conv/tiles.py": {"ONE"},
    "runtime/memory.py": {"_TRIM_THRESHOLD", "_MMAP_THRESHOLD", "_LINE"},
}

# `data` stands apart: it knows arrays, generators and tensors, no layers.
ALONE = {"data": {"atomic", "npz", "ops", "random", "tensor", "types"}}

# Names for annotations that would point up if they were imported at run time.
UPWARD_TYPES = {
    ("detaching", "op"),
    ("base", "op"),
    ("deferring", "base"),
    ("deferring", "op"),
    ("graph", "base"),
    ("graph", "op"),
    ("joining", "op"),
    ("operands", "op"),
    ("saving", "op"),
    ("types", "base"),
    ("types", "op"),
}

# What is imported where it is used: it is optional, or slow to load and seldom needed.
LATE = {
    *("graphviz", "graphviz_pure", "http", "matplotlib", "mpi4py", "PIL", "safetensors"),
    *("threadpoolctl", "tqdm", "urllib"),
}

HEAVY = LATE - {"http", "urllib"} | {"pytest", "scipy"}

# Nothing else imports the command, so a late import there hides no circle; --help stays quick.
LATE_PARTS = {"cli"}

# What speaks to the user; everything else returns, raises or warns.
PRINTING_PARTS = {"cli", "__main__"}
PRINTING_FILES = {"training/terminal.py"}


@pytest.fixture(scope="module", autouse=True)
def trees_are_let_go() -> Iterator[None]:
    yield
    let_go()


# ------------------------------------------------------------------------------- the floors


def test_every_part_has_a_floor() -> None:
    parts = {top(path) for path in FILES} - {""}
    assert parts <= FLOOR.keys(), f"no floor for {sorted(parts - FLOOR.keys())}"
    book = (REPOSITORY / "CONTRIBUTING.md").read_text("utf-8")
    none(
        f"{part} has no line in the table of floors in CONTRIBUTING.md"
        for part in sorted(parts - {"__main__"})
        if f"`{part}`" not in book and f"`{part}/`" not in book
    )


def test_imports_run_down_the_floors() -> None:
    def wrong(path: Path) -> Iterator[str]:
        part = top(path)
        if part == "":
            return  # the package's face gathers from everywhere
        for other, for_types in own_imports(path):
            if for_types and (part, other) in UPWARD_TYPES:
                continue
            if other == "*" and part == "torch":
                continue  # the door shows the package's face
            if other not in FLOOR:
                yield f"{name_of(path)} imports {other}, which has no floor"
            elif FLOOR[other] > FLOOR[part]:
                yield f"{name_of(path)} imports {other} from above"
            elif part in ALONE and other != part and other not in ALONE[part]:
                yield f"{name_of(path)} imports {other}; {part} stands apart"

    none(said for path in FILES for said in wrong(path))


def test_the_engine_imports_no_operation() -> None:
    none(
        f"{name_of(path)} imports {other}: enter what it needs of operations into `op.adapters`"
        for path in FILES
        if top(path) in ENGINE
        for other, _ in own_imports(path)
        if FLOOR[other] > FLOOR["op"] and other not in ENGINE
    )


def test_rooms_of_kernels_stand_on_each_other() -> None:
    folders = {
        path.name for path in (ROOT / "kernels").iterdir() if (path / "__init__.py").exists()
    }
    assert folders == set(ROOMS), "kernels: rooms that ROOMS does not name, or the other way round"
    for path in (ROOT / "kernels").rglob("*.py"):
        room = path.relative_to(ROOT / "kernels").parts[0]
        if room not in ROOMS:
            assert room == "__init__.py", f"kernels/{room} stands in no room"
            continue
        for node in walked(path):
            for name in imported(node):
                if name.startswith(f"{NAME}.kernels."):
                    other = name.split(".")[2]
                    assert other in ROOMS, f"{room}/{path.name} imports {name}"
                    height = ROOMS.index(other)
                    assert height <= ROOMS.index(room), f"{room}/{path.name} imports {name}"


def numbers_of(path: Path) -> Iterator[str]:
    """Names in capitals that a module gives to numbers."""
    for node in tree_of(path).body:
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)]
        inner = list(ast.walk(node.value))
        is_plain = not any(isinstance(n, (ast.Name, ast.Attribute)) for n in inner)
        if is_plain and any(type(getattr(n, "value", "")) in (int, float) for n in inner):
            yield from (name for name in names if name.isupper())


def test_what_was_found_by_measuring_is_in_one_file() -> None:
    """With what it was measured on; whoever has another machine looks there."""

    def wrong(path: Path) -> Iterator[str]:
        place = path.relative_to(ROOT / "kernels").as_posix()
        exempt = FOUND_BY_NOBODY.get(place, set())
        if place != "runtime/tuning.py" and exempt is not None:
            for name in numbers_of(path):
                if name not in exempt:
                    yield f"kernels/{place}: {name} belongs into runtime/tuning.py"

    none(said for path in sorted((ROOT / "kernels").rglob("*.py")) for said in wrong(path))
    tuning = ROOT / "kernels" / "runtime" / "tuning.py"
    body = tree_of(tuning).body
    none(
        f"tuning.py: {ast.unparse(node)} has no docstring"
        for node, following in zip(body, [*body[1:], None], strict=True)
        if isinstance(node, ast.Assign) and not isinstance(following, ast.Expr)
    )
    names = list(numbers_of(tuning))
    assert {"BLOCK", "CHAIN"} <= set(names)
    none(
        f"tuning.py: {name} is set twice, and the later holds for all"
        for name in {*names}
        if names.count(name) > 1
    )


def test_imports_are_absolute() -> None:
    none(
        f"{name_of(path)}: {ast.unparse(node)}"
        for path in FILES
        for node in walked(path)
        if isinstance(node, ast.ImportFrom) and node.level
    )


def test_no_private_name_is_imported() -> None:
    """A family, a layer or a part uses of another what it offers."""

    def is_private(name: str) -> bool:
        return name.startswith("_") and not name.startswith("__")

    def wrong(path: Path) -> Iterator[str]:
        modules = set()
        for node in walked(path):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(NAME):
                for alias in node.names:
                    if is_private(alias.name):
                        yield f"{name_of(path)} imports {alias.name} of {node.module}"
                    module = REPOSITORY.joinpath(*str(node.module).split("."), alias.name)
                    if module.is_dir() or module.with_suffix(".py").exists():
                        modules.add(alias.asname or alias.name)
        for node in walked(path):
            if not isinstance(node, ast.Attribute) or not is_private(node.attr):
                continue
            if ast.unparse(node.value) in modules:
                yield f"{name_of(path)} reads {ast.unparse(node)}"

    none(f"{said}: name it without the _" for path in FILES for said in wrong(path))


def test_layers_import_no_kernel() -> None:
    guilty = [
        str(path.relative_to(ROOT))
        for path in FILES
        if top(path) == "nn" and "kernels" in {part for part, _ in own_imports(path)}
    ]
    assert not guilty, f"{guilty} import kernels: call functional, or write an operation"


def test_the_data_of_a_graph_know_no_drawing() -> None:
    """`Graph`, which saves and shows itself, stands above both."""
    above = {"collect", "dot", "model", "page", "render", "summary", "text", "view"}
    none(
        f"{name_of(path)} imports viz.{name}: what is drawn knows nothing of who draws"
        for path in (ROOT / "viz" / "data.py", ROOT / "viz" / "statistics.py")
        for node in walked(path)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{NAME}.viz")
        for name in (*str(node.module).split("."), *(alias.name for alias in node.names))
        if name in above
    )


def test_no_late_imports() -> None:
    none(
        f"{name_of(path)} imports {name} inside of a function"
        for path in FILES
        if top(path) not in LATE_PARTS
        for function in walked(path)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for node in ast.walk(function)
        for name in imported(node)
        if name.split(".")[0] not in LATE
    )


def test_modules_of_one_floor_form_no_cycle() -> None:
    """In pictures not even through what is imported for annotations."""
    edges: dict[str, set[str]] = {}
    for path in FILES:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        edges[module] = set()
        for_types = nodes_for_types(path)
        for node in walked(path):
            if not isinstance(node, ast.ImportFrom):
                continue
            if id(node) in for_types and top(path) != "viz":
                continue
            if node.module and node.module.split(".")[0] == NAME:
                base = node.module.removeprefix(NAME).lstrip(".")
                edges[module] |= {f"{base}.{a.name}".lstrip(".") for a in node.names} | {base}
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, f"imports in a circle: {' -> '.join((*way, module))}"
        if module in done or module not in edges:
            return
        for other in edges[module]:
            visit(other, (*way, module))
        done.add(module)

    for module in edges:
        visit(module, ())


# A module is a shortcut into the package: each must be importable first, in a fresh interpreter.
@pytest.mark.parametrize(
    "part", ["ops.conv.convolution", "engine", "nn", "optim", "data", "functional"]
)
def test_a_part_can_be_imported_first(part: str) -> None:
    done = python("-W", "error", "-c", f"import {NAME}.{part}")
    assert done.returncode == 0, done.stderr


def test_importing_the_package_loads_nothing_heavy_and_opens_no_door() -> None:
    program = f"""
import sys, threading, {NAME}
heavy = {sorted(HEAVY)}
print([name for name in heavy if name in sys.modules], threading.active_count())
import {NAME}.data, {NAME}.training
doors = ("{NAME}.numpy", "{NAME}.torch", "{NAME}.onnx")
print([name for name in sys.modules if name.startswith(doors)])
"""
    assert printed(program) == "[] 1\n[]\n"


# ------------------------------------------------------------------------------- what is written to


def test_whoever_says_what_was_written_to_said_so_before() -> None:
    """What waits to be computed from that memory is computed before: see `deferring`."""
    # A tensor's `data` computed it when it handed the array out, which its setter gets back.
    exempt = {("tensor.py", "data")}

    def lines(function: ast.AST, name: str) -> list[int]:
        calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
        return [c.lineno for c in calls if isinstance(c.func, ast.Name) and c.func.id == name]

    def writes(path: Path) -> bool:
        return any(
            isinstance(node, ast.ImportFrom)
            and node.module == f"{NAME}.inplace"
            and any(alias.name == "changed" for alias in node.names)
            for node in walked(path)
        )

    def wrong() -> Iterator[str]:
        for path in filter(writes, FILES):
            for node in walked(path):
                if not isinstance(node, ast.FunctionDef) or (name_of(path), node.name) in exempt:
                    continue
                after, before = lines(node, "changed"), lines(node, "before_writing")
                late = any(b > a for a, b in zip(sorted(after), sorted(before), strict=False))
                if len(after) > len(before) or late:
                    yield f"{name_of(path)}: {node.name} calls changed() without before_writing()"

    none(wrong())


# ------------------------------------------------------------------------------- functions


def length_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines after the docstring."""
    body = function.body
    documented = ast.get_docstring(function, clean=False) is not None
    first = body[1] if documented and len(body) > 1 else body[0]
    return (function.end_lineno or 0) - first.lineno + 1


def test_functions_are_short() -> None:
    none(
        f"{name_of(path)}: {node.name} has {length_of(node)} lines after its docstring: 60 at most"
        for path in FILES
        for node in walked(path)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and length_of(node) > 60
    )


EXECUTING = {"pickle", "cPickle", "dill", "shelve", "marshal", "joblib", "cloudpickle"}


def test_no_pickle_and_no_eval() -> None:
    def wrong(node: ast.AST) -> Iterator[str]:
        yield from (f"imports {n}" for n in imported(node) if n.split(".")[0] in EXECUTING)
        if isinstance(node, ast.Call):
            if ast.unparse(node.func) in ("eval", "exec"):
                yield f"calls {ast.unparse(node.func)} on line {node.lineno}"
            for keyword in node.keywords:
                value = keyword.value
                refused = isinstance(value, ast.Constant) and not value.value
                if keyword.arg == "allow_pickle" and not refused:
                    yield f"allows pickles on line {node.lineno}"

    none(f"{name_of(p)} {said}" for p in FILES for node in walked(p) for said in wrong(node))


def test_only_the_command_and_reports_print() -> None:
    none(
        f"{name_of(path)}: print() on line {node.lineno}"
        for path in FILES
        if top(path) not in PRINTING_PARTS and name_of(path) not in PRINTING_FILES
        for node in walked(path)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    )
