"""The page of a sweep: one HTML file to go through its pictures with, which needs nothing beside it."""

import json
import os
import re
import urllib.parse
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from jaxstyle.files import StrPath, plain_values, write_files
from jaxstyle.marks import UNSEALED, sealed
from jaxstyle.report.summary import Cell, Source, Sweep
from jaxstyle.report.thumbnails import embedded

PAGE = "report.html"
SOURCE_SIDE = 640  # of a square with as many pixels as a source has at most
CELL_PIXELS, PAGE_PIXELS = 2_000_000, 40_000_000  # of a picture on the page, and of all: some 10 MB of WebP
CURVE_POINTS = 500


def write_page(folder: StrPath, sweep: Sweep, *, name: str = PAGE) -> Path:
    """Writes `name` in `folder`, a page to go through `sweep` with; it needs neither a network nor another file.

    Raises `InputError` for a picture that cannot be read.
    """
    target = Path(folder) / name
    # Pure ASCII and no "<": whatever the names hold, nothing can end the element that holds the data.
    data = json.dumps(page_data(folder, sweep), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    template, script = ((files("jaxstyle.report") / f"page.{kind}").read_text("utf-8") for kind in ("html", "js"))
    head, before, between, after = re.split(r"\{\{seal\}\}|\{\{data\}\}|\{\{script\}\}", template)
    page = sealed(f"{head}{UNSEALED}{before}{data}{between}{script.strip()}{after}".encode())
    write_files({target: lambda file: file.write(page)})
    return target


def page_data(folder: StrPath, sweep: Sweep) -> dict[str, Any]:
    """All that the page shows, as plain values; pictures as data URIs."""
    root, limit = Path(folder), min(CELL_PIXELS, PAGE_PIXELS // max(1, len(sweep.cells)))

    def source(given: Source) -> dict[str, Any]:
        return {"label": given.label, **embedded(root / given.path, SOURCE_SIDE**2)}

    def cell(given: Cell) -> dict[str, Any]:
        picture = {} if given.file is None else embedded(root / given.file, limit) | {"href": address(given.file)}
        styles = range(len(sweep.styles)) if given.styles is None else given.styles
        return vars(given) | {"styles": list(styles), **picture, **_curves(given.losses)}

    return plain_values(
        {
            "title": sweep.title,
            "axes": [vars(axis) for axis in sweep.axes],
            "contents": [source(content) for content in sweep.contents],
            "styles": [source(style) for style in sweep.styles],
            "cells": [cell(done) for done in sweep.cells],
        }
    )


def address(path: str) -> str:
    """A file's address from the page: its name's bytes, whatever they are, in what a link may hold."""
    return "./" + urllib.parse.quote(os.fsencode(path))


def _curves(losses: Mapping[str, Any]) -> dict[str, Any]:
    """The curves at no more than `CURVE_POINTS` of their steps, the first and last among them, to five digits."""
    curves = {term: np.asarray(values, dtype=np.float64).ravel() for term, values in losses.items()}
    count = max((curve.size for curve in curves.values()), default=0)
    kept = np.unique(np.linspace(0, count - 1, min(count, CURVE_POINTS)).round().astype(int))
    rounded = {
        term: [float(f"{curve[i]:.5g}") for i in kept if i < curve.size]  # shorter where a run broke off
        for term, curve in curves.items()
    }
    return {"steps": kept + 1, "losses": rounded}
