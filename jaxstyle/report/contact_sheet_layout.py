"""Where everything stands on a contact sheet: a grid of any number of axes, labelled, beside its sources.

The last two axes are rows and columns of a block; there is a block for each place along the others. All is in
pixels. Texts are wrapped to their room and never cut; thumbnails shrink until the sheet is small enough.
"""

import itertools
import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

from PIL import ImageDraw, ImageFont

from jaxstyle.report.summary import Axis, Place, places
from jaxstyle.report.thumbnails import Size, scaled

SHEET_SIDE = 8000  # pixels of the sheet, at most
THUMBNAIL_SIDES = (24, 512)  # of a thumbnail's long side
MOST_IN_LINE = 60  # of thumbnails; a longer axis goes on in the next block

INK, MUTED = "#1a1a1a", "#5c6066"


class Caption(NamedTuple):
    """What stands under a source: its kind, "content" or "style", and its name."""

    kind: str
    label: str


class Box(NamedTuple):
    """Pixels from `left` to before `right` and from `top` to before `bottom`."""

    left: int
    top: int
    right: int
    bottom: int

    def moved(self, x: int, y: int) -> "Box":
        """The same box elsewhere."""
        return Box(self.left + x, self.top + y, self.right + x, self.bottom + y)


@dataclass(frozen=True)
class Label:
    """Lines of text, and where they are drawn; `align` is how much of the room goes to their left, 0 to 1."""

    lines: tuple[str, ...]
    box: Box
    font_size: int
    colour: str = INK
    align: float = 0.0

    def moved(self, x: int, y: int) -> "Label":
        """The same label elsewhere."""
        return replace(self, box=self.box.moved(x, y))

    def draw(self, draw: ImageDraw.ImageDraw) -> None:
        """Draws the lines, which fill the box from top to bottom."""
        font = _font(self.font_size)
        for i, line in enumerate(self.lines):
            room = self.box.right - self.box.left - font.getlength(line)
            where = (self.box.left + self.align * room, self.box.top + i * line_height(self.font_size))
            draw.text(where, line, self.colour, font)


@dataclass(frozen=True)
class Layout:
    """Where everything stands on the sheet."""

    width: int
    height: int
    cells: dict[Place, Box]  # every place of the grid, done or not
    sources: list[Box]  # contents, then styles
    labels: list[Label]


@dataclass(frozen=True)
class _Part:
    """A part of the sheet, placed from its own corner."""

    width: int
    height: int
    cells: dict[Place, Box]
    labels: list[Label]

    def moved(self, x: int, y: int) -> "_Part":
        cells = {place: box.moved(x, y) for place, box in self.cells.items()}
        return replace(self, cells=cells, labels=[label.moved(x, y) for label in self.labels])


@dataclass(frozen=True)
class _Measures:
    """What all parts of a sheet share, in pixels."""

    cell: Size
    font_size: int

    @property
    def gap(self) -> int:
        """Between two cells."""
        return max(6, max(self.cell) // 24)

    @property
    def line(self) -> int:
        return line_height(self.font_size)


def lay_out(
    title: str, axes: Sequence[Axis], cells: Sequence[Size], captions: Sequence[Caption], sources: Sequence[Size]
) -> Layout:
    """Room for pictures of these sizes, as large as keeps the sheet within `SHEET_SIDE`."""
    smallest, largest = THUMBNAIL_SIDES
    widest, tallest = (max(size[k] / max(size) for size in cells) for k in (0, 1))
    own, count = max(max(size) for size in cells), math.prod(len(axis.values) for axis in axes)
    side = min(max(own, 192), largest, max(192, int(3000 / math.sqrt(count))))
    while True:
        cell = max(1, round(side * widest)), max(1, round(side * tallest))
        across = math.sqrt(math.prod(cell) * count)
        font_size = max(16, min(max(cell) // 6, max(18, round(across / 70))))  # larger where the sheet will be shrunk
        layout = _lay_out(title, axes, captions, sources, _Measures(cell, font_size))
        over = max(layout.width, layout.height) / SHEET_SIDE
        if over <= 1 or side <= smallest:
            return layout
        side = max(smallest, min(side - 1, int(side / over)))


def _lay_out(
    title: str, axes: Sequence[Axis], captions: Sequence[Caption], sources: Sequence[Size], m: _Measures
) -> Layout:
    margin = 2 * m.font_size
    grid = _flow(_blocks(axes, m), m, _blocks_in_line(axes))
    beside, boxes = _sources(captions, sources, m, grid.height)
    left = margin + (beside.width + 2 * m.line if boxes else 0)
    width = left + grid.width + margin
    heading = _label(title, round(1.4 * m.font_size), max(width - 2 * margin, 30 * m.font_size)).moved(margin, margin)
    top = heading.box.bottom + m.line
    grid = grid.moved(left, top)
    return Layout(
        width=max(width, heading.box.right + margin),
        height=top + max(beside.height, grid.height) + margin,
        cells=grid.cells,
        sources=[box.moved(margin, top) for box in boxes],
        labels=[heading, *beside.moved(margin, top).labels, *grid.labels],
    )


def _blocks(axes: Sequence[Axis], m: _Measures) -> list[_Part]:
    """Grids of the last two axes, one for each place along the others, each under its values."""
    outer, rows, columns = axes[:-2], *([None, None, *axes][-2:])
    most = MOST_IN_LINE if rows else _columns_of_one_axis(columns, m)
    blocks = []
    for place in places(outer):
        values = (f"{axis.label} {axis.values[i]}" for axis, i in zip(outer, place, strict=True))
        title = ",  ".join(values)
        for row_part, column_part in itertools.product(_parts(rows, MOST_IN_LINE), _parts(columns, most)):
            blocks.append(_block(title, place, _Side(rows, row_part), _Side(columns, column_part), m))
    return blocks


def _parts(axis: Axis | None, most: int) -> list[range]:
    """The positions along an axis in parts of nearly one length, which is `most` or less."""
    count = 0 if axis is None else len(axis.values)
    length = max(1, math.ceil(count / math.ceil(count / most))) if count else 0
    return [range(i, min(i + length, count)) for i in range(0, count, length or 1)] or [range(0)]


def _columns_of_one_axis(axis: Axis | None, m: _Measures) -> int:
    """How many of its values stand in a line, so that the grid is wider than tall and not a long strip."""
    count = 0 if axis is None else len(axis.values)
    return max(6, math.ceil(math.sqrt(count * 1.6 * m.cell[1] / m.cell[0])))


@dataclass(frozen=True)
class _Side:
    """Part of an axis along a side of a block; no axis, and so a single line, where there is none."""

    axis: Axis | None
    part: range

    def name(self, m: _Measures, width: int) -> list[Label]:
        return [] if self.axis is None else [_label(self.axis.label, m.font_size, width, MUTED)]

    def values(self, m: _Measures, width: int) -> list[Label]:
        return [] if self.axis is None else _values(self.axis, self.part, m.font_size, width)


def _block(title: str, outer: Place, rows: _Side, columns: _Side, m: _Measures) -> _Part:
    """A grid with the names of its axes and their values, above all of it a title."""
    (width, height), room = m.cell, 9 * m.font_size
    row_values, column_values = rows.values(m, room), columns.values(m, width)
    pitch_x = width + m.gap
    pitch_y = max([height] + [value.box.bottom for value in row_values]) + m.gap
    across = max(1, len(column_values)) * pitch_x - m.gap
    goes_on = rows.axis is None and columns.part.start > 0  # the line above has the name already
    row_name, column_name = rows.name(m, room), [] if goes_on else columns.name(m, max(across, room))
    left = max((label.box.right + m.line // 2 for label in row_values + row_name), default=0)

    labels, y = [], 0
    if title:
        labels.append(_label(title, m.font_size, left + max(across, 14 * m.font_size)))
        y = labels[0].box.bottom + m.line // 2
    values_height = max((value.box.bottom for value in column_values), default=0)
    names_height = sum(name.box.bottom + m.line // 4 for name in column_name)
    y += max(names_height + values_height, *(name.box.bottom for name in row_name), 0)
    for name in column_name:
        x = left + max(0, (across - name.box.right) // 2)
        labels.append(replace(name.moved(x, y - values_height - names_height), align=0.5))
    for i, value in enumerate(column_values):  # over the middle of their columns, and down to them
        x = left + i * pitch_x + (width - value.box.right) // 2
        labels.append(replace(value.moved(x, y - value.box.bottom), align=0.5))
    for name in row_name:
        labels.append(replace(name.moved(left - m.line // 2 - name.box.right, y - name.box.bottom), align=1.0))
    top = y + (m.line // 3 if labels else 0)
    for j, value in enumerate(row_values):  # beside the middle of their rows
        x, drop = left - m.line // 2 - value.box.right, max(0, (height - value.box.bottom) // 2)
        labels.append(replace(value.moved(x, top + j * pitch_y + drop), align=1.0))

    cells = {}
    for (j, row), (i, column) in itertools.product(enumerate(rows.part or [0]), enumerate(columns.part or [0])):
        place = (*outer, *(k for k, side in ((row, rows), (column, columns)) if side.axis is not None))
        cells[place] = Box(0, 0, width, height).moved(left + i * pitch_x, top + j * pitch_y)
    boxes = [*cells.values(), *(label.box for label in labels)]
    return _Part(max(box.right for box in boxes), max(box.bottom for box in boxes), cells, labels)


def _blocks_in_line(axes: Sequence[Axis]) -> int | None:
    """How many blocks stand side by side; None where it is the shape of the sheet that tells."""
    if len(axes) == 1:
        return 1
    return len(axes[-3].values) if len(axes) > 3 else None


def _flow(blocks: Sequence[_Part], m: _Measures, in_line: int | None) -> _Part:
    """The blocks in lines, from left to right, in equal columns."""
    gap = 2 * m.line
    width = max(block.width for block in blocks)

    def lines(count: int) -> list[Sequence[_Part]]:
        return [blocks[i : i + count] for i in range(0, len(blocks), count)]

    def shape(count: int) -> float:  # how far from the shape of a landscape page
        height = sum(max(block.height for block in line) + gap for line in lines(count))
        return abs(math.log(count * (width + gap) / height / 1.5))

    in_line = in_line or min(range(1, len(blocks) + 1), key=shape)
    cells: dict[Place, Box] = {}
    labels, y = [], 0
    for line in lines(in_line):
        for i, block in enumerate(line):
            moved = block.moved(i * (width + gap), y)
            cells |= moved.cells
            labels += moved.labels
        y += max(block.height for block in line) + gap
    return _Part(min(in_line, len(blocks)) * (width + gap) - gap, y - gap, cells, labels)


def _sources(captions: Sequence[Caption], sizes: Sequence[Size], m: _Measures, height: int) -> tuple[_Part, list[Box]]:
    """Contents and styles below one another, in as many columns as keep them no taller than `height`."""
    side = max(*m.cell, 12 * m.font_size)
    boxes: list[Box] = []
    labels: list[Label] = []
    x, y, deepest = 0, 0, 0
    for caption, own in zip(captions, sizes, strict=True):
        box = Box(0, 0, *scaled(own, side / max(own)))
        words = [_label(caption.kind, m.font_size, side, MUTED), _label(caption.label, m.font_size, side)]
        tall = box.bottom + m.line // 3 + sum(word.box.bottom for word in words)
        if y and y + tall > height:
            x, y = x + side + m.line, 0
        boxes.append(box.moved(x, y))
        low = y + box.bottom + m.line // 3
        for word in words:
            labels.append(word.moved(x, low))
            low += word.box.bottom
        deepest, y = max(deepest, low), low + m.line
    return _Part(x + side, deepest, {}, labels), boxes


# Text


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def line_height(font_size: int) -> int:
    """Pixels from one line to the next."""
    return math.ceil(1.3 * font_size)


def _label(text: str, font_size: int, width: int, colour: str = INK) -> Label:
    """`text` in lines of no more than `width` pixels, at the origin."""
    lines = _wrapped(_ascii(text), font_size, width)
    right = max(math.ceil(_font(font_size).getlength(line)) for line in lines)
    return Label(tuple(lines), Box(0, 0, right, len(lines) * line_height(font_size)), font_size, colour)


def _values(axis: Axis, part: range, font_size: int, width: int) -> list[Label]:
    """The values of a part of an axis; by number where without their accents some could be taken for others."""
    shown = [_ascii(value) for value in axis.values]
    if len(set(shown)) < len(shown):
        shown = [f"{i}: {text}" for i, text in enumerate(shown, 1)]
    return [_label(shown[i], font_size, width) for i in part]


def _ascii(text: str) -> str:
    """`text` in the letters that Pillow's own font has: accents are dropped, other letters a question mark."""
    bare = (letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return "".join(letter if " " <= letter <= "~" else "?" for letter in bare)


def _wrapped(text: str, font_size: int, width: int) -> list[str]:
    """`text` in lines, broken after spaces and the marks that file names hold; within a word only if it must be."""
    font, lines, line = _font(font_size), [], ""
    for word in re.findall(r"[^ _\-./,]*[ _\-./,]?", text):
        if line and font.getlength((line + word).rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        for letter in word:
            if line and font.getlength((line + letter).rstrip()) > width:
                lines.append(line.rstrip())
                line = ""
            line += letter
    return [*lines, line.rstrip()]
