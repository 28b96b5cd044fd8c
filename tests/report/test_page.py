"""The data in a sweep's page, and the page as a file."""

import base64
import io
import json
import math
import os
import re
from importlib.resources import files

import numpy as np
import pytest
from PIL import Image

from jaxstyle.errors import InputError
from jaxstyle.pictures.write import save_image
from jaxstyle.report import page
from jaxstyle.report.contact_sheet import contact_sheet
from jaxstyle.report.page import page_data, write_page
from sheets import CONTENTS, HOSTILE, STEPS, STYLES, WEIGHTS, axis, make

pytestmark = pytest.mark.quick

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
    monkeypatch.setattr(page, "PAGE_PIXELS", 3000)
    sweep = make(tmp_path, [STYLES], size=(96, 32))
    held = page_data(tmp_path, sweep)["cells"][0]
    assert held["width"] * held["height"] <= 1550 and abs(held["width"] / held["height"] - 3) < 0.1


def test_curves_are_thinned_and_odd_numbers_left_out(tmp_path):
    curve = np.linspace(1, 2, 2001)
    sweep = make(tmp_path, [], each={"losses": {"total": curve, "style": [1.0, None, math.nan, math.inf, 0.5]}})
    (held,) = page_data(tmp_path, sweep)["cells"]
    steps, total = np.array(held["steps"]), np.array(held["losses"]["total"])
    assert len(steps) == page.CURVE_POINTS and (steps[0], steps[-1]) == (1, 2001)
    np.testing.assert_allclose(total, curve[steps - 1], rtol=1e-4)
    short = make(tmp_path, [], each={"losses": {"style": [1.0, None, math.nan, math.inf, 0.5]}})
    assert page_data(tmp_path, short)["cells"][0]["losses"]["style"] == [1.0, None, None, None, 0.5]
    assert page_data(tmp_path, make(tmp_path, [], each={"losses": {}}))["cells"][0]["steps"] == []


def test_a_hostile_name_cannot_leave_the_data(tmp_path):
    sweep = make(tmp_path, [axis("style", HOSTILE, "<!--<script>")], title=HOSTILE, each={"command": HOSTILE})
    text = write_page(tmp_path, sweep).read_text("utf-8")
    template = (files("jaxstyle.report") / "page.html").read_text("utf-8")
    assert text.count("<script") == template.count("<script") and "<img src=x" not in text
    data = embedded(tmp_path / "report.html")
    assert data["title"] == HOSTILE == data["axes"][0]["values"][0] == data["cells"][0]["command"]


def test_the_page_names_nothing_outside_itself():
    for kind in ("html", "js"):
        text = (files("jaxstyle.report") / f"page.{kind}").read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
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
