"""`jaxstyle batch`: many pictures in one manner; few programs, going on, and files that are no pictures."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commandline import SHALLOW, Said, listing, picture, refused
from jaxstyle.cli.contents import contents_of, file_names
from jaxstyle.engine import steps
from jaxstyle.errors import InputError
from jaxstyle.pictures.read import load_image, load_picture
from jaxstyle.pictures.write import read_record

pytestmark = pytest.mark.usefixtures("folder")
QUICK = ("--style", "s.png", "-o", "out", "--size", "64", "--steps", "2", "--lanes", "1", *SHALLOW, "--quiet")


def photos(folder: Path, *sizes: tuple[int, int]) -> list[str]:
    folder.mkdir(exist_ok=True)
    return [str(picture(folder / f"p{k}.png", 10 + k, size=size)) for k, size in enumerate(sizes)]


def test_the_short_side_is_the_nearest_multiple(tmp_path: Path) -> None:
    for size, expected in (((100, 71), (48, 64)), ((71, 100), (64, 48)), ((64, 64), (64, 64)), ((200, 60), (16, 64))):
        path = picture(tmp_path / "p.png", size=size)
        assert load_picture(path, 64, multiple=16).pixels.shape[:2] == expected
    values = np.asarray(Image.open(picture(tmp_path / "p.png", size=(64, 48))), np.float32) / 255
    np.testing.assert_allclose(load_picture(tmp_path / "p.png", 64, multiple=16).pixels, values, atol=1e-6)


def test_a_batch(call: Callable[..., Said], folder: Path) -> None:
    photos(folder / "photos", (100, 71), (64, 48))
    (folder / "photos/bad.jpg").write_bytes((folder / "c.png").read_bytes()[:60])
    (folder / "photos/notes.txt").write_text("left alone")
    said = call("batch", "photos", "c.png", *QUICK)
    assert said.code == 1 and said.out == "out/report.html\n"
    failed, passed = said.err.splitlines()
    assert failed.startswith("jaxstyle: 1 of 4 pictures failed: photos/bad.jpg is damaged or cut short")
    assert passed == "jaxstyle: no pictures, and passed over: photos/notes.txt"
    results = {f"out/{name}.{end}" for name in ("c", "p0", "p1") for end in ("png", "json")}
    assert {x for x in listing(folder) if x.startswith("out/")} == results | {
        "out/sheet.png",
        "out/report.html",
        "out/sweep.json",
    }
    # Each is the transfer of its picture by itself; this one has a shape that needs no rounding.
    assert call("transfer", "c.png", "s.png", "-o", "alone.png", *QUICK[4:8], *SHALLOW, "--quiet").code == 0
    assert np.abs(load_image("out/c.png") - load_image("alone.png")).max() < 1.5 / 255
    assert read_record("out/p0.png")["content"]["file"] == "photos/p0.png"
    assert load_image("out/p0.png").shape == (48, 64, 3)


@pytest.mark.slow
def test_one_program_for_each_shape_and_the_same_command_goes_on(
    call: Callable[..., Said], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = photos(folder / "photos", (100, 71), (64, 48), (64, 45), (64, 50))
    tall = str(picture(folder / "tall.png", 5, size=(48, 64)))
    traces, size = [], ("--size", "80")  # which no other test has compiled
    original = steps.loss_terms
    monkeypatch.setattr(steps, "loss_terms", lambda *args, **options: traces.append(1) or original(*args, **options))

    def traced(*words: str) -> int:
        before = len(traces)
        assert call("batch", *words, *QUICK, *size).code == 0
        return len(traces) - before

    first = traced(*wide[:2])
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "out").glob("p*.png")}
    assert first > 0 and len(before) == 2
    assert traced("photos") == 0  # two more of the same shape, once rounded
    assert 0 < traced("photos", tall) <= first
    assert {name: (folder / "out" / name).stat().st_mtime_ns for name in before} == before
    cells = json.loads((folder / "out/sweep.json").read_text())["cells"]
    assert [cell["file"] for cell in cells] == ["p0.png", "p1.png", "p2.png", "p3.png", "tall.png"]
    said = call("batch", "photos", tall, *QUICK[:-1], *size)
    assert said.code == 0 and "5 of 5 pictures are there already" in said.err


def test_names_of_results() -> None:
    files = ["a/x.jpg", "b/X.png", "b/x.png", "y.v2.tif", "c/b/x.png"]
    assert file_names(files) == ["x_jpg.png", "X_png.png", "x_png_2.png", "y.v2.png", "x_png_3.png"]


def test_refused(call: Callable[..., Said], folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "bad.png").write_bytes(b"")
    refused(call("batch", "empty", *QUICK), 2, "the folder empty has no pictures in it")
    refused(call("batch", "bad.png", *QUICK), 2, "bad.png is empty (0 bytes)")
    refused(call("batch", "bad.png", "absent.png", *QUICK), 2, "none of 2 pictures can be read; bad.png is empty")
    refused(call("batch", "c.png", "--style", "absent.png", *QUICK[2:]), 2, "absent.png does not exist")
    refused(call("batch", "c.png", *QUICK[:3], ".", *QUICK[4:]), 2, "c.png would replace c.png, which is read")
    assert not (folder / "out").exists()
    (folder / "out").mkdir()
    picture(folder / "out/c.png")
    refused(call("batch", "c.png", *QUICK), 2, "out/c.png is there already, and no result of jaxstyle")
    with pytest.raises(InputError, match="501 pictures are too many at once; it can be at most 500"):
        contents_of([f"{k}.png" for k in range(501)])
    assert contents_of(["c.png", "c.png", "s.png"]) == (["c.png", "s.png"], [])
