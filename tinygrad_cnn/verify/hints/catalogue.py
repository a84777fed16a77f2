"""What each verdict and each hint looks like, what it usually is, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass

PAGE = "docs/verdicts.md"


@dataclass(frozen=True)
class Entry:
    """A row of the page.

    Attributes
    ----------
    looks
        What is seen in the numbers.
    usually
        What it usually is in the code.
    next
        What to do next.
    """

    looks: str
    usually: str
    next: str


VERDICTS = {
    "PASS": Entry(
        "the rule agrees with numeric differentiation along every direction and element compared",
        "a right rule",
        "nothing",
    ),
    "KINK": Entry(
        "at this very point there is no derivative; the rule lies between the slopes, or agrees a "
        "tiny shift away",
        "ReLU at 0, equal maxima, a blank image; √x at 0, whose slope is infinite",
        "nothing; check random numbers too if you want a PASS",
    ),
    "FAIL": Entry(
        "the rule differs from numeric differentiation where the function is smooth",
        "see the hint",
        "go to the file and line; change one thing; check again with the same seed",
    ),
    "UNSEEN": Entry(
        "no difference, but the true gradient is 0 or below rounding: one twice as large would not "
        "have been noticed",
        "saturation, a dead unit, a bias in front of a normalisation, an unused parameter",
        "check at inputs where the gradient is not 0; look whether the parameter should be used",
    ),
    "INCONCLUSIVE": Entry(
        "results are NaN or infinite, or too rough for a numeric derivative; or the gradient is "
        "NaN where the function is defined to one side only, as x·√x at 0",
        "overflow, half precision inside of forward, a function of steps",
        "check smaller inputs; compute forward in float64 while checking",
    ),
    "SKIPPED": Entry(
        "there is nothing to check, or the time was up",
        "a constant, an input without elements, `max_seconds`",
        "read the note",
    ),
}

HINTS = {
    "sign": Entry("the sign is flipped", "a − b for b − a", "look for the term's sign"),
    "times 2": Entry("twice too large", "added twice; the 2 of a square", "count who adds to it"),
    "times 1/2": Entry("half of it", "the 2 of a square forgotten", "differentiate the square"),
    "times N": Entry(
        "a count of the shapes too large", "a mean whose division is missing", "divide by it"
    ),
    "times 1/N": Entry(
        "a count of the shapes too small", "a mean in place of a sum, or divided twice", "sum"
    ),
    "factor": Entry(
        "one factor everywhere", "a scale (dropout, temperature, 1/√d) forgotten", "find the scale"
    ),
    "transposed": Entry(
        "two axes exchanged", "`x.T @ g` and `g @ w.T` mixed up", "write the shape on each line"
    ),
    "permuted": Entry(
        "axes in another order",
        "the same permutation in place of its inverse; reshape in place of transpose",
        "use `argsort` of the permutation",
    ),
    "flipped": Entry(
        "turned round along axes",
        "correlation for convolution; parts exchanged",
        "flip the filter, or do not",
    ),
    "misplaced": Entry(
        "the right numbers at the wrong elements",
        "index arithmetic: a stride, a padding or an offset left out",
        "try one window on paper: which elements does it read?",
    ),
    "reversed": Entry(
        "it runs the other way", "a running sum not turned round", "flip, sum, flip back"
    ),
    "shifted": Entry("moved by elements", "padding or an index off by one", "check the first one"),
    "last window": Entry(
        "only the last step of a loop counts", "`=` for `+=`", "start at zeros and add"
    ),
    "first window": Entry("only the first step counts", "a return inside of the loop", "dedent it"),
    "last image": Entry("only the last image counts", "`=` for `+=` over the batch", "add up"),
    "first image": Entry("only the first image counts", "`x[0]` for `x`", "use the whole batch"),
    "overlap": Entry(
        "only one of the results that read an element counts",
        "`g[index] = …` where windows overlap or indices repeat",
        "`+=`, and `np.add.at` for repeated indices",
    ),
    "diagonal": Entry(
        "only each element's effect on itself", "softmax by `y (1 − y)`", "subtract y·Σ(g·y)"
    ),
    "wrong axis": Entry("summed over other axes", "`axis=` or broadcasting", "sum what was spread"),
    "sum missing": Entry(
        "a sum over a group lacks", "softmax or norm without its second term", "add the term"
    ),
    "mean term": Entry(
        "a constant too much in each group",
        "the mean's own gradient forgotten, or N times too large",
        "subtract the mean of g",
    ),
    "variance term": Entry(
        "a multiple of x − mean too much in each group",
        "the variance's own gradient forgotten, or divided by N − 1",
        "subtract x̂ times the mean of g·x̂",
    ),
    "mask missing": Entry(
        "it passes where it must not", "ReLU, clip or dropout without its mask", "multiply by it"
    ),
    "wrong mask": Entry(
        "the mask of another array",
        "`g > 0` for `x > 0`; not inverted; a mask drawn anew",
        "mask by the input, or keep the mask",
    ),
    "ties": Entry(
        "equal maxima each get all of it", "`x == x.max()` as the mask", "the first, or share"
    ),
    "operand": Entry(
        "right for another array",
        "the wrong variable: the result for the input, a weight left out or not turned",
        "read the name that the hint gives",
    ),
    "slope": Entry(
        "each element off by a factor of its own",
        "the derivative's formula: a power, a quotient, x for y; an activation's left out",
        "differentiate again on paper; put numbers in",
    ),
    "ratios": Entry(
        "a few factors, each at some elements",
        "one branch of a case forgotten; a border counted otherwise",
        "look where the factor is not 1",
    ),
    "term missing": Entry(
        "a term g·something lacks", "a shortcut or second use not added; − y forgotten", "add it"
    ),
    "straight through": Entry(
        "the function is flat, the gradient passes",
        "a straight-through estimator",
        "if it is meant, do not check it",
    ),
    "earlier call": Entry(
        "right for another call", "something kept between calls", "keep nothing; save per call"
    ),
    "precision": Entry("right to 7 digits", "float32 inside of the rule", "keep the input's dtype"),
    "detached": Entry(
        "right by each rule, wrong as a whole", "`detach()`, `.data`, `no_grad()`", "remove it"
    ),
    "engine": Entry(
        "every rule is right when it is called alone",
        "the backward pass adds up or hands on wrongly",
        "look at the engine and at hooks, not at the operations",
    ),
}


def anchor(code: str) -> str:
    """Return the part of the page's address that stands for a verdict or a hint.

    >>> anchor("times 1/2")
    'times-12'
    """
    kept = "".join(c for c in code.lower() if c.isalnum() or c in " -")
    return kept.replace(" ", "-")


def page() -> str:
    """Return the page in Markdown, one row a verdict or hint."""
    lines = [
        *("# Verdicts and hints", ""),
        "What a report of `tinygrad_cnn.verify` says, what it usually is, and what to do next.",
        "A hint is given only if undoing it makes the measured numbers right.",
    ]
    for title, entries in (("Verdicts", VERDICTS), ("Hints", HINTS)):
        lines += [
            "",
            f"## {title}",
            "",
            f"| {title[:-1].lower()} | looks like | usually is | next |",
        ]
        lines.append("|---|---|---|---|")
        for code, entry in entries.items():
            cells = (entry.looks, entry.usually, entry.next)
            lines.append(f'| <a id="{anchor(code)}"></a>**{code}** | {" | ".join(cells)} |')
    return "\n".join(lines) + "\n"
