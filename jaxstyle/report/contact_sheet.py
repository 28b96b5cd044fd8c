"""The contact sheet of a sweep: one PNG with all pictures in a labelled grid, beside what they are made from."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from jaxstyle.files import StrPath, write_files
from jaxstyle.pictures.write import encode
from jaxstyle.report.contact_sheet_layout import Box, Caption, Label, lay_out, line_height
from jaxstyle.report.summary import Sweep
from jaxstyle.report.thumbnails import fitting, read, size_of, within

SHEET = "sheet.png"
SOURCE_SIDE = 640  # of a square with as many pixels as a source has at most
FRAME, EMPTY = "#c9ccd1", "#f4f5f6"


def contact_sheet(folder: StrPath, sweep: Sweep, *, name: str = SHEET) -> Path:
    """Writes `name` in `folder`, all pictures of `sweep` in one labelled grid, beside what they are made from.

    Places that are not done stay empty frames. Raises `InputError` for a picture that cannot be read.
    """
    root, target = Path(folder), Path(folder) / name
    done = {cell.index: root / cell.file for cell in sweep.cells if cell.file is not None}
    captions = [Caption("content", label) for label, _ in sweep.contents]
    captions += [Caption("style", label) for label, _ in sweep.styles]
    sources = [read(root / source.path, within(SOURCE_SIDE**2)) for source in (*sweep.contents, *sweep.styles)]
    source_sizes = [source.size for source in sources]
    cell_sizes = [size_of(path) for path in done.values()] or source_sizes or [(4, 3)]
    layout = lay_out(sweep.title, sweep.axes, cell_sizes, captions, source_sizes)

    sheet = Image.new("RGB", (layout.width, layout.height), "white")
    draw = ImageDraw.Draw(sheet)
    for source, (left, top, right, bottom) in zip(sources, layout.sources, strict=True):
        sheet.paste(source.resize((right - left, bottom - top), Image.Resampling.LANCZOS), (left, top))
    for place, (left, top, right, bottom) in layout.cells.items():
        if place in done:
            picture = read(done[place], fitting((right - left, bottom - top)))
            middle = (left + right - picture.width) // 2, (top + bottom - picture.height) // 2
            sheet.paste(picture, middle)
        else:
            draw.rectangle((left, top, right - 1, bottom - 1), EMPTY, FRAME)
    for label in layout.labels:
        label.draw(draw)
    encoded, _ = encode(sheet, "PNG", {"contact sheet": sweep.title})
    write_files({target: lambda file: file.write(encoded)})
    return target


def captioned(pictures: Mapping[str, np.ndarray], *, columns: int, gap: int) -> Image.Image:
    """Pictures (h, w, 3) of one size on a sheet, row by row, each with its name below."""
    height, width = next(iter(pictures.values())).shape[:2]
    font_size = max(12, min(24, width // 14))
    below = line_height(font_size)
    rows = -(-len(pictures) // columns)
    size = (columns * (width + gap) + gap, rows * (height + below + 2 * gap) + gap)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for number, (name, picture) in enumerate(pictures.items()):
        left = gap + number % columns * (width + gap)
        top = gap + number // columns * (height + below + 2 * gap)
        sheet.paste(Image.fromarray(np.rint(255 * np.asarray(picture)).astype(np.uint8)), (left, top))
        bottom = top + height + gap // 2
        Label((name,), Box(left, bottom, left + width, bottom + below), font_size).draw(draw)
    return sheet
