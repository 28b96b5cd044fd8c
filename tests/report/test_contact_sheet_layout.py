"""Where everything stands on a contact sheet: by its boxes."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from jaxstyle.report import contact_sheet_layout as layout
from jaxstyle.report.contact_sheet_layout import Caption, lay_out
from jaxstyle.report.summary import places
from sheets import CONTENTS, LONG, STYLES, WEIGHTS, axis, boxes_of


def ink_of(label):
    """The box of what is drawn of a label's text."""
    around = 40
    left, top, right, bottom = label.box
    page = Image.new("L", (right - left + 2 * around, bottom - top + 2 * around), 255)
    label.moved(around - left, around - top).draw(ImageDraw.Draw(page))
    ink = ImageOps.invert(page).getbbox()
    return [edge + (left, top)[k % 2] - around for k, edge in enumerate(ink)]


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
        left, top, right, bottom = label.box
        ink = ink_of(label)
        assert ink[0] >= left - 1 and ink[1] >= top and ink[2] <= right + 1 and ink[3] <= bottom, label
        assert label.font_size >= 16


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
    axes = [axis("style", text, "b"), CONTENTS]
    sheet = lay_out(text, axes, [(40, 30)], [Caption("content", text)], [(40, 30)])
    check_layout(sheet, axes)
    letters = ["".join(label.lines).replace(" ", "") for label in sheet.labels]
    assert letters.count(text.replace(" ", "")) == 3
    assert max(len(label.lines) for label in sheet.labels) > 2


def test_names_in_other_letters_can_be_told_apart():
    sheet = lay_out("Tübingen \n\udcff", [axis("style", "夜", "雨", "a")], [(40, 30)], [], [])
    texts = [shown(label) for label in sheet.labels]
    assert texts[0] == "Tubingen ??" and {"1: ?", "2: ?", "3: a"} <= set(texts)
