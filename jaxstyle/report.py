"""What a sweep shows of itself: a contact sheet, one PNG, and a page, one HTML file that needs nothing beside it.

A sweep is a grid: any number of axes, each a setting with the values that it takes, and a picture at each place
that is done. Files are named from the sweep's folder; nothing here imports JAX.
"""

import base64
import contextlib
import io
import json
import math
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from jaxstyle.files import StrPath, plain_values, write_files
from jaxstyle.images import load_picture, resize
from jaxstyle.layout import Axis, Caption, Place, Size, lay_out, places, scaled

SHEET, PAGE = "sheet.png", "report.html"
SOURCE_SIDE = 640  # of a square with as many pixels as a source has at most
CELL_PIXELS, PAGE_PIXELS = 2_000_000, 40_000_000  # of a picture on the page, and of all: some 10 MB of WebP
CURVE_POINTS = 500

FRAME, EMPTY = "#c9ccd1", "#f4f5f6"


class Source(NamedTuple):
    """A picture that the sweep was made from, its path from the sweep's folder or from the root."""

    label: str
    path: str


@dataclass(frozen=True, eq=False)
class Cell:
    """One place of the grid that is done, with all that there is to say of it."""

    index: Place
    file: str | None  # PNG, from the sweep's folder; None where the run left no picture
    losses: Mapping[str, Any]  # term -> one number for each step over all scales, None or NaN where there is none
    final: Mapping[str, float | None]  # term -> its number at the last step
    seconds: float
    command: str  # makes this cell alone, at full size
    settings: Mapping[str, Any]
    content: int = 0  # which of the sweep's contents
    styles: tuple[int, ...] | None = None  # which of the sweep's styles; None for all of them


@dataclass(frozen=True, eq=False)
class Sweep:
    """A grid of results, done or in part. The last two axes are its rows and columns."""

    title: str
    axes: tuple[Axis, ...]
    cells: tuple[Cell, ...]
    contents: tuple[Source, ...]
    styles: tuple[Source, ...]

    def __post_init__(self) -> None:
        taken = {cell.index for cell in self.cells}
        if not taken <= set(places(self.axes)) or len(taken) < len(self.cells):
            raise ValueError("each cell has a place of its own in the grid of the axes")
        if not all(cell.content in range(len(self.contents)) for cell in self.cells):
            raise ValueError("each cell has a content among those of the sweep")


def contact_sheet(folder: StrPath, sweep: Sweep, *, name: str = SHEET) -> Path:
    """Writes `name` in `folder`, all pictures of `sweep` in one labelled grid, beside what they are made from.

    Places that are not done stay empty frames. Raises `InputError` for a picture that cannot be read.
    """
    root, target = Path(folder), Path(folder) / name
    done = {cell.index: root / cell.file for cell in sweep.cells if cell.file is not None}
    captions = [Caption("content", label) for label, _ in sweep.contents]
    captions += [Caption("style", label) for label, _ in sweep.styles]
    sources = [_read(root / source.path, _within(SOURCE_SIDE**2)) for source in (*sweep.contents, *sweep.styles)]
    source_sizes = [source.size for source in sources]
    cell_sizes = [_size(path) for path in done.values()] or source_sizes or [(4, 3)]
    layout = lay_out(sweep.title, sweep.axes, cell_sizes, captions, source_sizes)

    sheet = Image.new("RGB", (layout.width, layout.height), "white")
    draw = ImageDraw.Draw(sheet)
    for source, (left, top, right, bottom) in zip(sources, layout.sources, strict=True):
        sheet.paste(source.resize((right - left, bottom - top), Image.Resampling.LANCZOS), (left, top))
    for place, (left, top, right, bottom) in layout.cells.items():
        if place in done:
            picture = _read(done[place], _fitting((right - left, bottom - top)))
            middle = (left + right - picture.width) // 2, (top + bottom - picture.height) // 2
            sheet.paste(picture, middle)
        else:
            draw.rectangle((left, top, right - 1, bottom - 1), EMPTY, FRAME)
    for label in layout.labels:
        label.draw(draw)
    encoded = io.BytesIO()
    sheet.save(encoded, format="PNG")
    write_files({target: lambda file: file.write(encoded.getbuffer())})
    return target


def write_page(folder: StrPath, sweep: Sweep, *, name: str = PAGE) -> Path:
    """Writes `name` in `folder`, a page to go through `sweep` with; it needs neither a network nor another file.

    Raises `InputError` for a picture that cannot be read.
    """
    target = Path(folder) / name
    # Pure ASCII and no "<": whatever the names hold, nothing can end the element that holds the data.
    data = json.dumps(page_data(folder, sweep), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    template, script = ((files("jaxstyle") / f"report_page.{kind}").read_text("utf-8") for kind in ("html", "js"))
    before, between, after = re.split(r"\{\{data\}\}|\{\{script\}\}", template)
    page = f"{before}{data}{between}{script.strip()}{after}"
    write_files({target: lambda file: file.write(page.encode())})
    return target


def page_data(folder: StrPath, sweep: Sweep) -> dict[str, Any]:
    """All that the page shows, as plain values; pictures as data URIs."""
    root, limit = Path(folder), min(CELL_PIXELS, PAGE_PIXELS // max(1, len(sweep.cells)))

    def source(given: Source) -> dict[str, Any]:
        return {"label": given.label, **_embedded(root / given.path, SOURCE_SIDE**2)}

    def cell(given: Cell) -> dict[str, Any]:
        picture = {} if given.file is None else _embedded(root / given.file, limit)
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


# Pictures


def _size(path: Path) -> Size:
    """(width, height) of a picture: of a PNG, as cells are, without decoding it."""
    with contextlib.suppress(OSError, struct.error), open(path, "rb") as file:
        signature, width, height = struct.unpack(">8s8xII", file.read(24))
        if signature == b"\x89PNG\r\n\x1a\n":
            return width, height
    height, width = load_picture(path).own_size
    return width, height


def _within(pixels: int) -> Callable[[Size], float]:
    """The scale that leaves no more than so many pixels, and never enlarges."""
    return lambda size: min(1.0, math.sqrt(pixels / math.prod(size)))


def _fitting(box: Size) -> Callable[[Size], float]:
    """The scale that makes a picture as large as fits in a box."""
    return lambda size: min(box[0] / size[0], box[1] / size[1])


def _read(path: Path, scale: Callable[[Size], float]) -> Image.Image:
    """The picture, its width and height times `scale` of them; what is transparent, on white."""
    picture = load_picture(path)
    own = picture.pixels.shape[1], picture.pixels.shape[0]
    width, height = scaled(own, scale(own))
    pixels = resize(picture.pixels, height, width)
    if picture.alpha is not None:
        cover = resize(np.repeat(picture.alpha[..., None], 3, axis=2), height, width)
        pixels = pixels * cover + (1 - cover)
    return Image.fromarray(np.rint(pixels * 255).astype(np.uint8))


def _embedded(path: Path, pixels: int) -> dict[str, Any]:
    """A picture of no more than so many pixels, for the page."""
    picture, encoded = _read(path, _within(pixels)), io.BytesIO()
    picture.save(encoded, format="WEBP", quality=90)
    text = base64.b64encode(encoded.getbuffer()).decode("ascii")
    return {"picture": f"data:image/webp;base64,{text}", "width": picture.width, "height": picture.height}
