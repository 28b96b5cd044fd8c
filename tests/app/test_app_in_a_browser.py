"""The app as a visitor uses it, in a real browser: upload, paint, stop, explore, take a cell, download; and what goes
wrong there."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from browsing import chromium
from commandline import picture, pixels, shell
from jaxstyle.pictures.read import load_image

pytestmark = pytest.mark.slow
pytest.importorskip("gradio")

LOOKS = os.environ.get("JAXSTYLE_LOOKS")  # a folder for pictures of the page
WAIT = 150_000  # ms; a loaded machine compiles for long


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


class Server:
    """The app in a process of its own, with a folder for temporary files of its own."""

    def __init__(self, folder: Path, *limits: str) -> None:
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.said = folder / "said.txt"
        environment = os.environ | {"TMPDIR": str(self.temporary), "JAXSTYLE_CACHE": str(folder / "cache")}
        words = [sys.executable, "-m", "jaxstyle.cli", "app", *limits]
        with open(self.said, "w") as said:
            self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=said, text=True, env=environment)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.stdout is not None
        with self.process.stdout:
            return self.process.wait(90)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("app"), "--most-megabytes", "1", "--most-megapixels", "2")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", server.address), server.said.read_text()
    yield server
    if server.process.poll() is None:
        server.end()


@pytest.fixture
def visit(browser: Any, server: Server, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Opens the app; at the end there was no error on the page, and nothing was asked for elsewhere."""
    problems: list[str] = []
    contexts = []

    def opened(width: int = 1280, height: int = 1000, context: Any = None, at: str = "", **options: Any) -> Any:
        if context is None:
            context = browser.new_context(viewport={"width": width, "height": height}, **options)
            contexts.append(context)
        context.set_default_timeout(WAIT)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(f"error: {error}"))
        page.on("dialog", lambda dialog: problems.append(f"dialog: {dialog.message}"))
        page.goto(at or server.address)
        page.locator("#paint").wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not problems


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    picture(folder / "harbour.png", 1, size=(80, 64))
    picture(folder / "strokes.png", 2)
    picture(folder / "other.png", 3)
    return folder


def look(page: Any, name: str) -> None:
    if LOOKS:
        page.screenshot(path=Path(LOOKS, f"{name}.png"), full_page=True)


def give(page: Any, content: Path | str, *styles: Path | str) -> None:
    page.locator("#content input[type=file]").set_input_files(content)
    page.locator("#content img").wait_for()
    page.locator("#styles input[type=file]").set_input_files(styles)
    page.locator("#styles img").nth(len(styles) - 1).wait_for()


def choose(page: Any, **numbers: int) -> None:
    if not page.get_by_label("number input for Steps at each size").is_visible():
        page.get_by_text("More settings").click()
    for label, value in {"Size, long side in pixels": numbers["size"], "Steps at each size": numbers["steps"]}.items():
        box = page.get_by_label(f"number input for {label}")
        box.fill(str(value))
        box.press("Tab")


def until(page: Any, words: str, place: str = "#line") -> str:
    page.locator(place).get_by_text(re.compile(words)).first.wait_for()
    return str(page.locator(place).inner_text())


def downloaded(page: Any, folder: Path, what: str = "#download") -> Path:
    with page.expect_download() as found:
        page.locator(what).click()
    path = folder / found.value.suggested_filename
    found.value.save_as(path)
    return path


def test_from_two_files_to_a_picture_that_its_record_makes_again(
    visit: Callable[..., Any], files: Path, tmp_path: Path
) -> None:
    page = visit()
    look(page, "desktop_empty")
    give(page, files / "harbour.png", files / "strokes.png", files / "other.png")
    choose(page, size=64, steps=2)
    page.locator("#paint").click()
    line = until(page, "done")
    assert re.match(r"done, \d+ s; loss [\d.e-]+ \(content ", line)
    look(page, "desktop_done")
    page.get_by_role("tab", name="History").click()
    assert page.locator("#history img").count() == 1
    page.get_by_role("tab", name="Curve").click()
    page.locator("#curve .vega-embed canvas, #curve .vega-embed svg").first.wait_for()
    look(page, "desktop_curve")
    path = downloaded(page, tmp_path)
    with Image.open(path) as image:
        record = json.loads(image.info["jaxstyle"])
    assert record["content"]["file"] == "harbour.png" and image.size == (64, 51)
    assert [style["file"] for style in record["styles"]] == ["strokes.png", "other.png"]
    assert not re.search(r"/tmp|gradio|temporary", json.dumps(record))
    page.get_by_role("tab", name="Command line").click()
    command = page.locator("#command .cm-content").inner_text().replace("\n", " ")
    assert command.startswith("jaxstyle transfer harbour.png strokes.png other.png -o jaxstyle_001.png --")
    # The command, and the record itself at the same settings, give the same pixels.
    for name in ("harbour.png", "strokes.png", "other.png"):
        shutil.copy(files / name, tmp_path)
    words = command.split()[1:]
    assert shell(*words, "-o", "again.png", cwd=tmp_path).returncode == 0
    np.testing.assert_array_equal(pixels(tmp_path / "again.png"), pixels(path))
    again = ("--from", path.name, "-o", "from.png", "--init", "content", "--min-size", "64", "--size", "64")
    assert shell("transfer", *again, cwd=tmp_path).returncode == 0
    np.testing.assert_array_equal(pixels(tmp_path / "from.png"), pixels(path))


def stroke(page: Any, across: tuple[float, float], down: float) -> None:
    """Paints with the mouse, from left to right over a part of the place that regions are painted in."""
    box = page.locator("#regions canvas").first
    box.scroll_into_view_if_needed()
    box = box.bounding_box()
    y = box["y"] + down * box["height"]
    page.mouse.move(box["x"] + across[0] * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + across[1] * box["width"], y, steps=10)
    page.mouse.up()


def test_a_region_that_is_painted_with_the_mouse(visit: Callable[..., Any], files: Path, tmp_path: Path) -> None:
    page = visit()
    page.get_by_text("Regions", exact=True).click()
    page.locator("#regions canvas").first.wait_for()
    look(page, "desktop_regions_empty")
    with page.expect_response(re.compile(r"/file=.*\.webp")):  # what is painted on
        give(page, files / "harbour.png", files / "strokes.png")
    choose(page, size=64, steps=2)
    stroke(page, (0.55, 0.75), 0.5)
    page.locator("#regions button[aria-label=Undo]:not([disabled])").wait_for()
    look(page, "desktop_regions")
    page.get_by_text("Regions", exact=True).click()  # closed, it is as it was
    page.locator("#paint").click()
    until(page, "done, ")
    look(page, "desktop_regions_done")
    mask = downloaded(page, tmp_path, "#masks a")
    path = downloaded(page, tmp_path)
    with Image.open(path) as image:
        record = json.loads(image.info["jaxstyle"])
    assert [one["file"] for one in record["masks"]] == [mask.name]
    assert record["masks"][0]["sha256"] == hashlib.sha256(mask.read_bytes()).hexdigest()
    shutil.copy(files / "harbour.png", tmp_path)
    shutil.copy(files / "strokes.png", tmp_path)
    # The stroke is right of the middle, and alone; beyond it the picture is the content's.
    with Image.open(mask) as image:
        assert image.size == (768, 614)
        painted = np.asarray(image)[..., 0] > 0
        shrunk = np.asarray(image.convert("L").resize((64, 51), Image.Resampling.BOX)) > 0
    assert 0.02 < painted.mean() < 0.3 and painted[:, 384:].any() and not painted[:, :300].any()
    content = np.rint(load_image(tmp_path / "harbour.png", 64) * 255)
    changed = np.abs(pixels(path) - content).max(2)
    assert (changed[~shrunk] <= 1).all() and changed[shrunk].mean() > 5
    again = ("--from", path.name, "-o", "from.png", "--init", "content", "--min-size", "64", "--size", "64")
    assert shell("transfer", *again, cwd=tmp_path).returncode == 0
    np.testing.assert_array_equal(pixels(tmp_path / "from.png"), pixels(path))
    # Without paint there is no mask, and none to download.
    page.get_by_text("Regions", exact=True).click()
    page.get_by_label("Clear canvas").click()
    page.locator("#paint").click()
    page.locator("#masks").wait_for(state="hidden")
    until(page, "done, ")
    with Image.open(downloaded(page, tmp_path)) as image:
        assert "masks" not in json.loads(image.info["jaxstyle"])


def test_stop_keeps_the_picture_and_a_second_visitor_waits(
    visit: Callable[..., Any], files: Path, tmp_path: Path
) -> None:
    first, second = visit(), visit()
    for page in (first, second):
        give(page, files / "harbour.png", files / "strokes.png")
        choose(page, size=64, steps=300 if page is first else 1)
        page.locator("#paint").click()
        if page is first:
            until(page, r"step \d+ of 300")
    second.get_by_text(re.compile(r"queue: ")).first.wait_for()
    look(second, "desktop_waiting")
    look(first, "desktop_live")
    first.locator("#stop").click()
    until(first, "stopped, ")
    with Image.open(downloaded(first, tmp_path)) as image:
        record = json.loads(image.info["jaxstyle"])
    assert record["status"] == "stopped" and 0 < record["step"] < 300
    until(second, "done, ")
    second.locator("#stop").click()
    second.get_by_text("Nothing is running").wait_for()


def test_a_reload_in_the_middle_keeps_what_there_is(visit: Callable[..., Any], files: Path) -> None:
    page = visit()
    give(page, files / "harbour.png", files / "strokes.png")
    choose(page, size=64, steps=300)
    page.locator("#paint").click()
    until(page, r"step \d+ of 300")
    page.reload()
    page.get_by_role("tab", name="History").click()
    page.locator("#history img").wait_for()
    page.locator("#history button.thumbnail-item").first.click()
    until(page, "stopped, ")
    page.get_by_text("More settings").click()
    assert page.get_by_label("number input for Steps at each size").input_value() == "300"
    page.close()  # nothing of this visitor is at work; the next one need not wait
    other = visit()
    give(other, files / "harbour.png", files / "strokes.png")
    choose(other, size=64, steps=1)
    other.locator("#paint").click()
    until(other, "done, ")


def test_a_cell_of_a_grid_is_the_next_start(visit: Callable[..., Any], files: Path, tmp_path: Path) -> None:
    page = visit(width=390, height=844, is_mobile=True, has_touch=True, color_scheme="dark")
    look(page, "phone_empty")
    give(page, files / "harbour.png", files / "strokes.png")
    choose(page, size=64, steps=1)
    page.get_by_role("tab", name="Explore").click()
    page.get_by_label("Values").nth(0).fill("5 50")
    page.get_by_label("Values").nth(1).fill("1")
    page.locator("#explore").click()
    until(page, "2 of 2 pictures, ", "#about")
    look(page, "phone_grid")
    assert page.locator("#grid img").count() == 2
    page.locator("#grid button.thumbnail-item").nth(1).click()
    page.locator("#start img").wait_for()
    assert page.get_by_label("number input for Style weight").input_value() == "50"
    cell = until(page, "done, ")
    page.locator("#paint").click()
    page.locator("#line").filter(has_text="done, ", has_not_text=cell.strip()).wait_for()
    look(page, "phone_done")
    with Image.open(downloaded(page, tmp_path)) as image:
        record = json.loads(image.info["jaxstyle"])
    assert record["init"]["file"] == "cell_1_0.png" and record["settings"]["style_weight"] == 50
    assert record["settings"]["tv_weight"] == 1


def test_what_is_no_picture_or_too_large_is_refused_in_one_line(
    visit: Callable[..., Any], server: Server, tmp_path: Path, files: Path
) -> None:
    page = visit()
    (tmp_path / "text.jpg").write_text("no picture at all\n" * 100)
    hostile = tmp_path / "<script>alert(1)<img src=x onerror=alert(2)>.jpg"
    hostile.write_text("no picture either\n" * 100)
    Image.new("1", (2000, 1500)).save(tmp_path / "wide.png")  # 3 million pixels in some hundred bytes
    (tmp_path / "heavy.png").write_bytes((files / "harbour.png").read_bytes() + bytes(2_000_000))
    told = {"text.jpg": "is not a picture", hostile.name: "is not a picture", "wide.png": "2000 x 1500 pixels"}
    told |= {"heavy.png": "more than 1 MB"}
    for name, words in told.items():
        page.locator("#content input[type=file]").set_input_files(tmp_path / name)
        toast = page.locator(".toast-body").filter(has_text=re.compile(words)).first
        toast.wait_for()
        look(page, f"desktop_refused_{name[:4].strip('<')}")
        assert page.locator("#content img").count() == 0
        page.reload()
        page.locator("#paint").wait_for()
    page.locator("#paint").click()
    page.get_by_text("Give a content and at least one style").wait_for()
    give(page, files / "harbour.png", files / "strokes.png")
    assert server.process.poll() is None


def test_of_50_megabytes_or_100_megapixels_one_line_is_said_and_the_app_goes_on(
    visit: Callable[..., Any], files: Path, tmp_path: Path
) -> None:
    (tmp_path / "heavy.png").write_bytes((files / "harbour.png").read_bytes() + os.urandom(50 * 10**6))
    Image.new("1", (10_000, 10_000)).save(tmp_path / "wide.png")
    assert (tmp_path / "wide.png").stat().st_size < 10**5
    usual = Server(tmp_path)
    page = visit(at=usual.address)
    toast = page.locator(".toast-body")

    def refused(place: str, name: str, words: str) -> None:
        page.locator(f"{place} input[type=file]").set_input_files(tmp_path / name)
        toast.filter(has_text=re.compile(words)).wait_for()
        page.wait_for_timeout(2000)  # in which a second one would come
        assert toast.count() == 1
        page.get_by_test_id("toast-close").click()
        toast.wait_for(state="detached")

    many = r"wide\.png has 10000 x 10000 pixels; at most 50 million are taken"
    refused("#styles", "wide.png", many)
    refused("#styles", "heavy.png", "[Mm]aximum|[Ss]ize|[Ll]arge")
    page.reload()
    page.locator("#styles input[type=file]").set_input_files(files / "strokes.png")
    page.locator("#styles img").wait_for()
    refused("#content", "wide.png", many)  # with a style there, the preview looks at it, too
    refused("#content", "heavy.png", "[Mm]aximum|[Ss]ize|[Ll]arge")
    page.reload()
    give(page, files / "harbour.png", files / "strokes.png")
    choose(page, size=64, steps=1)
    page.locator("#paint").click()
    until(page, "done, ")
    page.close()
    assert usual.end() == 0
    assert not [path for path in usual.temporary.rglob("*") if path.is_file()]


def test_at_the_end_nothing_is_left(browser: Any, server: Server) -> None:
    assert any(server.temporary.rglob("*.png"))  # so that the search does find them
    assert server.end() == 0
    left = [path for path in server.temporary.rglob("*") if path.is_file()]
    assert not left, left[:5]
