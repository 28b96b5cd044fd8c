"""The contact sheet by its pixels and boxes; the page by what a real browser makes of it."""

import base64
import io
import itertools
import json
import math
import os
import re
import shutil
from importlib.resources import files
from urllib.parse import parse_qs

import numpy as np
import pytest
from PIL import Image

from jaxstyle import layout, report
from jaxstyle.errors import InputError
from jaxstyle.images import save_image
from jaxstyle.layout import Axis, Caption, lay_out, places
from jaxstyle.report import Cell, Source, Sweep, contact_sheet, page_data, write_page

HOSTILE = "</script><img src=x onerror=alert(1)>.png"
STEPS = 60


def axis(name, *values):
    return Axis(name, name.replace("_", " "), tuple(map(str, values)))


WEIGHTS = axis("style_weight", 10, 31.6, 100)
CONTENTS = axis("content_weight", 0.3, 1, 3, 10)
STYLES = axis("style", "starry_night", "the_scream")


def put(path, colour, width=48, height=32):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_image(path, np.broadcast_to(np.asarray(colour, np.float32) / 255, (height, width, 3)))


def colour_of(place):
    """A colour of its own for each place, far from white and from the labels' grey."""
    number = sum(k * step for k, step in zip(place, (50, 11, 3, 1), strict=False))
    return 40 + number * 37 % 160, 40 + number * 53 % 160, 200 - number * 71 % 160


def curves(place):
    steps = np.arange(1, STEPS + 1)
    rate = 20.0 * (1 + sum(place))
    content, style = 1 - 0.5 * np.exp(-steps / rate), np.exp(-steps / rate) + 1e-4
    return {"total": content + 10 * style, "content": content, "style": style, "variation": 0.002 / steps}


def cell(place, **changes):
    losses = curves(place)
    known = {
        "index": place,
        "file": f"cells/{'_'.join(map(str, place)) or 'only'}.png",
        "losses": losses,
        "final": {term: float(values[-1]) for term, values in losses.items()},
        "seconds": 1.5,
        "command": f"jaxstyle transfer 'a b.jpg' art.jpg --place {place}",
        "settings": {"steps": STEPS, "layers": ["relu1_1", "relu2_1"], "mix": None, "place": list(place)},
    }
    return Cell(**(known | changes))


def make(folder, axes, *, size=(48, 32), missing=(), title="harbour in the manner of strokes", **changes):
    put(folder / "content.png", (250, 30, 30), *size)
    put(folder / "art" / "strokes.png", (30, 130, 30), 40, 60)
    cells = tuple(cell(place, **changes.get("each", {})) for place in places(axes) if place not in missing)
    for done in cells:
        put(folder / done.file, colour_of(done.index), *size)
    contents, styles = (Source("harbour", "content.png"),), (Source("strokes", "art/strokes.png"),)
    return Sweep(title, tuple(axes), cells, contents, styles)


def pixels_of(path):
    with Image.open(path) as image:
        return np.asarray(image)


# ------------------------------------------------------------------------------------------------- the contact sheet


def boxes_of(sheet):
    return [*sheet.cells.values(), *sheet.sources, *(label.box for label in sheet.labels)]


def check_layout(sheet, axes):
    """All boxes lie within the sheet, none overlaps another, and every line of text fits its box."""
    assert set(sheet.cells) == set(places(axes))
    boxes = np.array(boxes_of(sheet))
    left, top, right, bottom = boxes.T
    assert (left >= 0).all() and (top >= 0).all() and (right <= sheet.width).all() and (bottom <= sheet.height).all()
    assert (right > left).all() and (bottom > top).all()
    apart = (right[:, None] <= left) | (right <= left[:, None]) | (bottom[:, None] <= top) | (bottom <= top[:, None])
    assert (apart | np.eye(len(boxes), dtype=bool)).all()
    for label in sheet.labels:
        font = layout._font(label.font_size)
        ink = [font.getbbox(line) for line in label.lines if line]
        assert all(x1 <= label.box.right - label.box.left + 1 for _, _, x1, _ in ink)
        assert len(label.lines) * layout._line_height(label.font_size) == label.box.bottom - label.box.top
        assert label.font_size >= 16


LONG = "a_painting_with_a_name_that_goes_on_and_on-1889" * 2
GRIDS = {
    "none": [],
    "one": [WEIGHTS],
    "one value": [axis("size", 256)],
    "one long": [axis("seed", *range(61))],
    "two": [WEIGHTS, CONTENTS],
    "long texts": [axis("style", LONG, "b"), axis("total_variation_weight_of_a_long_name", LONG, "x" * 90, 1e-12)],
    "many rows": [axis("seed", *range(130)), STYLES],
    "many columns": [STYLES, axis("seed", *range(130))],
    "hundreds": [axis("seed", *range(20)), axis("rate", *(0.001234567 * k for k in range(25)))],
    "three": [STYLES, WEIGHTS, CONTENTS],
    "three, long": [axis("style", *"abcdefg"), WEIGHTS, axis("seed", *range(70))],
    "four": [STYLES, axis("rate", 0.01, 0.02, 0.05), WEIGHTS, CONTENTS],
}


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize(
    "cells", [[(256, 192)], [(192, 256)], [(64, 48), (256, 192), (512, 384)], [(1000, 40)]], ids=str
)
def test_nothing_on_the_sheet_overlaps_or_is_cut(name, cells):
    captions = [Caption("content", "harbour"), Caption("style", LONG), Caption("style", "the_scream")]
    sheet = lay_out("harbour " + LONG, GRIDS[name], cells, captions, [(400, 300), (300, 640), (640, 20)])
    check_layout(sheet, GRIDS[name])
    assert max(sheet.width, sheet.height) <= layout.SHEET_SIDE


def test_thumbnails_are_as_large_as_the_sheet_allows():
    def long_side(axes, own=512):
        sheet = lay_out("t", axes, [(own, own * 3 // 4)], [], [])
        return max(box.right - box.left for box in sheet.cells.values())

    assert long_side([WEIGHTS]) == long_side([]) == 512
    assert long_side([WEIGHTS], own=300) == 300
    assert long_side([axis("seed", *range(20)), axis("rate", *range(20))]) == 192
    assert long_side([axis("seed", *range(50)), axis("rate", *range(50))]) < 160


def test_rows_and_columns_are_the_last_two_axes():
    sheet = lay_out("t", [STYLES, WEIGHTS, CONTENTS], [(40, 30)], [], [])
    for place, box in sheet.cells.items():
        for other in (k for k in sheet.cells if k[0] == place[0]):
            assert (sheet.cells[other].top == box.top) == (other[1] == place[1])
            assert (sheet.cells[other].left == box.left) == (other[2] == place[2])
    lefts = [sheet.cells[0, 0, k].left for k in range(4)]
    tops = [sheet.cells[0, k, 0].top for k in range(3)]
    assert lefts == sorted(lefts) and tops == sorted(tops)


def shown(label):
    return " ".join(label.lines)


def test_values_stand_at_their_rows_and_columns():
    sheet = lay_out("t", [WEIGHTS, CONTENTS], [(200, 150)], [], [])
    labels = {shown(label): label.box for label in sheet.labels}
    for i, value in enumerate(WEIGHTS.values):
        if value not in CONTENTS.values:
            box, cell_box = labels[value], sheet.cells[i, 0]
            assert box.right < cell_box.left and abs(box.top + box.bottom - cell_box.top - cell_box.bottom) <= 2
    for j, value in enumerate(CONTENTS.values):
        if value not in WEIGHTS.values:
            box, cell_box = labels[value], sheet.cells[0, j]
            assert box.bottom <= cell_box.top and abs(box.left + box.right - cell_box.left - cell_box.right) <= 2
    assert {"style weight", "content weight"} <= set(labels)


def test_blocks_are_titled_by_the_other_axes():
    sheet = lay_out("t", [STYLES, axis("rate", 0.1, 0.2), WEIGHTS, CONTENTS], [(200, 150)], [], [])
    titles = {shown(label) for label in sheet.labels}
    assert {f"style {s},  rate {r}" for s in STYLES.values for r in ("0.1", "0.2")} <= titles


def test_no_letter_of_a_text_is_lost():
    text = "one two_three-four/" + "x" * 80 + ", five"
    lines = layout._wrapped(text, 18, 120)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(layout._font(18).getlength(line) <= 120 for line in lines)


def test_names_in_other_letters_can_be_told_apart():
    assert layout._ascii("Tübingen \n\udcff") == "Tubingen ??"
    assert [shown(v) for v in layout._values(axis("style", "夜", "雨", "a"), range(3), 18, 400)] == [
        "1: ?",
        "2: ?",
        "3: a",
    ]


@pytest.mark.parametrize("axes", [[], [CONTENTS], [WEIGHTS, CONTENTS], [STYLES, WEIGHTS, CONTENTS]], ids=len)
def test_the_sheet_shows_each_picture_in_its_place(tmp_path, axes):
    missing = [(1,) * len(axes)] if axes else []
    sweep = make(tmp_path, axes, missing=missing)
    path = contact_sheet(tmp_path, sweep)
    sheet = pixels_of(path)
    placed = lay_out(sweep.title, axes, [(48, 32)], [Caption("content", "harbour"), Caption("style", "strokes")],
                     [(48, 32), (40, 60)])  # fmt: skip
    assert path.name == "sheet.png" and sheet.shape == (placed.height, placed.width, 3)
    for place, (left, top, right, bottom) in placed.cells.items():
        seen = sheet[top:bottom, left:right]
        if place in missing:
            assert (seen[0] == (201, 204, 209)).all() and (seen[1:-1, 1:-1] == (244, 245, 246)).all()
        else:
            assert (seen == colour_of(place)).all()
    for (left, top, right, bottom), colour in zip(placed.sources, [(250, 30, 30), (30, 130, 30)], strict=True):
        assert (sheet[top:bottom, left:right] == colour).all()
    for label in placed.labels:
        left, top, right, bottom = label.box
        assert sheet[top:bottom, left:right].min() < 150, "no text where a label should be"
    outside = np.ones(sheet.shape[:2], dtype=bool)
    for left, top, right, bottom in boxes_of(placed):
        outside[top:bottom, max(0, left - 1) : right + 1] = False
    assert (sheet[outside] == 255).all()


def test_a_picture_of_another_shape_stands_in_the_middle(tmp_path):
    sweep = make(tmp_path, [STYLES])
    put(tmp_path / sweep.cells[1].file, (0, 0, 200), 20, 60)
    sheet = pixels_of(contact_sheet(tmp_path, sweep))
    rows, columns = np.nonzero((sheet == (0, 0, 200)).all(axis=2))
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert abs(height / width - 3) < 0.05
    box = lay_out(sweep.title, sweep.axes, [(48, 32), (20, 60)], [Caption("content", "harbour"),
                  Caption("style", "strokes")], [(48, 32), (40, 60)]).cells[1,]  # fmt: skip
    assert abs(box.left + box.right - columns.min() - columns.max() - 1) <= 1 and height == box.bottom - box.top


def test_transparent_pictures_stand_on_white(tmp_path):
    sweep = make(tmp_path, [])
    alpha = np.ones((32, 48))
    alpha[:16] = 0
    save_image(tmp_path / sweep.cells[0].file, np.zeros((32, 48, 3)), alpha=alpha)
    image = report._read(tmp_path / sweep.cells[0].file, lambda size: 1.0)
    assert np.asarray(image)[:14].min() == 255 and np.asarray(image)[18:].max() == 0


def test_nothing_done_and_no_sources_make_a_sheet_of_frames(tmp_path):
    sweep = Sweep("nothing yet", (WEIGHTS,), (), (), ())
    with Image.open(contact_sheet(tmp_path, sweep)) as sheet:
        assert min(sheet.size) > 100
    assert write_page(tmp_path, sweep).stat().st_size > 0


# ----------------------------------------------------------------------------------------------------------- the data


def embedded(path):
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', path.read_text("utf-8"), re.S)
    return json.loads(text)


def test_the_data_in_the_page_are_those_given(tmp_path):
    sweep = make(tmp_path, [WEIGHTS, CONTENTS], missing=[(2, 3)])
    data = embedded(write_page(tmp_path, sweep))
    assert data == page_data(tmp_path, sweep)
    assert data["title"] == sweep.title and len(data["cells"]) == 11
    assert data["axes"][0] == {"name": "style_weight", "label": "style weight", "values": ["10", "31.6", "100"]}
    for given, held in zip(sweep.cells, data["cells"], strict=True):
        assert held["command"] == given.command and held["settings"] == given.settings
        assert held["final"] == given.final and tuple(held["index"]) == given.index
        assert held["steps"] == list(range(1, STEPS + 1)) and held["styles"] == [0] and held["content"] == 0
        for term, values in given.losses.items():
            np.testing.assert_allclose(held["losses"][term], values, rtol=1e-4)


def test_pictures_in_the_page_are_close_to_those_on_disk(tmp_path):
    sweep = make(tmp_path, [STYLES])
    gradient = np.stack(np.meshgrid(np.linspace(0.1, 0.9, 96), np.linspace(0.2, 0.7, 64)), -1)
    picture = np.concatenate([gradient, 1 - gradient[..., :1]], -1)
    save_image(tmp_path / sweep.cells[0].file, picture)
    first = page_data(tmp_path, sweep)["cells"][0]
    assert (first["width"], first["height"]) == (96, 64) and first["picture"].startswith("data:image/webp;base64,")
    seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(first["picture"].split(",")[1]))).convert("RGB")) / 255
    assert np.abs(seen - picture).mean() < 0.01


def test_large_pictures_and_many_are_made_smaller(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "PAGE_PIXELS", 3000)
    sweep = make(tmp_path, [STYLES], size=(96, 32))
    held = page_data(tmp_path, sweep)["cells"][0]
    assert held["width"] * held["height"] <= 1550 and abs(held["width"] / held["height"] - 3) < 0.1


def test_curves_are_thinned_and_odd_numbers_left_out(tmp_path):
    curve = np.linspace(1, 2, 2001)
    sweep = make(tmp_path, [], each={"losses": {"total": curve, "style": [1.0, None, math.nan, math.inf, 0.5]}})
    (held,) = page_data(tmp_path, sweep)["cells"]
    steps, total = np.array(held["steps"]), np.array(held["losses"]["total"])
    assert len(steps) == report.CURVE_POINTS and (steps[0], steps[-1]) == (1, 2001)
    np.testing.assert_allclose(total, curve[steps - 1], rtol=1e-4)
    short = make(tmp_path, [], each={"losses": {"style": [1.0, None, math.nan, math.inf, 0.5]}})
    assert page_data(tmp_path, short)["cells"][0]["losses"]["style"] == [1.0, None, None, None, 0.5]
    assert page_data(tmp_path, make(tmp_path, [], each={"losses": {}}))["cells"][0]["steps"] == []


def test_a_hostile_name_cannot_leave_the_data(tmp_path):
    sweep = make(tmp_path, [axis("style", HOSTILE, "<!--<script>")], title=HOSTILE, each={"command": HOSTILE})
    text = write_page(tmp_path, sweep).read_text("utf-8")
    template = (files("jaxstyle") / "report_page.html").read_text("utf-8")
    assert text.count("<script") == template.count("<script") and "<img src=x" not in text
    data = embedded(tmp_path / "report.html")
    assert data["title"] == HOSTILE == data["axes"][0]["values"][0] == data["cells"][0]["command"]


def test_the_page_names_nothing_outside_itself():
    for kind in ("html", "js"):
        text = (files("jaxstyle") / f"report_page.{kind}").read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|//[a-z]+\.|@import|url\(|fetch\(|innerHTML|insertAdjacentHTML|eval\(", text)


def test_files_are_replaced_in_one_step(tmp_path, monkeypatch):
    sweep = make(tmp_path, [STYLES])
    for write in (contact_sheet, write_page):
        before = write(tmp_path, sweep).read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "no space")))
            with pytest.raises(OSError, match="no space"):
                write(tmp_path, sweep)
        assert write(tmp_path, sweep).read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"art", "cells", "content.png", "report.html", "sheet.png"}


def test_a_picture_that_is_gone_is_named(tmp_path):
    sweep = make(tmp_path, [STYLES])
    (tmp_path / sweep.cells[1].file).unlink()
    for write in (contact_sheet, write_page):
        with pytest.raises(InputError, match=r"1\.png does not exist"):
            write(tmp_path, sweep)


@pytest.mark.parametrize("index", [(2,), (0, 0), ()])
def test_a_cell_off_the_grid_is_refused(index):
    with pytest.raises(ValueError, match="place of its own"):
        Sweep("t", (STYLES,), (cell(index),), (Source("a", "a.png"),), ())


def test_two_cells_in_one_place_are_refused():
    with pytest.raises(ValueError, match="place of its own"):
        Sweep("t", (STYLES,), (cell((0,)), cell((0,))), (Source("a", "a.png"),), ())


# -------------------------------------------------------------------------------------------------- in a real browser


def absent(reason):
    if os.environ.get("JAXSTYLE_REQUIRE_BROWSER"):
        pytest.fail(f"JAXSTYLE_REQUIRE_BROWSER is set, and {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        absent("playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        absent("there is no chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


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


@pytest.mark.parametrize("axes", [[], [axis("seed", *range(23))], [axis("size", 64)]], ids=len)
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
@pytest.mark.parametrize("width", [390, 861])
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
