"""The contact sheet by its pixels."""

import numpy as np
import pytest
from PIL import Image

from jaxstyle.pictures.write import save_image
from jaxstyle.report.contact_sheet import contact_sheet
from jaxstyle.report.contact_sheet_layout import Caption, lay_out
from jaxstyle.report.page import write_page
from jaxstyle.report.summary import Sweep
from jaxstyle.report.thumbnails import read
from sheets import CONTENTS, STYLES, WEIGHTS, boxes_of, colour_of, make, pixels_of, put

pytestmark = pytest.mark.quick


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
    image = read(tmp_path / sweep.cells[0].file, lambda size: 1.0)
    assert np.asarray(image)[:14].min() == 255 and np.asarray(image)[18:].max() == 0


def test_nothing_done_and_no_sources_make_a_sheet_of_frames(tmp_path):
    sweep = Sweep("nothing yet", (WEIGHTS,), (), (), ())
    with Image.open(contact_sheet(tmp_path, sweep)) as sheet:
        assert min(sheet.size) > 100
    assert write_page(tmp_path, sweep).stat().st_size > 0
