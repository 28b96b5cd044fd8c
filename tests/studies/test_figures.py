"""Figures: three files or none, their sizes, names that are no formula, pictures whose pixels are in the PDF."""

import json
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxstyle.errors import InputError
from jaxstyle.studies import figures
from jaxstyle.studies.figures import check_figure, line_style, new_figure, picture_grid, save_figure, show_picture

PICTURE = np.random.default_rng(0).random((24, 40, 3), dtype=np.float32)


def test_a_figure_is_a_png_a_pdf_and_its_data(tmp_path: Path) -> None:
    figure = new_figure(4.0, 3.0, title="a $title of a_file.jpg")
    axes = figure.subplots()
    axes.plot([1, 2, 3], **line_style(0))
    save_figure(tmp_path / "f.png", figure, {"x": np.float32([1, np.nan]), "name": "é"})
    assert {path.name for path in tmp_path.iterdir()} == {"f.png", "f.pdf", "f.json"}
    with Image.open(tmp_path / "f.png") as image:
        assert image.size == (800, 600) and abs(image.info["dpi"][0] - 200) < 0.1
    assert (tmp_path / "f.pdf").read_bytes().startswith(b"%PDF")
    data = json.loads((tmp_path / "f.json").read_text())
    assert data == {"mark": data["mark"], "x": [1, None], "name": "é"}


def test_the_same_figure_is_the_same_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        figure, (axes,) = picture_grid(1, 0.6)
        show_picture(axes, PICTURE, "t")
        save_figure(tmp_path / f"{name}.png", figure, {})
    for suffix in (".png", ".pdf"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_a_pdf_holds_a_picture_pixel_by_pixel(tmp_path: Path) -> None:
    figure, (axes,) = picture_grid(1, 0.6)
    show_picture(axes, PICTURE, "t")
    save_figure(tmp_path / "f.png", figure, {})
    pdf = (tmp_path / "f.pdf").read_bytes()
    assert re.search(rb"/Height 24\b", pdf) and re.search(rb"/Width 40\b", pdf)
    streams = [
        zlib.decompress(x) for x in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL) if x[:1] == b"x"
    ]
    assert any(len(stream) >= 24 * 40 * 3 for stream in streams)


def test_no_label_is_cut_off_and_none_lies_on_another(tmp_path: Path) -> None:
    title = (
        "A_FILE_OF_A_NAME_THAT_IS_WIDER_THAN_ANY_FIGURE_WAS_MADE_FOR_AND_HAS_NO_SPACES_AT_ALL.jpg: seven pictures of it"
    )
    figure, axes = picture_grid(7, 0.6, title=title, lines=3)
    for one in axes:
        show_picture(one, PICTURE, "a layer\nPSNR 20.1 dB, SSIM 0.123\nfeature error 0.12 %")
    save_figure(tmp_path / "f.png", figure, {})
    width, height = figure.bbox.width, figure.bbox.height
    assert len(figure.texts) == 1
    boxes = (
        [text.get_window_extent() for text in figure.texts]
        + [one.title.get_window_extent() for one in axes]
        + [one.get_window_extent() for one in axes]
    )
    for box in boxes:
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
    for i, box in enumerate(boxes):
        for other in boxes[:i]:
            apart = box.x0 >= other.x1 or other.x0 >= box.x1 or box.y0 >= other.y1 - 1 or other.y0 >= box.y1 - 1
            assert apart, (i, box, other)


@pytest.mark.quick
def test_lines_differ_in_colour_or_dash() -> None:
    assert len({(style["color"], style["linestyle"]) for style in map(line_style, range(28))}) == 28


def test_a_failure_leaves_the_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = new_figure(1.0, 1.0)
    save_figure(tmp_path / "f.png", figure, {"old": 1})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(figures.json, "dumps", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_figure(tmp_path / "f.png", figure, {"new": 2})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.quick
def test_names_that_no_figure_can_have(tmp_path: Path) -> None:
    (tmp_path / "d.pdf").mkdir()
    for name, words in (("f.jpg", "end in .png"), ("no/f.png", "no directory"), ("d.png", "is a directory")):
        with pytest.raises(InputError, match=words):
            check_figure(tmp_path / name)
    assert check_figure(tmp_path / "f.png") == tmp_path / "f.png" and len(list(tmp_path.iterdir())) == 1
