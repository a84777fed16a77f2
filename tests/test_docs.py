"""The guides in `docs/`: their Python runs, block after block, and prints what they say."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn
import tinygrad_cnn.functional as F
from tests.pyodide_runtime import distribution
from tinygrad_cnn.verify import gradcheck

DOCS = Path(__file__).parents[1] / "docs"
GUIDES = sorted(DOCS.glob("*.md"))
SLOW = {"start", "onnx", "reproducible"}  # trainings, other runtimes
BLOCK = re.compile(
    r"^```python\n(.*?)^```$(?:\n\n```output\n(.*?)^```$)?", re.DOTALL | re.MULTILINE
)


@pytest.mark.parametrize(
    "path",
    [pytest.param(p, id=p.stem, marks=[pytest.mark.slow] * (p.stem in SLOW)) for p in GUIDES],
)
def test_the_code_of_a_guide_runs(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = path.read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "guide"}
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start(1))
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * line + found[1], str(path), "exec"), names)
        if found[2] is not None:
            assert like(printed.getvalue(), found[2]), printed.getvalue()


COMMAND = re.compile(r"^tinygrad-cnn .*", re.MULTILINE)


def test_the_commands_of_the_guides_parse() -> None:
    """Commands with a place for something of one's own (…) are not looked at."""
    from tinygrad_cnn.cli.main import _parser

    tried = 0
    for path in (*GUIDES, DOCS.parent / "README.md"):
        for block in re.findall(r"^```sh\n(.*?)^```$", path.read_text("utf-8"), re.DOTALL | re.M):
            for command in COMMAND.findall(block):
                words = shlex.split(command, comments=True)[1:]
                if "…" not in command:
                    tried += 1
                    assert _parser().parse_args(words).command == words[0]
    assert tried > 15


def like(printed: str, recorded: str) -> bool:
    """Whether words are the same and numbers nearly; how far they are off (±), and where, not."""

    def words(text: str) -> list[str]:
        text = re.sub(r"± \S+", "±", text)
        return re.sub(r" \(\S+:\d+\)", "", text).split()

    def number(word: str) -> float | None:
        try:
            return float(word.strip("()[],;:"))
        except ValueError:
            return None

    ours, theirs = words(printed), words(recorded)
    for one, other in zip(ours, theirs, strict=False):
        a, b = number(one), number(other)
        if one != other and (a is None or b is None or abs(a - b) > 1e-3 * abs(b)):
            return False
    return len(ours) == len(theirs)


def build(*arguments: str) -> str:
    """What `docs/build.py` prints; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(DOCS / "build.py"), *arguments],
        env=os.environ | {"PYTHONPATH": str(DOCS.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_of_the_guides_are_those_of_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    import build
    from site_parts import flows, names

    named = 0
    for path in GUIDES:
        text = path.read_text(encoding="utf-8")
        named += len(build.SOURCE.findall(text))
        assert build.included(text) == text, f"{path.name}: run `python docs/build.py rules`"
    assert named >= 20
    assert names.page() == (DOCS / "pytorch_names.md").read_text(encoding="utf-8")
    for name in flows.FLOWS:
        picture = (DOCS / "pictures" / f"{name}.svg").read_text(encoding="utf-8")
        assert flows.stamp(name) in picture, f"{name}.svg: run `python docs/build.py rules`"
    assert {p.stem for p in GUIDES} == {name for group in build.guides().values() for name in group}


@pytest.mark.slow
def test_the_notebooks_mistakes_are_found_as_the_story_tells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    from site_parts import notebooks

    for name, red, said in (
        ("momentum", 4, ("mask is taken from the sign of the incoming", "only the last window")),
        ("regression", 1, ("squared_error",)),
        ("sigmoid", 1, ("flipped spatially",)),
        ("softmax", 1, ("the whole gradient is 0, while the numeric one is not",)),
    ):
        report, picture = notebooks.checked(name)
        assert all(words in str(report) for words in said), report
        assert picture.count("<b>FAIL</b>") == red
        drawn = (DOCS / "pictures" / f"notebook_{name}.svg").read_text(encoding="utf-8")
        assert drawn.count(">FAIL<") == red
    images = np.ones((1, 1, 4, 4), "float32")  # and afterwards all is as it was
    gradcheck(lambda x: F.relu(F.conv2d(x, np.ones((1, 1, 3, 3)))), images)


@pytest.fixture(scope="module")
def pyodide(tmp_path_factory: pytest.TempPathFactory) -> Path | str:
    """A Pyodide distribution with NumPy, or the reason why there is none."""
    return distribution(tmp_path_factory.mktemp("pyodide"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, pyodide: Path | str) -> Path:
    """The site, built with its links and anchors checked, in a folder with a space in its name."""
    pytest.importorskip("markdown_it", reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("a folder")
    build("site", str(folder), *(["--pyodide", str(pyodide)] if isinstance(pyodide, Path) else []))
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="the site is not tried: Playwright is not installed"
    )
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("the site is not tried: there is no Chromium on the PATH")
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.mark.slow
def test_every_public_name_is_two_clicks_away_and_nothing_is_fetched(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From any page one click leads to a module's page or to the index, which has each name."""
    monkeypatch.syspath_prepend(str(DOCS))
    text = {
        p.relative_to(site).as_posix(): p.read_text(encoding="utf-8") for p in site.rglob("*.html")
    }
    for path, page in text.items():
        assert not re.search(r'<(?:script|img|iframe|link)[^>]*(?:src|href)="https?:', page), path
    index = (site / "index.js").read_text(encoding="utf-8")
    lost = []
    for name in public_modules():
        module = importlib.import_module(name)
        path = f"api/{name}.html"
        assert f'href="{path}"' in text["index.html"], path
        for word in getattr(module, "__all__", ()):
            if isinstance(getattr(module, word), ModuleType) or word.startswith("_"):
                continue
            if f'id="{word}"' not in text[path] and f">{word}</a>" not in text[path]:
                lost.append(f"{name}.{word}")
            if f'"{name}.{word}"' not in index:
                lost.append(f"{name}.{word}, in the search")
    assert not lost
    for name in ("nn.Module.state_dict", "Tensor.backward", "torch.nn.Conv2d", "numpy.matmul"):
        assert f'"tinygrad_cnn.{name}"' in index, "methods, and names that doors look up"


def public_modules() -> set[str]:
    """The modules that users import from: packages, and files that no package hides."""
    from site_parts import reference

    listed = {f"tinygrad_cnn.{name}" for name in (*reference.PUBLIC, *reference.DOORS)}
    hidden = {f"tinygrad_cnn.{name}" for name in (*reference.INTERNALS, "cli")}
    for info in pkgutil.walk_packages(tinygrad_cnn.__path__, "tinygrad_cnn."):
        if info.ispkg and info.name.count(".") == 1 and info.name not in hidden:
            assert info.name in listed, f"{info.name} has no page: add it to reference.PUBLIC"
    return {"tinygrad_cnn", *listed}


@pytest.mark.slow
def test_the_site_in_a_browser(site: Path, browser: Any) -> None:
    page = browser.new_page(viewport={"width": 400, "height": 800})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    for name in ("index", "start", "verdicts", "pytorch", "api/tinygrad_cnn.nn"):
        page.goto((site / f"{name}.html").as_uri())
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 400, f"{name}: {wide} pixels wide on a telephone"
    page.fill("#search", "conv2d")
    page.press("#search", "Enter")
    page.wait_for_url("**/api/*#*onv2d*")
    for words, wanted in (("pth fine-tune", "weights.html"), ("Tensor.view", "#Tensor.view")):
        page.fill("#search", words)  # guides by all of their words, methods by their names
        page.wait_for_selector(f"#results li:first-child a[href*='{wanted}']")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    page.close()
    assert said == []


@pytest.mark.slow
def test_code_runs_in_the_browser(site: Path, browser: Any, pyodide: Path | str) -> None:
    """Opened as a file, with nothing fetched: what is printed is what the guide says."""
    if isinstance(pyodide, str):
        pytest.skip(pyodide)
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / "verify.html").as_uri())
    page.locator(".run button").nth(2).click()
    page.wait_for_function(
        "document.querySelector('.wrong') || "
        "document.querySelectorAll('.run span')[2].innerText.endsWith(' s')",
        timeout=120_000,
    )
    assert page.locator(".wrong").count() == 0, page.locator(".wrong").inner_text()
    for recorded, printed in page.evaluate(
        "[...document.querySelectorAll('pre.output:not(.live)')].map((e) => "
        "[e.innerText, e.previousElementSibling.previousElementSibling.innerText])"
    ):
        assert like(printed, recorded), printed
    assert page.locator(".run").count() == 3

    code = page.locator("pre.python code")
    code.nth(0).fill("open('page.html', 'w').write('<p>a page</p>')")
    page.locator(".run button").nth(0).click()
    frame = page.wait_for_selector("main iframe").content_frame()
    assert frame.wait_for_selector("p").inner_text() == "a page", "what is written is shown"
    code.nth(0).fill("print('so far')\nundefined + 1")  # what is wrong is shown, with its line
    page.locator(".run button").nth(0).click()
    wrong = page.wait_for_selector(".wrong").inner_text()
    assert "undefined + 1" in wrong
    assert wrong.endswith("NameError: name 'undefined' is not defined")
    code.nth(0).fill("while True: pass")  # and what does not end can be ended
    page.locator(".run button").nth(0).click()
    page.wait_for_function("document.querySelector('.run span').innerText.startsWith('Running')")
    page.locator(".run button").nth(0).click()
    assert page.locator(".run span").nth(0).inner_text().startswith("Stopped")
    page.close()
    assert all(url.startswith(("file:", "blob:")) for url in asked)


def test_a_folder_without_a_runtime_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    from site_parts import runtime

    with pytest.raises(
        runtime.NoRuntimeError, match=r"no Pyodide distribution, it lacks pyodide\.mjs, "
    ):
        runtime.runtime(tmp_path)
    for name in (*runtime.CORE, "pyodide.asm.mjs"):
        (tmp_path / name).write_bytes(b"")
    numpy = {"file_name": "numpy-2.whl", "sha256": "0" * 64, "depends": []}
    (tmp_path / "pyodide-lock.json").write_text(json.dumps({"packages": {"numpy": numpy}}))
    with pytest.raises(runtime.NoRuntimeError, match=r"has Pyodide and no numpy-2\.whl"):
        runtime.runtime(tmp_path)
    (tmp_path / "numpy-2.whl").write_bytes(b"another")
    with pytest.raises(runtime.NoRuntimeError, match="not the file that pyodide-lock"):
        runtime.runtime(tmp_path)
