"""The page by what a real browser makes of it."""

import itertools
import math
import re
from urllib.parse import parse_qs

import numpy as np
import pytest

from browsing import chromium
from jaxstyle.report.contact_sheet import contact_sheet
from jaxstyle.report.page import page_data, write_page
from jaxstyle.report.summary import Source, Sweep
from marks import slow
from sheets import CONTENTS, HOSTILE, LONG, STEPS, STYLES, WEIGHTS, axis, cell, curves, make, put

# -------------------------------------------------------------------------------------------------- in a real browser


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def visit(browser, tmp_path):
    """Opens the page of a sweep from disk, off the network; at the end nothing else was asked for, nor any error."""
    contexts, problems = [], []

    def route(request):
        if request.request.url.startswith(("file:", "data:")):
            request.continue_()
        else:
            problems.append(f"asked for {request.request.url}")
            request.abort()

    def open_page(sweep, hash="", width=1280, height=900, **options):
        path = write_page(tmp_path, sweep)
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        context.set_default_timeout(10_000)
        context.route("**/*", route)
        page = context.new_page()
        page.on("console", lambda message: problems.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: problems.append(f"error: {error}"))
        page.on("dialog", lambda dialog: problems.append(f"dialog: {dialog.message}"))
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri() + hash)
        assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems


def source_of(page, selector="#large"):
    return page.locator(selector).get_attribute("src")


def check_shows(page, sweep, place):
    """Everything on the page is about this cell."""
    held = {tuple(done["index"]): done for done in page_data(page.folder, sweep)["cells"]}[tuple(place)]
    assert source_of(page) == held["picture"]
    assert page.locator("#line").text_content() == held["command"]
    assert "--place" in held["command"]
    for axis_, k in zip(sweep.axes, place, strict=True):
        assert f"{axis_.label} {axis_.values[k]}" in page.locator("#chosen").text_content()
        assert parse_qs(page.evaluate("location.hash.slice(1)"))[axis_.name] == [axis_.values[k]]
    selected = page.locator("[aria-selected=true] button")
    assert selected.count() == 1 and selected.locator("img").get_attribute("src") == held["picture"]
    for i, k in enumerate(place):
        for slider in page.locator(f"input[data-axis='{i}']").all():
            assert slider.input_value() == str(k)
            assert slider.get_attribute("aria-valuetext") == sweep.axes[i].values[k]
    check_curves(page, curves(place))


def ticks(page, kind, along):
    """(values, pixels) of the ticks of an axis, as drawn."""
    marks = page.locator(f"#chart .{kind}").all()
    values = [float(mark.text_content()) for mark in marks]
    return np.array(values), np.array([float(mark.get_attribute(along)) for mark in marks])


def check_curves(page, losses):
    """Each path, read back through the ticks of both axes, is its term."""
    loss_values, y_marks = ticks(page, "loss-tick", "y")
    step_values, x_marks = ticks(page, "step-tick", "x")
    assert len(loss_values) >= 2 and len(step_values) >= 2
    to_log = np.polyfit(y_marks - 4, np.log10(loss_values), 1)  # text stands 4 pixels below its line
    to_step = np.polyfit(x_marks, step_values, 1)
    for term, values in losses.items():
        path = page.locator(f"#chart [data-term={term}]").get_attribute("d")
        points = np.array([[float(x) for x in pair.split(",")] for pair in re.findall(r"[-\d.]+,[-\d.]+", path)])
        np.testing.assert_allclose(np.polyval(to_step, points[:, 0]), np.arange(1, len(values) + 1), atol=0.01)
        np.testing.assert_allclose(np.polyval(to_log, points[:, 1]), np.log10(values), atol=2e-3)


@pytest.fixture
def two(visit, tmp_path):
    """A page of a grid of two axes, with all its cells."""
    sweep = make(tmp_path, [WEIGHTS, CONTENTS])

    def opened(**options):
        page = visit(sweep, **options)
        page.folder = tmp_path
        return page, sweep

    return opened


def test_the_page_opens_on_the_first_cell(two):
    page, sweep = two()
    assert page.title() == page.locator("h1").text_content() == sweep.title
    assert page.locator("#summary").text_content() == "12 pictures · 18 s"
    assert page.locator("#cells button").count() == 12
    assert [text.strip() for text in page.locator("#cells th[scope=row]").all_text_contents()] == list(WEIGHTS.values)
    assert [text.strip() for text in page.locator("#cells th[scope=col]").all_text_contents()] == list(CONTENTS.values)
    assert page.locator("#cells .axis").all_text_contents() == ["style weight", "content weight"]
    assert page.locator("#sources figcaption").all_text_contents() == ["content harbour", "style strokes"]
    page.keyboard.press("Tab")
    page.keyboard.press("End")  # the first stop of the keyboard is the grid
    check_shows(page, sweep, (0, 3))


@pytest.mark.slow
def test_sliders_move_through_the_sweep_by_keyboard(two):
    page, sweep = two()
    sliders = page.locator("#view-sliders input")
    assert sliders.count() == 2
    sliders.nth(0).focus()
    page.keyboard.press("ArrowRight")
    check_shows(page, sweep, (1, 0))
    sliders.nth(1).focus()
    page.keyboard.press("End")
    check_shows(page, sweep, (1, 3))
    page.keyboard.press("ArrowLeft")
    check_shows(page, sweep, (1, 2))
    page.keyboard.press("Home")
    check_shows(page, sweep, (1, 0))


@pytest.mark.slow
def test_arrow_keys_move_through_the_grid(two):
    page, sweep = two()
    page.locator("#cells button").first.focus()
    keys = [("ArrowRight", (0, 1)), ("ArrowDown", (1, 1)), ("End", (1, 3)), ("ArrowRight", (1, 3)), ("ArrowUp", (0, 3)),
            ("ArrowUp", (0, 3)), ("Home", (0, 0)), ("ArrowLeft", (0, 0)), ("Control+End", (2, 3)),
            ("Control+Home", (0, 0))]  # fmt: skip
    for key, place in keys:
        page.keyboard.press(key)
        check_shows(page, sweep, place)
        assert page.evaluate("document.activeElement.dataset.place") == ",".join(map(str, place))
    assert page.locator("#cells button[tabindex='0']").count() == 1


@pytest.mark.slow
def test_a_click_chooses_and_a_link_keeps_the_cell(two):
    page, sweep = two()
    page.locator("#cells button").nth(6).click()
    check_shows(page, sweep, (1, 2))
    again, _ = two(hash=page.evaluate("location.hash"))
    check_shows(again, sweep, (1, 2))
    again.evaluate("location.hash = 'style_weight=100&content_weight=nonsense'")
    again.wait_for_function("document.getElementById('chosen').textContent.includes('style weight 100')")
    assert "content weight 3" in again.locator("#chosen").text_content()


def test_the_content_flips_in_place(two):
    page, sweep = two()
    data = page_data(page.folder, sweep)
    result, content = data["cells"][0]["picture"], data["contents"][0]["picture"]
    before = page.locator("#large").bounding_box()
    page.locator("#flip").press("Enter")
    assert source_of(page) == content and page.locator("#flip").get_attribute("aria-pressed") == "true"
    assert page.locator("#large").bounding_box() == before and "content" in page.locator("#large").get_attribute("alt")
    page.locator("#flip").press("Enter")
    assert source_of(page) == result and page.locator("#flip").get_attribute("aria-pressed") == "false"
    page.locator("#large").hover()
    page.mouse.down()
    assert source_of(page) == content
    page.mouse.move(5, 5)
    page.mouse.up()
    assert source_of(page) == result


@pytest.mark.parametrize("clipboard", [True, False])
def test_the_command_is_copied(two, clipboard):
    page, sweep = two(permissions=["clipboard-read", "clipboard-write"])
    if not clipboard:
        page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.evaluate("document.addEventListener('copy', () => { window.copied = getSelection().toString(); })")
    page.locator("#copy").click()
    page.locator("#copied").get_by_text("Copied.").wait_for()
    text = page.evaluate("navigator.clipboard.readText()" if clipboard else "window.copied")
    assert text.strip() == sweep.cells[0].command


def test_numbers_and_settings_are_those_of_the_cell(two):
    page, sweep = two()
    rows = page.locator("#numbers tr").all()
    seen = {row.locator("th").text_content(): float(row.locator("td").text_content()) for row in rows}
    assert seen == pytest.approx(sweep.cells[0].final, rel=1e-3)
    page.locator("summary").click()
    names = page.locator("#settings dt").all_text_contents()
    settings = dict(zip(names, page.locator("#settings dd").all_text_contents(), strict=True))
    assert settings["steps"] == "60" and settings["layers"] == '["relu1_1","relu2_1"]' and settings["mix"] == "null"
    strokes = page.eval_on_selector_all(".curve", "all => all.map((p) => getComputedStyle(p).stroke)")
    assert len(set(strokes)) == 4


def test_three_axes_choose_their_rows_and_columns(visit, tmp_path):
    sweep = make(tmp_path, [STYLES, WEIGHTS, CONTENTS], missing=[(1, 2, 3)])
    page = visit(sweep)
    page.folder = tmp_path
    assert page.locator("#summary").text_content().startswith("23 of 24 pictures")
    assert page.locator("#cells button").count() == 12 and page.locator("#view-sliders input").count() == 3
    assert page.locator("#grid-sliders label").all_text_contents() == ["style"]
    page.locator("#grid-sliders input").focus()
    page.keyboard.press("ArrowRight")
    check_shows(page, sweep, (1, 0, 0))
    page.locator("#rows").select_option(label="style")
    assert page.locator("#grid-sliders label").all_text_contents() == ["style weight"]
    assert page.locator("#cells button").count() == 8
    check_shows(page, sweep, (1, 0, 0))
    page.locator("#rows").select_option(label="content weight")  # which were the columns: the two change places
    assert page.locator("#columns").input_value() == "0" and page.locator("#cells button").count() == 8
    page.locator("#cells button").nth(3).click()
    check_shows(page, sweep, (1, 0, 1))


def test_a_place_that_is_not_done_says_so(visit, tmp_path):
    sweep = make(tmp_path, [WEIGHTS, CONTENTS], missing=[(0, 0)])
    page = visit(sweep)
    assert "content weight 1" in page.locator("#chosen").text_content()
    page.locator("#cells button").first.click()
    assert page.locator("#missing").text_content() == "not done" and page.locator("#large").is_hidden()
    assert page.locator("#command").is_hidden() and page.locator("#losses").is_hidden()
    page.keyboard.press("ArrowDown")
    assert page.locator("#large").is_visible() and page.locator("#command").is_visible()


def test_a_run_that_diverged_is_shown_as_far_as_it_went(visit, tmp_path):
    losses = curves((0,))
    broken = {term: np.where(np.arange(STEPS) < 20, values, np.nan) for term, values in losses.items()}
    sweep = make(tmp_path, [STYLES], each={"losses": broken, "final": {"total": math.nan}})
    page = visit(sweep)
    assert page.locator("#chosen").text_content() == "style starry_night (diverged)"
    assert page.locator("#numbers td").text_content() == "not finite"
    check_curves(page, {term: values[:20] for term, values in losses.items()})


@pytest.mark.parametrize("axes", [slow([]), [axis("seed", *range(23))], slow([axis("size", 64)])], ids=len)
def test_other_grids_work_too(visit, tmp_path, axes):
    sweep = make(tmp_path, axes)
    page = visit(sweep)
    page.folder = tmp_path
    assert page.locator("#large").is_visible()
    if len(sweep.cells) > 1:
        count = page.evaluate("state.inLine")
        assert 1 < count < 23
        page.locator("#cells button").first.focus()
        for key, place in [("ArrowDown", count), ("End", 2 * count - 1), ("Control+End", 22), ("ArrowLeft", 21)]:
            page.keyboard.press(key)
            check_shows(page, sweep, (place,))


def test_hostile_names_are_inert(visit, tmp_path):
    hostile = axis("<b>style</b>", HOSTILE, "a & b 'c' \"d\" #e=f&g", HOSTILE)
    sweep = make(tmp_path, [hostile], title=HOSTILE)
    put(tmp_path / HOSTILE, (1, 2, 3))
    cells = tuple(cell(done.index, file=HOSTILE, command=HOSTILE, settings={HOSTILE: HOSTILE}) for done in sweep.cells)
    sources = (Source(HOSTILE, HOSTILE),)
    sweep = Sweep(HOSTILE, (hostile,), cells, sources, sources)
    page = visit(sweep)
    contact_sheet(tmp_path, sweep)
    assert page.locator("h1").text_content() == HOSTILE == page.locator("#line").text_content()
    assert page.locator("img[src=x], [onerror], h2 b").count() == 0
    link = page.evaluate("document.getElementById('file').href")
    assert link.startswith(tmp_path.as_uri()) and "<" not in link
    for k in (1, 2):
        page.locator("#cells button").nth(k).click()
        assert hostile.values[k] in page.locator("#chosen").text_content()
        again = visit(sweep, hash=page.evaluate("location.hash"))
        assert again.locator("#view-sliders input").input_value() == str(k)


# Luminance contrast of every visible text against what is painted behind it, after WCAG 2.
CONTRASTS = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const channel = (c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = rgb(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const texts = [...document.querySelectorAll("body *:not(script):not(noscript):not(option)")].filter((node) =>
    node.checkVisibility() && [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()));
  return texts.map((node) => {
    const style = getComputedStyle(node);
    const [a, b] = [light(rgb(node instanceof SVGElement ? style.fill : style.color)), light(behind(node))];
    return [node.textContent.slice(0, 40), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
  });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_colour_schemes_are_legible(visit, tmp_path, scheme):
    page = visit(make(tmp_path, [STYLES, WEIGHTS, CONTENTS], missing=[(0, 1, 1)]), color_scheme=scheme)
    page.locator("summary").click()
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 40 and not [pair for pair in contrasts if pair[1] < 4.5]
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (sum(paper) > 600) == (scheme == "light")
    lines = page.eval_on_selector_all(".curve", "all => all.map((p) => getComputedStyle(p).stroke.match(/\\d+/g))")
    for line in lines:  # what is no text needs 3
        a, b = sorted(luminance([int(c) for c in colour]) for colour in (line, paper))
        assert (b + 0.05) / (a + 0.05) >= 3


def luminance(colour):
    scaled = np.asarray(colour) / 255
    return np.where(scaled <= 0.04045, scaled / 12.92, ((scaled + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722)


@pytest.mark.parametrize(
    "axes", [[], [axis("seed", *range(9))], [WEIGHTS, CONTENTS], [axis("style", LONG, "b"), axis("seed", *range(30))],
             [STYLES, WEIGHTS, CONTENTS]], ids=lambda axes: "-".join(str(len(a.values)) for a in axes))  # fmt: skip
@pytest.mark.parametrize("width", [390, slow(861)])
def test_no_page_is_wider_than_its_window(visit, tmp_path, axes, width):
    page = visit(make(tmp_path, axes, title=LONG), width=width, height=844, has_touch=True)
    page.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    controls = "all => all.filter((n) => n.checkVisibility()).map((n) => n.getBoundingClientRect().height)"
    small = [height for height in page.eval_on_selector_all("input, button.plain, select", controls) if height < 40]
    assert not small, "too small for a finger"
    if width < 861:
        tops = [page.locator(f"#{name}").bounding_box() for name in ("grid", "view", "losses", "command")]
        tops = [box for box in tops if box]
        assert all(a["y"] + a["height"] <= b["y"] for a, b in itertools.pairwise(tops)), "one column"


def test_a_chosen_cell_is_scrolled_to_sideways(visit, tmp_path):
    page = visit(make(tmp_path, [STYLES, axis("seed", *range(30))]), width=390, height=844)
    page.locator("#view-sliders input").nth(1).focus()
    at = page.evaluate("scrollY")
    for key in ("End", "Home"):
        page.keyboard.press(key)
        box = page.locator("[aria-selected=true] button").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390
    assert page.evaluate("scrollY") == at


def test_everything_has_a_name_and_can_be_reached(visit, tmp_path):
    page = visit(make(tmp_path, [STYLES, WEIGHTS, CONTENTS]))
    assert page.locator("html").get_attribute("lang") == "en"
    names = page.eval_on_selector_all(
        "input, select", "all => all.map((n) => [...n.labels].map((l) => l.textContent).join())"
    )
    assert len(names) == 6 and all(names)
    assert all(page.eval_on_selector_all("img", "all => all.map((n) => n.hasAttribute('alt'))"))
    assert all(page.eval_on_selector_all("#view img", "all => all.map((n) => n.alt.length > 5)"))
    assert all(page.eval_on_selector_all("button", "all => all.map((n) => n.ariaLabel || n.textContent.trim())"))
    ids = page.eval_on_selector_all("[id]", "all => all.map((n) => n.id)")
    assert len(ids) == len(set(ids))
    pointed = page.eval_on_selector_all(
        "[aria-labelledby], [for]", "all => all.map((n) => n.getAttribute('aria-labelledby') ?? n.getAttribute('for'))"
    )
    assert set(pointed) <= set(ids)
    assert page.locator("svg[role=img]").get_attribute("aria-label")
    stops = []
    for _ in range(20):
        page.keyboard.press("Tab")
        stop = page.evaluate("document.activeElement.id || document.activeElement.tagName")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        if stop == "BODY" or stop in stops:
            break
        assert outline != "none", f"no visible focus on {stop}"
        stops.append(stop)
    wanted = ["rows", "columns", "grid-sliders-0", "BUTTON", "flip", "file", *(f"view-sliders-{i}" for i in range(3))]
    assert stops == [*wanted, "copy", "SUMMARY"]


def test_the_chart_is_drawn_to_the_width_of_the_window(two):
    page, _ = two()
    wide = page.locator("#chart > svg").get_attribute("viewBox")
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("(old) => document.querySelector('#chart > svg').getAttribute('viewBox') !== old", arg=wide)
    box = page.locator("#chart > svg").bounding_box()
    assert float(page.locator("#chart > svg").get_attribute("viewBox").split()[2]) == pytest.approx(box["width"], abs=1)
    check_curves(page, curves((0, 0)))
