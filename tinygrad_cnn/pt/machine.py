"""The machine that runs a pickle: the instructions that data need, and nothing else."""

from __future__ import annotations

import math
import pickletools
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from tinygrad_cnn.types import Array

__all__ = ["Machine", "Refused", "Storage", "Wrap", "as_storage", "itemsize"]

Wrap = Callable[[Array, bool], Any]

_LONGEST_NUMBER = 64  # bytes of an integer

# What the types of PyTorch's storages are here; bfloat16 is widened to float32, which it begins.
_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
_DTYPES = {*_STORAGES.values(), "uint16", "uint32", "uint64"}
_SIZES = {"bfloat16": 2}


class _Name(NamedTuple):
    """A function or class that the file asks for, by name: nothing is imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Storage(NamedTuple):
    """Numbers of one type as they are in the file."""

    dtype: str
    array: Array


def itemsize(dtype: str) -> int:
    """Return the bytes of a number of a type as it is in a file."""
    return _SIZES.get(dtype) or np.dtype(dtype).itemsize


def as_storage(dtype: str, raw: bytearray, big: bool) -> Storage:
    """Return bytes as numbers, in this machine's order."""
    if len(raw) % itemsize(dtype):
        raise Refused(f"a storage of {len(raw)} bytes does not hold whole numbers of {dtype}")
    stored = np.dtype("uint16" if dtype == "bfloat16" else dtype)
    array = np.frombuffer(raw, stored.newbyteorder(">" if big else "<"))
    if not array.dtype.isnative:
        array = array.astype(stored)
    if dtype == "bfloat16":  # the upper half of a float32
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return Storage(dtype, array)


class Refused(Exception):  # noqa: N818  # it never leaves this file
    """The file asks for something that is not done."""


_MARK = object()


class Machine:
    """The instructions of pickle that data need, and those functions that make tensors."""

    def __init__(
        self, storage: Callable[[str, str, int], Storage], wrap: Wrap | None, big: bool = False
    ) -> None:
        self.storage = storage
        self.wrap = wrap
        self.big = big  # whether the file's bytes are in the order that is rare today
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, file: BinaryIO) -> Any:
        """Run one pickle, up to its STOP, and return what it built."""
        self.stack, self.memo = [], {}
        for instruction, argument, _ in pickletools.genops(file):
            name = instruction.name
            if name == "STOP":
                return self.stack.pop()
            if name in _PUSHES:
                self.stack.append(argument)
            else:
                step = _STEPS.get(name)
                if step is None:
                    raise Refused(f"the instruction {name} is none of those that data need")
                step(self, argument)
        raise Refused("it is cut short")

    def since_mark(self) -> list[Any]:
        """Take what was pushed since the last mark."""
        for index in range(len(self.stack) - 1, -1, -1):
            if self.stack[index] is _MARK:
                items = self.stack[index + 1 :]
                del self.stack[index:]
                return items
        raise Refused("a mark is missing")

    # Each instruction takes its argument from the file.

    def _constant(self, value: Any) -> None:
        self.stack.append(value)

    def _integer(self, value: int) -> None:
        if value.bit_length() > 8 * _LONGEST_NUMBER:
            raise Refused("it holds an integer that is too large")
        self.stack.append(value)

    def _pop(self, _: Any) -> None:
        self.stack.pop()

    def _build_tuple(self, count: int | None) -> None:
        if count is None:
            items = self.since_mark()
        else:
            items = self.stack[len(self.stack) - count :]
            if len(items) != count or any(item is _MARK for item in items):
                raise Refused("a tuple is cut short")
            del self.stack[len(self.stack) - count :]
        self.stack.append(tuple(items))

    def _build_list(self, _: Any) -> None:
        self.stack.append(self.since_mark())

    def _build_dict(self, _: Any) -> None:
        items = self.since_mark()
        self.stack.append({})
        self._update(items)

    def _extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise Refused("it appends to something that is no list")
        target.extend(items)

    def _append(self, _: Any) -> None:
        item = self.stack.pop()
        self._extend([item])

    def _appends(self, _: Any) -> None:
        self._extend(self.since_mark())

    def _add_items(self, _: Any) -> None:
        items = self.since_mark()
        target = self.stack[-1]
        if type(target) is not set:
            raise Refused("it adds to something that is no set")
        target.update(map(_key, items))

    def _update(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) not in (dict, OrderedDict):
            raise Refused("it assigns to keys of something that is no dict")
        target.update(zip(map(_key, items[::2]), items[1::2], strict=True))

    def _set_item(self, _: Any) -> None:
        value = self.stack.pop()
        key = self.stack.pop()
        self._update([key, value])

    def _set_items(self, _: Any) -> None:
        self._update(self.since_mark())

    def _put(self, key: int | None) -> None:
        self.memo[len(self.memo) if key is None else key] = self.stack[-1]

    def _get(self, key: int) -> None:
        self.stack.append(self.memo[key])

    def _look_up(self, words: str) -> None:
        module, _, name = words.partition(" ")
        self.stack.append(_known(module, name))

    def _look_up_stacked(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(_known(str(module), str(name)))

    def _call(self, _: Any) -> None:
        arguments = self.stack.pop()
        function = self.stack.pop()
        self.stack.append(self.apply(function, arguments))

    def apply(self, function: Any, arguments: Any) -> Any:
        """Call one of the functions that are allowed."""
        rebuild = _FUNCTIONS.get(function) if isinstance(function, _Name) else None
        if rebuild is None or not isinstance(arguments, tuple):
            shown = function if isinstance(function, _Name) else type(function).__name__
            raise Refused(f"it calls {shown}, which rebuilds no tensor")
        return rebuild(self, *arguments)

    def _set_state(self, _: Any) -> None:
        state = self.stack.pop()
        # A state_dict keeps versions of its modules beside its entries: nothing here reads them.
        if type(self.stack[-1]) is not OrderedDict or not isinstance(state, dict):
            raise Refused("it sets attributes of an object, which data have no need of")

    def _find_storage(self, _: Any) -> None:
        word, kind, key, _, count = self.stack.pop()[:5]
        if word != "storage" or not isinstance(kind, _Name) or type(count) is not int or count < 0:
            raise Refused("a storage is described in a way that is not known")
        if kind.name == "UntypedStorage" and self.big:
            raise Refused("it holds bytes of a type unsaid, in the order of another machine")
        # UntypedStorage counts bytes; the tensor says what they are.
        self.stack.append(self.storage(_STORAGES.get(kind.name, "uint8"), str(key), count))

    # The functions that a file may call.

    def rebuild_tensor(
        self,
        storage: Any,
        offset: int,
        size: tuple[int, ...],
        stride: tuple[int, ...],
        requires_grad: bool = False,
        *_: Any,
    ) -> Any:
        """Put a tensor together: a view of its storage."""
        if not isinstance(storage, Storage):
            raise Refused("a tensor has no storage")
        numbers = (offset, *size, *stride)
        if any(type(n) is not int or n < 0 for n in numbers) or len(size) != len(stride):
            raise Refused(f"a tensor has the shape {size} and the strides {stride}")
        array = storage.array
        last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
        if math.prod(size) and last >= array.size:
            raise Refused(f"a tensor of shape {size} reaches beyond its storage")
        if not math.prod(size):
            view = np.empty(size, array.dtype)
        else:
            bytes_apart = [s * array.itemsize for s in stride]
            view = np.lib.stride_tricks.as_strided(array[offset:], size, bytes_apart)
        return view if self.wrap is None else self.wrap(view, bool(requires_grad))

    def rebuild_typed(self, storage: Any, *arguments: Any) -> Any:
        """Put a tensor of an untyped storage together; its dtype is the seventh argument."""
        *others, kind = arguments[:6]
        if not isinstance(storage, Storage) or not isinstance(kind, _Name):
            raise Refused("a tensor has no storage or no dtype")
        dtype = _dtype_of(kind)
        return self.rebuild_tensor(Storage(dtype, storage.array.view(dtype)), *others[:4])

    def rebuild_parameter(self, tensor: Any, *_: Any) -> Any:
        """Return a parameter: its tensor."""
        return tensor

    def rebuild_from_type(self, function: Any, _: Any, arguments: Any, __: Any) -> Any:
        """Return a tensor with attributes of its own, without them."""
        return self.apply(function, arguments)

    def ordered(self, items: Any = ()) -> Any:
        """Return an ordered dict."""
        return OrderedDict((_key(key), value) for key, value in items)

    def size(self, sizes: Any = ()) -> Any:
        """Return a shape."""
        return tuple(sizes)

    def new_set(self, items: Any = ()) -> Any:
        """Return a set."""
        return set(map(_key, items))

    def device(self, *words: Any) -> str:
        """Return a device as its name."""
        return ":".join(map(str, words))


def _dtype_of(kind: _Name) -> str:
    if kind.name not in _DTYPES or kind.name in _SIZES:
        raise Refused(f"it holds numbers of {kind}")
    return kind.name


def _key(key: Any) -> Any:
    """Return a key of a dict: hashing something deeply nested would break the interpreter."""
    if key is not None and type(key) not in (str, int, float, bool, _Name):
        raise Refused(f"a key is a {type(key).__name__}")
    return key


_PUSHES = {
    "BINFLOAT",
    "FLOAT",
    "BININT",
    "BININT1",
    "BININT2",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE8",
    "UNICODE",
    "BINSTRING",
    "SHORT_BINSTRING",
    "STRING",
    "BINBYTES",
    "SHORT_BINBYTES",
}

_STEPS: dict[str, Callable[[Machine, Any], None]] = {
    "PROTO": lambda _machine, _: None,
    "FRAME": lambda _machine, _: None,
    "INT": Machine._integer,
    "LONG": Machine._integer,
    "LONG1": Machine._integer,
    "LONG4": Machine._integer,
    "NONE": lambda machine, _: machine._constant(None),
    "NEWTRUE": lambda machine, _: machine._constant(True),
    "NEWFALSE": lambda machine, _: machine._constant(False),
    "EMPTY_DICT": lambda machine, _: machine._constant({}),
    "EMPTY_LIST": lambda machine, _: machine._constant([]),
    "EMPTY_TUPLE": lambda machine, _: machine._constant(()),
    "EMPTY_SET": lambda machine, _: machine._constant(set()),
    "MARK": lambda machine, _: machine._constant(_MARK),
    "POP": Machine._pop,
    "POP_MARK": lambda machine, _: machine.since_mark().clear(),
    "TUPLE": lambda machine, _: machine._build_tuple(None),
    "TUPLE1": lambda machine, _: machine._build_tuple(1),
    "TUPLE2": lambda machine, _: machine._build_tuple(2),
    "TUPLE3": lambda machine, _: machine._build_tuple(3),
    "LIST": Machine._build_list,
    "DICT": Machine._build_dict,
    "APPEND": Machine._append,
    "APPENDS": Machine._appends,
    "ADDITEMS": Machine._add_items,
    "SETITEM": Machine._set_item,
    "SETITEMS": Machine._set_items,
    "BINPUT": Machine._put,
    "LONG_BINPUT": Machine._put,
    "MEMOIZE": Machine._put,
    "BINGET": Machine._get,
    "LONG_BINGET": Machine._get,
    "GLOBAL": Machine._look_up,
    "STACK_GLOBAL": Machine._look_up_stacked,
    "REDUCE": Machine._call,
    "NEWOBJ": Machine._call,
    "BUILD": Machine._set_state,
    "BINPERSID": Machine._find_storage,
}

_FUNCTIONS: dict[_Name, Callable[..., Any]] = {
    _Name("torch._utils", "_rebuild_tensor"): Machine.rebuild_tensor,
    _Name("torch._utils", "_rebuild_tensor_v2"): Machine.rebuild_tensor,
    _Name("torch._utils", "_rebuild_tensor_v3"): Machine.rebuild_typed,
    _Name("torch._utils", "_rebuild_parameter"): Machine.rebuild_parameter,
    _Name("torch._utils", "_rebuild_parameter_with_state"): Machine.rebuild_parameter,
    _Name("torch._tensor", "_rebuild_from_type_v2"): Machine.rebuild_from_type,
    _Name("collections", "OrderedDict"): Machine.ordered,
    _Name("torch", "Size"): Machine.size,
    _Name("torch", "device"): Machine.device,
    _Name("builtins", "set"): Machine.new_set,
    _Name("__builtin__", "set"): Machine.new_set,
}

# Names that stand for types, and are never called.
_TYPES = {
    *(_Name("torch", name) for name in (*_STORAGES, *_DTYPES)),
    _Name("torch.storage", "UntypedStorage"),
    _Name("torch", "Tensor"),
    _Name("torch.nn.parameter", "Parameter"),
}


def _known(module: str, name: str) -> _Name:
    """Return a name that a file may ask for."""
    asked = _Name(module, name)
    if asked not in _FUNCTIONS and asked not in _TYPES:
        raise Refused(
            f"it asks for {asked}, which is not needed to rebuild tensors; in PyTorch, save "
            "model.state_dict() alone"
        )
    return asked
