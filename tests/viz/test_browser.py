"""The interactive page in a real browser, opened from disk, with every request watched."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest

from tests.viz.wrong import wrong_network
from tinygrad_cnn import tensor
from tinygrad_cnn.models import ResNet20
from tinygrad_cnn.viz import graph, page

playwright = pytest.importorskip(
    "playwright.sync_api", reason="the page is not tried: Playwright is not installed"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="the page is not tried: there is no Chromium on the PATH"
    ),
]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
SIZES = {"desktop": (1440, 900), "tablet": (820, 1180), "phone": (390, 844)}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pages: of a network with a wrong rule, forward and backward, of ResNet-20, of chains."""
    path = tmp_path_factory.mktemp("pages")
    model, loss, report = wrong_network()
    loss.backward(retain_graph=True)
    options = {"model": model, "verdicts": report, "statistics": True}
    graph(loss, **options).html(path / "wrong.html")
    graph(loss, backward=True, **options).html(path / "backward.html")
    sections = "".join(page.section(graph(loss, **options), id) for id in ("one", "two"))
    (path / "sections.html").write_text(f"<!DOCTYPE html><meta charset=utf-8>{sections}", "utf-8")
    resnet = ResNet20()
    logits = resnet(tensor(np.ones((2, 3, 32, 32), np.float32), name="images"))
    graph(logits.sum(), model=resnet, backward=True).html(path / "resnet.html")
    for length in (1_000, 10_000):
        x = tensor([1.0, 2.0], requires_grad=True, name="x")
        y = x
        for i in range(length):
            y = y * 1.5 if i % 2 else y.tanh()
        graph(y.sum(), fold=False).html(path / f"chain{length}.html")
    return path


@pytest.fixture(scope="module")
def tab(browser):
    """A tab for each choice of options: another page in it costs a fifth of another tab."""
    opened = {}

    def tab(**options):
        key = tuple(options.items())
        if key not in opened:
            opened[key] = browser.new_context(**options).new_page()
            opened[key].set_default_timeout(20_000)
        return opened[key]

    return tab


@pytest.fixture
def visit(tab, folder):
    """Open a page; at the end nothing was fetched, and the console stayed empty."""
    visits, errors, requests = [], [], []
    listeners = {
        "console": lambda message: errors.append(message.text),
        "pageerror": lambda error: errors.append(str(error)),
        "request": lambda request: requests.append(request.url),
    }

    def open_(name, size="desktop", scheme="light", motion="no-preference", **options):
        shown = tab(**options)
        if shown not in visits:
            for event, listener in listeners.items():
                shown.on(event, listener)
        visits.append(shown)
        width, height = SIZES[size]
        shown.set_viewport_size({"width": width, "height": height})
        shown.emulate_media(color_scheme=scheme, reduced_motion=motion)
        shown.mouse.move(0, 0)
        shown.goto((folder / f"{name}.html").as_uri())
        shown.wait_for_selector("section[data-ready=true]")
        return shown

    yield open_
    for shown in dict.fromkeys(visits):  # nothing of this page is left to the next
        for event, listener in listeners.items():
            shown.remove_listener(event, listener)
        shown.evaluate("localStorage.clear()")
        shown.goto("about:blank")
    assert errors == []
    assert all(re.match(r"file://\S+/\w+\.html$", url) for url in requests), requests
    assert len(requests) == len(visits)


RECTANGLES = """found => found.map(e => e.getBoundingClientRect())
                          .map(r => [r.x, r.y, r.right, r.bottom])"""


def box(shown, name, kind="op"):
    return shown.locator(f".box.kind-{kind}", has=shown.locator(f"text.name:text-is('{name}')"))


def boxes(shown):
    return shown.locator(".canvas .box").count()


def transform(shown):
    """Return the x, the y and the scale of the drawing, when it has come to rest."""
    world, text, still = shown.locator(".world"), None, 0
    shown.wait_for_timeout(200)
    while still < 3:  # on a busy machine a frame may take longer than a look
        before, text = text, world.get_attribute("transform")
        still = still + 1 if text == before else 0
        shown.wait_for_timeout(100)
    return [float(n) for n in re.findall(r"-?[\d.]+(?:e-?\d+)?", text)]


def until(shown, expression):
    """Wait for something; the page's policy forbids Playwright's own way, which is eval()."""
    for _ in range(400):
        if shown.evaluate(expression):
            return
        shown.wait_for_timeout(50)
    raise AssertionError(f"never came true: {expression}")


def focused(shown):
    return shown.evaluate("document.activeElement.getAttribute('aria-label') ?? ''")


# ------------------------------------------------------------------------------- what is seen


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["wrong", "resnet"])
def test_it_opens_at_every_size_in_light_and_dark(visit, size, scheme, name):
    shown = visit(name, size, scheme)
    assert boxes(shown) > 5
    width = shown.evaluate("document.documentElement.scrollWidth")
    assert width <= SIZES[size][0]
    ground = shown.evaluate("getComputedStyle(document.querySelector('section')).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", ground)[:3])) / 3
    assert (brightness > 200) == (scheme == "light")
    for part in (".canvas", "input[type=search]", "input[type=range]", ".zoom button >> nth=0"):
        place = shown.locator(part).bounding_box()
        assert place["x"] >= 0
        assert place["x"] + place["width"] <= SIZES[size][0]
        assert place["y"] + place["height"] <= SIZES[size][1]


def test_no_two_boxes_overlap_and_all_stand_in_their_frames(visit):
    for name in ("wrong", "backward", "resnet"):
        shown = visit(name, motion="reduce")  # nothing is on its way
        if name == "resnet":
            shown.get_by_label("Open all modules").click()
            until(shown, "!document.querySelector('.canvas .kind-module')")
        places = shown.locator(".canvas .box > .outline").evaluate_all(RECTANGLES)
        frames = shown.locator(".canvas .paper").evaluate_all(RECTANGLES)
        slack = 0.5 * transform(shown)[2]
        assert len(places) == boxes(shown)
        for i, (x, y, right, bottom) in enumerate(places):
            for x2, y2, right2, bottom2 in places[:i]:
                assert max(x2 - right, x - right2, y2 - bottom, y - bottom2) > -slack
            for x2, y2, right2, bottom2 in frames:
                outside = max(x2 - right, x - right2, y2 - bottom, y - bottom2) > -slack
                inside = min(x - x2, right2 - right, y - y2, bottom2 - bottom) > -slack
                assert outside or inside


# How many points on arrows lie inside of boxes where the arrow neither begins nor ends.
CROSSINGS = """found => {
  const boxes = [...document.querySelectorAll('.canvas .box > .outline')]
    .map(e => e.getBoundingClientRect());
  const within = (r, p, slack) => p.x > r.left - slack && p.x < r.right + slack
    && p.y > r.top - slack && p.y < r.bottom + slack;
  // The curve's own points: getPointAtLength measures the whole path anew for each.
  const points = d => {
    let here, all = [];
    for (const [, kind, text] of d.matchAll(/([A-Za-z])([^A-Za-z]*)/g)) {
      const n = text.trim().split(/[ ,]+/).map(Number);
      if (kind === 'M') here = n;
      else if (kind === 'V' || kind === 'C') {
        const [x1, y1, x2, y2, x, y] = kind === 'C' ? n : [...here, here[0], n[0], here[0], n[0]];
        for (let i = all.length ? 1 : 0; i <= 60; i++) {
          const t = i / 60, u = 1 - t;
          const mix = (a, b, c, e) => u*u*u*a + 3*u*u*t*b + 3*u*t*t*c + t*t*t*e;
          all.push(new DOMPoint(mix(here[0], x1, x2, x), mix(here[1], y1, y2, y)));
        }
        here = [x, y];
      } else throw new Error(`a path with ${kind}`);
    }
    return all;
  };
  let crossings = 0;
  for (const path of found) {
    const matrix = path.getScreenCTM();
    const [first, ...rest] = points(path.getAttribute('d')).map(p => p.matrixTransform(matrix));
    const last = rest.pop();
    const others = boxes.filter(r => !within(r, first, 2) && !within(r, last, 2));
    crossings += rest.filter(p => others.some(r => within(r, p, -1))).length;
  }
  return crossings;
}"""


@pytest.mark.parametrize("name", ["wrong", "backward", "resnet"])
def test_arrows_pass_no_other_box(visit, name):
    shown = visit(name, motion="reduce")
    if name == "resnet":
        shown.get_by_label("Open all modules").click()
        until(shown, "!document.querySelector('.canvas .kind-module')")
    transform(shown)
    arrows = shown.locator(".arrow:not(.arrow-saved) .shaft")
    assert arrows.count() > 5
    assert arrows.evaluate_all(CROSSINGS) == 0


@pytest.mark.parametrize("name", ["wrong", "backward"])
def test_what_follows_each_other_stands_on_one_line(visit, name):
    shown = visit(name)
    middles = set()
    for op in ("conv2d", "max_pool2d", "reshape", "linear", "flipped"):
        place = box(shown, op).bounding_box()
        middles.add(round(place["x"] + place["width"] / 2))
    assert len(middles) == 1


def test_colours_and_shapes_are_those_of_the_pictures(visit):
    shown = visit("wrong")
    fill = "e => getComputedStyle(e.querySelector('.outline')).fill"
    assert box(shown, "flipped").evaluate(fill) == "rgb(255, 157, 148)"
    assert box(shown, "weight", "parameter").first.evaluate(fill) == "rgb(230, 220, 248)"
    assert box(shown, "cross_entropy", "loss").count() == 1
    assert shown.locator(".verdict-FAIL.chip").inner_text() == "FAIL 1"


# ------------------------------------------------------------------------------- details


def test_hovering_shows_details_and_leaving_hides_them(visit):
    shown = visit("wrong")
    panel = shown.locator(".panel")
    assert "Softmax" in panel.inner_text()
    box(shown, "weight", "parameter").first.hover()
    text = panel.inner_text()
    assert "conv.weight" in text
    for word in ("8×1×3×3 float32", "gradient norm", "mean ± std", "zeros"):
        assert word in text
    assert panel.locator(".histogram rect").count() == 48
    shown.mouse.move(20, 400)
    assert "conv.weight" not in panel.inner_text()


def test_a_click_keeps_the_details_and_another_lets_go(visit):
    shown = visit("wrong")
    failed = box(shown, "flipped")
    failed.click()
    box(shown, "reshape").hover()
    shown.mouse.move(20, 400)
    text = shown.locator(".panel").inner_text()
    assert "FAIL flipped · x [2, 10]" in text
    assert "hint: the sign is flipped" in text
    assert failed.get_attribute("aria-current") == "true"
    shown.locator(".panel .link", has_text="linear").first.click()
    assert shown.locator(".panel h2").inner_text() == "linear"
    shown.mouse.click(20, 400)
    assert shown.locator(".panel h2").inner_text() == "Softmax"


def test_the_overview_leads_to_what_failed(visit):
    shown = visit("wrong")
    shown.locator(".panel .link").first.click()
    assert "hint: the sign is flipped" in shown.locator(".panel").inner_text()


def test_on_a_phone_details_come_as_a_sheet_and_go_again(visit):
    shown = visit("wrong", "phone", has_touch=True)
    panel = shown.locator(".panel")
    assert not panel.is_visible()
    box(shown, "conv2d").tap()
    panel.wait_for(state="visible")
    assert panel.locator("h2").inner_text() == "conv2d"
    shown.get_by_label("Close details").tap()
    panel.wait_for(state="hidden")
    shown.get_by_label("Overview").tap()
    panel.wait_for(state="visible")
    assert panel.locator("h2").inner_text() == "Softmax"


# ------------------------------------------------------------------------------- modules


def test_modules_close_and_open(visit):
    shown = visit("wrong")
    before = boxes(shown)
    header = shown.locator(".header", has_text="linear")
    assert header.get_attribute("aria-expanded") == "true"
    header.click()
    closed = box(shown, "linear", "module")
    closed.wait_for()
    assert boxes(shown) == before - 3 + 1
    assert closed.get_attribute("aria-expanded") == "false"
    assert "13,530 parameters" in closed.text_content().replace("13.5 k", "13,530")
    assert "operations" in shown.locator(".panel").inner_text()
    closed.click()
    header.wait_for()
    assert boxes(shown) == before


def test_an_opened_module_stays_where_it_was(visit):
    shown = visit("resnet")
    closed = shown.locator(".box.kind-module").first
    place = closed.bounding_box()
    key = closed.get_attribute("data-key")
    closed.click()
    header = shown.locator(f".header[data-key={key}]")
    header.wait_for()
    shown.wait_for_timeout(400)
    assert header.bounding_box()["y"] == pytest.approx(place["y"], abs=8)


def test_all_modules_open_and_close(visit):
    shown = visit("resnet")
    before = boxes(shown)
    shown.get_by_label("Open all modules").click()
    until(shown, f"document.querySelectorAll('.canvas .box').length > {2 * before}")
    assert shown.locator(".canvas .kind-module").count() == 0
    shown.get_by_label("Close all modules").click()
    until(shown, f"document.querySelectorAll('.canvas .box').length < {before}")
    assert shown.locator(".canvas .header").count() == 0


# ------------------------------------------------------------------------------- search


def test_search_finds_opens_and_shows(visit):
    shown = visit("resnet")
    shown.keyboard.press("/")
    shown.keyboard.type("layer3.2 conv2 weight")
    hits = shown.locator("[role=option]")
    assert hits.first.inner_text().split() == ["weight", "layer3.2.conv2.weight"]
    assert shown.locator(".canvas .hit").count() == 2  # and its gradient
    assert shown.get_by_role("combobox").get_attribute("aria-expanded") == "true"
    shown.keyboard.press("Enter")
    selected = shown.locator(".box.selected")
    selected.wait_for()
    assert "parameter weight, 64×64×3×3" in selected.get_attribute("aria-label")
    shown.wait_for_timeout(400)
    place, stage = selected.bounding_box(), shown.locator(".canvas").bounding_box()
    assert stage["x"] < place["x"] < stage["x"] + stage["width"]
    assert stage["y"] < place["y"] < stage["y"] + stage["height"]
    assert not shown.locator("[role=listbox]").is_visible()


def test_search_goes_through_its_hits_and_is_cleared(visit):
    shown = visit("wrong")
    field = shown.get_by_role("combobox")
    field.fill("FAIL")
    assert shown.locator("[role=option]").all_inner_texts() == ["flipped"]
    field.fill("conv")
    first = field.get_attribute("aria-activedescendant")
    field.press("ArrowDown")
    second = field.get_attribute("aria-activedescendant")
    assert first != second
    assert shown.locator(f"#{second}").get_attribute("aria-selected") == "true"
    field.fill("nowhere to be found")
    assert "Nothing found" in shown.locator("[role=listbox]").inner_text()
    assert shown.locator(".search [role=status]").inner_text() == "0 found"
    field.press("Escape")
    assert field.input_value() == ""
    assert shown.locator(".canvas .hit").count() == 0


# ------------------------------------------------------------------------------- pan and zoom


def test_the_wheel_zooms_at_the_pointer(visit):
    shown = visit("wrong")
    target = box(shown, "conv2d")
    before = target.bounding_box()
    x, y = before["x"] + before["width"] / 2, before["y"] + before["height"] / 2
    shown.mouse.move(x, y)
    shown.mouse.wheel(0, -200)
    shown.wait_for_timeout(200)
    after = target.bounding_box()
    assert after["width"] > 1.2 * before["width"]
    assert after["x"] + after["width"] / 2 == pytest.approx(x, abs=2)
    assert after["y"] + after["height"] / 2 == pytest.approx(y, abs=2)


def test_dragging_pans_and_changes_no_selection(visit):
    shown = visit("wrong")
    target = box(shown, "conv2d")
    box(shown, "reshape").click()
    before = target.bounding_box()
    shown.mouse.move(before["x"] + 10, before["y"] + 10)
    shown.mouse.down()
    shown.mouse.move(before["x"] + 70, before["y"] + 60, steps=4)
    shown.mouse.up()
    shown.wait_for_timeout(100)
    after = target.bounding_box()
    assert (after["x"] - before["x"], after["y"] - before["y"]) == pytest.approx((60, 50), abs=5)
    assert shown.locator(".canvas .selected text.name").all_text_contents() == ["reshape"]


def test_buttons_zoom_and_fit(visit):
    shown = visit("resnet")
    scale = transform(shown)[2]
    shown.get_by_label("Zoom in").click()
    assert transform(shown)[2] == pytest.approx(1.35 * scale)
    shown.get_by_label("Zoom out").click()
    assert transform(shown)[2] == pytest.approx(scale)
    shown.get_by_role("button", name="Fit").click()
    shown.wait_for_timeout(400)
    world = shown.locator(".world").bounding_box()
    stage = shown.locator(".canvas").bounding_box()
    assert world["height"] <= stage["height"]
    assert world["y"] >= stage["y"]


# ------------------------------------------------------------------------------- playing


def slide(shown, step):
    shown.locator("input[type=range]").evaluate(
        "(e, step) => { e.value = step; e.dispatchEvent(new Event('input')); }", step
    )


def test_the_slider_plays_forward_in_order_of_execution(visit):
    shown = visit("wrong")
    order = ["conv2d", "max_pool2d", "reshape", "linear", "flipped", "cross_entropy"]
    for step, name in enumerate(order, 1):
        slide(shown, step)
        assert shown.locator(".box.now text.name").all_text_contents() == [name]
        assert f"forward {step} / 6" in shown.locator(".step").inner_text()
        later = shown.locator(".box.later.kind-op, .box.later.kind-loss").count()
        assert later == len(order) - step
    assert shown.locator(".arrow.flowing").count() == 2  # logits and classes


def test_the_slider_plays_backward_over_the_operations(visit):
    shown = visit("wrong")
    order = ["cross_entropy", "flipped", "linear", "reshape", "max_pool2d", "conv2d"]
    for step, name in enumerate(order, 7):
        slide(shown, step)
        assert shown.locator(".box.now text.name").all_text_contents() == [name]
        assert f"backward {step - 6} / 6" in shown.locator(".step").inner_text()
    assert shown.locator(".box.kind-parameter.returned").count() == 3
    slider = shown.locator("input[type=range]")
    assert "backward step 6 of 6: conv2d" in slider.get_attribute("aria-valuetext")
    slide(shown, 9)
    assert shown.locator(".box.kind-parameter.returned").count() == 2


def test_the_slider_plays_the_rules_where_they_are_drawn(visit):
    shown = visit("backward")
    slide(shown, 6)
    assert shown.locator(".box.kind-rule.later").count() == 6
    slide(shown, 7)
    assert shown.locator(".box.now text.name").all_text_contents() == ["cross_entropy backward"]
    assert shown.locator(".box.kind-seed.later").count() == 0
    assert shown.locator(".box.kind-gradient.later").count() == 3
    slide(shown, 12)
    assert shown.locator(".box.later").count() == 0
    assert shown.locator(".arrow-gradient.flowing").count() == 1


def test_a_closed_module_is_lit_while_it_computes(visit):
    shown = visit("wrong")
    shown.locator(".header", has_text="linear").click()
    box(shown, "linear", "module").wait_for()
    slide(shown, 4)
    assert shown.locator(".box.now text.name").all_text_contents() == ["linear"]
    assert shown.locator(".box.kind-module.now").count() == 1


def test_play_pause_and_back_to_the_whole(visit):
    shown = visit("wrong")
    shown.get_by_label("Play", exact=True).click()
    until(shown, "document.querySelector('input[type=range]').value > 1")
    shown.get_by_label("Pause").click()
    value = shown.locator("input[type=range]").input_value()
    shown.wait_for_timeout(700)
    assert shown.locator("input[type=range]").input_value() == value
    shown.get_by_label("Step on").click()
    assert shown.locator("input[type=range]").input_value() == str(int(value) + 1)
    shown.keyboard.press("Escape")
    assert shown.locator("input[type=range]").input_value() == "0"
    assert shown.locator(".box.later, .box.now").count() == 0


# ------------------------------------------------------------------------------- keyboard


def test_everything_can_be_reached_by_tab(visit):
    shown = visit("wrong")
    seen = []
    for _ in range(14):
        shown.keyboard.press("Tab")
        seen.append(focused(shown))
    for label in ("Search boxes", "Open all modules", "Light or dark", "Zoom in", "Play"):
        assert label in seen
    assert "Compute graph of Softmax" in seen


def test_arrows_move_enter_chooses_and_escape_leaves(visit):
    shown = visit("wrong")
    shown.locator(".canvas").focus()
    shown.keyboard.press("ArrowDown")
    assert focused(shown).startswith("input images")
    shown.keyboard.press("ArrowDown")
    assert focused(shown).startswith("module Conv2d conv")
    shown.keyboard.press("Enter")
    box(shown, "conv", "module").wait_for()
    until(shown, "document.activeElement.getAttribute('aria-expanded') === 'false'")
    shown.keyboard.press("Enter")
    until(shown, "document.activeElement.getAttribute('aria-expanded') === 'true'")
    for _ in range(2):
        shown.keyboard.press("ArrowDown")
    assert focused(shown).startswith("max_pool2d")
    outline = "getComputedStyle(document.activeElement.querySelector('.outline')).strokeWidth"
    assert shown.evaluate(outline) == "3.4px"
    shown.keyboard.press("Enter")
    assert shown.locator(".panel h2").inner_text() == "max_pool2d"
    shown.keyboard.press("Escape")
    assert shown.locator(".panel h2").inner_text() == "Softmax"


def test_keys_zoom_fit_step_and_play(visit):
    shown = visit("wrong")
    scale = transform(shown)[2]
    shown.keyboard.press("+")
    assert transform(shown)[2] == pytest.approx(1.35 * scale)
    shown.keyboard.press("-")
    shown.keyboard.press("-")
    shown.wait_for_timeout(300)
    shown.keyboard.press("f")
    fitted = transform(shown)[2]
    assert fitted == pytest.approx(min(fitted, 1.25))
    shown.keyboard.press(">")
    shown.keyboard.press(">")
    shown.keyboard.press("<")
    assert shown.locator("input[type=range]").input_value() == "1"
    shown.keyboard.press(" ")
    assert shown.get_by_label("Pause").count() == 1


# ------------------------------------------------------------------------------- theme


def test_the_theme_can_be_chosen_and_is_remembered(visit):
    shown = visit("wrong", scheme="dark")
    ground = "getComputedStyle(document.querySelector('section')).backgroundColor"
    dark = shown.evaluate(ground)
    shown.get_by_label("Light or dark").click()
    light = shown.evaluate(ground)
    assert light != dark
    shown.get_by_label("Light or dark").click()
    assert shown.evaluate(ground) == dark
    shown.get_by_label("Light or dark").click()
    assert shown.evaluate("localStorage.getItem('tinygrad-cnn-theme')") == "light"


def test_nothing_moves_for_those_who_want_calm(visit):
    shown = visit("wrong", motion="reduce")
    shown.keyboard.press("+")
    shown.evaluate("new Promise(requestAnimationFrame)")
    first = shown.locator(".world").get_attribute("transform")
    shown.wait_for_timeout(300)
    assert shown.locator(".world").get_attribute("transform") == first


# ------------------------------------------------------------------------------- large and many


def test_a_chain_of_ten_thousand_opens_closed_and_says_so(visit):
    shown = visit("chain10000")
    assert boxes(shown) <= 150
    assert "10,001 operations, in groups" in shown.locator(".note").inner_text()
    shown.locator(".box.kind-module").first.click()
    box(shown, "tanh").first.wait_for()
    shown.get_by_role("combobox").fill("sum")
    shown.keyboard.press("Enter")
    box(shown, "sum", "loss").wait_for()
    slide(shown, 15_000)
    assert shown.locator(".box.now").count() == 1
    shown.get_by_label("Open all modules").click()
    until(shown, "document.querySelector('.note').textContent.startsWith('Too many')")
    assert 1000 < boxes(shown) <= 2000


def test_a_thousand_boxes_can_be_seen_at_once(visit):
    shown = visit("chain1000")
    shown.get_by_label("Open all modules").click()
    until(shown, "document.querySelectorAll('.canvas .box').length > 1000")
    for key in ("f", "+", "+", "-"):
        shown.keyboard.press(key)
        shown.wait_for_timeout(100)
    slide(shown, 500)
    assert shown.locator(".box.now").count() == 1


def test_two_sections_stand_in_one_page_and_do_not_mix(visit):
    shown = visit("sections")
    shown.wait_for_selector("#two[data-ready=true]")
    ids = shown.locator("[id]").evaluate_all("found => found.map(e => e.id)")
    assert len(ids) == len(set(ids))
    assert all(id.startswith(("one", "two")) for id in ids)
    shown.locator("#one .box", has_text="conv2d").click()
    assert "conv2d" in shown.locator("#one .panel h2").inner_text()
    assert shown.locator("#two .selected").count() == 0
    shown.locator("#two .canvas").focus()
    shown.keyboard.press("/")
    assert shown.evaluate("document.activeElement.closest('section').id") == "two"
    before = shown.locator("#one .world").get_attribute("transform")
    shown.locator("#one .canvas").hover()
    shown.mouse.wheel(0, 60)  # scrolls the page around it
    until(shown, "window.scrollY > 0")
    assert shown.locator("#one .world").get_attribute("transform") == before
