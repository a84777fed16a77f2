"""The page's colours, light and dark: in light those of the pictures, kind by kind."""

from __future__ import annotations

from collections.abc import Iterator

from tinygrad_cnn.viz.dot import LOOKS, VERDICT_COLOURS

# In the dark, fill and border: the same hues, with the light moved from the fill to the border.
DARK_LOOKS = {
    "input": ("#16324d", "#6fb1ee"),
    "parameter": ("#2e2450", "#ab8df0"),
    "buffer": ("#12393a", "#5cc2b8"),
    "constant": ("#33302a", "#b3aa96"),
    "op": ("#232b38", "#8694a8"),
    "loss": ("#4a1a33", "#f07fb2"),
    "module": ("#2b3546", "#a7b6ca"),
    "rule": ("#3b2a18", "#eda25c"),
    "seed": ("#4a3017", "#eda25c"),
    "gradient": ("#4a3017", "#eda25c"),
}
DARK_VERDICTS = {
    "PASS": ("#15402a", "#62cc86"),
    "FAIL": ("#6b1a18", "#ff8d84"),
    "KINK": ("#4a3908", "#f0c24a"),
    "INCONCLUSIVE": ("#3a3c48", "#b9bbc9"),
    "UNSEEN": ("#23303a", "#8fa3ad"),
    "SKIPPED": ("#1a202b", "#7f8896"),
}


def colour_styles() -> str:
    """Return the colours of all kinds and verdicts as CSS variables.

    >>> colour_styles().splitlines()[0]
    '--input-fill: light-dark(#cfe5fb, #16324d); --input-line: light-dark(#2367a8, #6fb1ee);'
    """
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    light = {kind: (look.fill, look.border) for kind, look in LOOKS.items()}
    for pale, dark in ((light, DARK_LOOKS), (VERDICT_COLOURS, DARK_VERDICTS)):
        for name, (fill, line) in pale.items():
            fills, lines = f"{fill}, {dark[name][0]}", f"{line}, {dark[name][1]}"
            yield f"--{name}-fill: light-dark({fills}); --{name}-line: light-dark({lines});"
