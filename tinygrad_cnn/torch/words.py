"""What PyTorch can be told that changes nothing here, and questions with one answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.devices import check_device
from tinygrad_cnn.op import TensorBase
from tinygrad_cnn.ops.arguments import values_of
from tinygrad_cnn.random import default_generator, manual_seed

__all__ = [
    "are_deterministic_algorithms_enabled",
    "can_cast",
    "channels_last",
    "compile",
    "contiguous_format",
    "dtype",
    "e",
    "finfo",
    "get_float32_matmul_precision",
    "get_num_interop_threads",
    "iinfo",
    "inf",
    "initial_seed",
    "is_complex",
    "is_floating_point",
    "is_inference_mode_enabled",
    "is_nonzero",
    "is_storage",
    "layout",
    "memory_format",
    "nan",
    "newaxis",
    "pi",
    "preserve_format",
    "promote_types",
    "result_type",
    "seed",
    "set_default_device",
    "set_default_tensor_type",
    "set_float32_matmul_precision",
    "set_num_interop_threads",
    "set_printoptions",
    "strided",
    "typename",
    "use_deterministic_algorithms",
]

inf, nan, pi, e, newaxis = float("inf"), float("nan"), np.pi, np.e, None
strided = "strided"
contiguous_format, preserve_format, channels_last = "contiguous", "preserve", "channels_last"
dtype, layout, memory_format = np.dtype, str, str
finfo, iinfo = np.finfo, np.iinfo

_seed = [0]


def seed() -> int:
    """Seed the default generator by chance and return the seed."""
    _seed[0] = int(default_generator().integers(1 << 62))
    manual_seed(_seed[0])
    return _seed[0]


def initial_seed() -> int:
    """Return the seed that `seed` drew last."""
    return _seed[0]


def is_floating_point(input: Any) -> bool:
    """Whether a tensor holds floats."""
    return values_of(input).dtype.kind == "f"


def is_complex(input: Any) -> bool:
    """Whether a tensor holds complex numbers: never."""
    return False


def is_storage(obj: Any) -> bool:
    """Whether something is PyTorch's storage: never."""
    return False


def is_inference_mode_enabled() -> bool:
    """Whether the state that PyTorch knows as inference mode is on: here it is `no_grad`."""
    return False


def is_nonzero(input: Any) -> bool:
    """Whether the only element of a tensor is not 0."""
    return bool(input)


def promote_types(type1: Any, type2: Any) -> Any:
    """Return the type of the sum of two tensors; an integer's with a float's is the float's."""
    one, two = np.dtype(type1), np.dtype(type2)
    if one.kind == "f" and two.kind != "f":
        return one
    return two if two.kind == "f" and one.kind != "f" else np.promote_types(one, two)


def result_type(tensor1: Any, tensor2: Any) -> Any:
    """Return the type of the sum of two tensors or numbers."""
    types = [x.dtype for x in (tensor1, tensor2) if isinstance(x, TensorBase)]
    if len(types) == 2:
        return promote_types(*types)
    number = tensor1 if isinstance(tensor2, TensorBase) else tensor2
    own = types[0] if types else TensorBase.floating
    return TensorBase.floating if own.kind != "f" and isinstance(number, float) else own


def can_cast(from_: Any, to: Any) -> bool:
    """Whether one type may be converted to another: floats not to integers."""
    height = {"b": 0, "u": 1, "i": 1, "f": 2}
    return height[np.dtype(from_).kind] <= height[np.dtype(to).kind]


def typename(obj: Any) -> str:
    """Return the name of a type."""
    return str(obj.type()) if isinstance(obj, TensorBase) else type(obj).__qualname__  # type: ignore[attr-defined]


def compile(model: Any = None, **options: Any) -> Any:
    """Return the function or module itself: there is no compiler here."""
    return (lambda function: function) if model is None else model


def set_default_device(device: Any) -> None:
    """Accept the processor, the only device."""
    check_device(device)


def set_default_tensor_type(t: Any) -> None:
    """Set the default type of floats by an old name: ``torch.DoubleTensor``."""
    kinds = {"Float": np.float32, "Double": np.float64, "Half": np.float16}
    word = t if isinstance(t, str) else t.__name__
    found = kinds.get(word.rpartition(".")[2].removesuffix("Tensor"))
    if found is None:
        raise TypeError(f"set_default_tensor_type: expects a type of floats, got {word}")
    TensorBase.floating = np.dtype(found)


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Accept: one seed and one number of threads give the same bits here in any case."""


def are_deterministic_algorithms_enabled() -> bool:
    """Whether results are the same each time: they are."""
    return True


def set_float32_matmul_precision(precision: str) -> None:
    """Accept: products of float32 are computed in float32."""


def get_float32_matmul_precision() -> str:
    """Return "highest": products of float32 are computed in float32."""
    return "highest"


def set_num_interop_threads(num: int) -> None:
    """Accept: operations run one after the other here."""


def get_num_interop_threads() -> int:
    """Return 1: operations run one after the other here."""
    return 1


def set_printoptions(
    precision: int | None = None,
    threshold: int | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Say how numbers are shown: NumPy's options of these names."""
    np.set_printoptions(precision, threshold, edgeitems, linewidth, suppress=sci_mode is False)
