"""`device`: where a tensor lies. There is one place, the processor's memory."""

from __future__ import annotations

from typing import Any

__all__ = ["CPU", "check_device", "device", "is_device"]

_OTHERS = ("cuda", "mps", "xpu", "xla", "meta", "hpu", "mtia", "ipu", "privateuseone", "vulkan")


class device:  # noqa: N801  # PyTorch's name
    """Where tensors lie and are computed: ``device("cpu")`` is the only one.

    Parameters
    ----------
    type
        ``"cpu"``, perhaps with a number (``"cpu:0"``), or a device.
    index
        0 or None.

    Raises
    ------
    ValueError
        If it is another device.

    >>> device("cpu"), str(device("cpu")), device("cpu").type
    (device(type='cpu'), 'cpu', 'cpu')
    >>> device("cuda")
    Traceback (most recent call last):
    ValueError: device: expects 'cpu', got 'cuda': this package computes with NumPy, on the ...
    """

    __slots__ = ("index", "type")
    index: int | None
    type: str

    def __init__(self, type: Any = "cpu", index: int | None = None) -> None:
        if isinstance(type, device):
            type, index = type.type, type.index
        kind, colon, number = str(type).partition(":")
        if colon and number.isdecimal():
            index = int(number)
        if kind != "cpu" or (colon and not number.isdecimal()) or index not in (None, 0):
            shown = type if index is None or colon else f"{type}:{index}"
            raise ValueError(
                f"device: expects 'cpu', got {str(shown)!r}: this package computes with NumPy, on "
                "the processor alone; write device = 'cpu', or ask cuda.is_available() first"
            )
        self.type = "cpu"
        self.index = index

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type={self.type!r}{index})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and self.index == other.index

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __enter__(self) -> device:
        return self  # everything inside is made there in any case

    def __exit__(self, *_: object) -> None: ...


CPU = device("cpu")


def is_device(value: Any) -> bool:
    """Whether a value names a device, this one or another."""
    if isinstance(value, str):
        return value.partition(":")[0] in ("cpu", *_OTHERS)
    return isinstance(value, device)


def check_device(value: Any) -> None:
    """Raise unless a value is None or the device that there is.

    Raises
    ------
    ValueError
        If it is another.
    """
    if value is not None:
        device(f"cuda:{value}" if isinstance(value, int) else value)
