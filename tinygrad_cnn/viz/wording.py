"""Numbers, shapes and settings as people read them; the same words in every view."""

from __future__ import annotations

from typing import Any

import numpy as np


def shape_text(shape: tuple[int, ...]) -> str:
    """Write a shape.

    >>> shape_text((4, 16, 28, 28)), shape_text((3,)), shape_text(())
    ('4×16×28×28', '3', 'scalar')
    """
    return "×".join(map(str, shape)) or "scalar"


def bytes_text(count: int) -> str:
    """Write a number of bytes in binary units.

    >>> bytes_text(40), bytes_text(200_704), bytes_text(5 << 20)
    ('40 B', '196.0 KiB', '5.0 MiB')
    """
    if count < 1024:
        return f"{count} B"
    size = float(count)
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if size < 1023.95:
            return f"{size:.1f} {unit}"
    return f"{size / 1024:.1f} TiB"


def count_text(count: int) -> str:
    """Write a count with three significant digits, exactly below ten thousand.

    >>> count_text(9_999), count_text(451_584), count_text(40_813_184)
    ('9,999', '452 k', '40.8 M')
    """
    if count < 10_000:
        return f"{count:,}"
    size = float(count)
    for unit in ("k", "M", "G"):
        size /= 1000
        if size < 999.5:
            return f"{size:.{2 if size < 9.995 else 1 if size < 99.95 else 0}f} {unit}"
    return f"{size / 1000:,.1f} T"


def norm_text(norm: float | None) -> str:
    """Write the norm of a gradient; None is one that nobody computed.

    >>> norm_text(0.0123456), norm_text(None)
    ('0.01235', 'not computed')
    """
    return "not computed" if norm is None else f"{norm:.4g}"


def counted(count: int, noun: str) -> str:
    """Write a count with its noun.

    >>> counted(1, "operation"), counted(12_345, "parameter")
    ('1 operation', '12.3 k parameters')
    """
    return f"{count_text(count)} {noun}{'' if count == 1 else 's'}"


def setting_text(value: Any) -> str:
    """Write a setting briefly: equal pairs as one number, arrays by what they are.

    >>> setting_text((2, 2)), setting_text(((1, 1), (1, 1))), setting_text((1, 2))
    ('2', '1', '(1, 2)')
    >>> setting_text(((0, 0), (8, 8), (0, 0)))
    '((0, 0), (8, 8), (0, 0))'
    >>> setting_text(np.zeros(3)), setting_text(slice(None, None, 2))
    ('<float64 3>', '::2')
    """
    if isinstance(value, np.ndarray):
        return f"<{value.dtype} {shape_text(value.shape)}>"
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, slice):
        ends = ("" if end is None else str(end) for end in (value.start, value.stop, value.step))
        return ":".join(ends).removesuffix(":") or ":"
    if isinstance(value, (tuple, list)):
        nested = len(value) == 2  # only then is it clear what a single number stands for
        parts = [setting_text(item) if nested else _exact(item) for item in value]
        if nested and parts[0] == parts[1] and not isinstance(value[0], slice):
            return parts[0]
        text = ", ".join(parts) + ("," if len(parts) == 1 and isinstance(value, tuple) else "")
        text = f"({text})" if isinstance(value, tuple) else f"[{text}]"
        return text if len(text) <= 60 else f"{text[:58]}…{text[-1]}"
    text = "…" if value is Ellipsis else str(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _exact(item: Any) -> str:
    """Write an element of a longer sequence as it is."""
    return str(item) if isinstance(item, tuple) else setting_text(item)
