"""Figures for print: a PNG of 200 dpi, a vector PDF and their data as JSON, side by side.

matplotlib is imported when a figure is made, without pyplot: no state is global, and no window opens.
"""

import io
import json
import math
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxstyle.errors import InputError
from jaxstyle.files import StrPath, plain_values, shown, write_files
from jaxstyle.marks import UNSEALED, sealed
from jaxstyle.pictures.write import as_own, check_writable
from jaxstyle.studies.glyphs import BASE, drawable, give_fonts, widest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 200
SUFFIXES = (".png", ".pdf", ".json")

# Okabe and Ito's colours, which all common kinds of colour vision tell apart (https://jfly.uni-koeln.de/color/).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
LINES = (*COLOURS[:6], COLOURS[7])  # yellow is too light for a line on white
PANEL, LINE = 2.0, 0.14  # inches: a picture's width, and the height of a line above it
FONT: Any = {"font.family": "sans-serif", "font.sans-serif": [BASE], "font.size": 8}
CHARACTER = 0.65  # widths of a title's characters, in ems: somewhat more than their mean
TITLE, SMALL = 10, 7  # points: a figure's title, and what stands beside a picture

AS_IS = "none"  # matplotlib's word for an image that is put into a PDF pixel by pixel


def check_figure(path: StrPath) -> Path:
    """Raises `InputError` unless `save_figure` could write to `path` now: call it before a long run."""
    target, name = Path(path), shown(path)
    if target.suffix.lower() != ".png":
        raise InputError(f"{name} is no name for a figure: it must end in .png (a .pdf and a .json are put beside it)")
    check_writable(target)
    beside = target.with_suffix(".pdf")
    if beside.is_dir():
        raise InputError(f"{name} cannot be written: the place of its PDF, {shown(beside)}, is a directory")
    return target


def files_of_figure(path: Path) -> tuple[Path, ...]:
    """What `save_figure` writes, the figure itself first."""
    return (path, *(path.with_suffix(suffix) for suffix in SUFFIXES[1:]))


def new_figure(width: float, height: float, *, title: str = "") -> Any:
    """An empty matplotlib figure of so many inches, whose parts are laid out so that no label is cut off."""
    import matplotlib
    from matplotlib.figure import Figure

    title = drawable(title)
    lines = textwrap.wrap(title, round(72 * width / (TITLE * widest(title, CHARACTER))))
    height += 1.3 * TITLE / 72 * max(0, len(lines) - 1)
    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
        if title:
            figure.suptitle("\n".join(lines), fontsize=TITLE, parse_math=False)
    return figure


def picture_grid(
    count: int, proportion: float, *, title: str = "", columns: int | None = None, width: float = PANEL, lines: int = 3
) -> "tuple[Figure, list[Axes]]":
    """A figure with `count` panels in rows, for pictures of that height to width, each `width` inches wide, with so
    many lines of title above it."""
    square = math.ceil(math.sqrt(count))
    # As near a square as leaves the fewest panels empty.
    columns = columns or min((square + 1, square), key=lambda n: -count % n)
    rows = math.ceil(count / columns)
    tall = width * proportion + lines * LINE
    figure = new_figure(max(columns * width, 4.0), rows * tall + 0.4, title=title)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in axes[count:]:
        unused.set_axis_off()
    return figure, axes[:count]


def line_style(k: int) -> dict[str, Any]:
    """What tells the k-th line of a plot from the others, in colour and without."""
    dashes = ("-", "--", "-.", ":")
    return {"color": LINES[k % len(LINES)], "linestyle": dashes[k // len(LINES) % 4], "linewidth": 1.2}


def show_picture(axes: "Axes", image: Any, title: str = "", *, smooth: bool = True) -> None:
    """A picture (h, w, 3), or a map (h, w) in greys, with values in [0, 1], and its title above; no ticks.

    The PDF has its pixels as they are. The PNG, at 200 dpi, has them resampled; with `smooth` off, as squares.
    """
    pixels = np.rint(np.clip(np.asarray(image, np.float32), 0, 1) * 255).astype(np.uint8)
    greys: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 255} if pixels.ndim == 2 else {}
    axes.imshow(pixels, interpolation=AS_IS if smooth else "nearest", **greys)
    axes.set_axis_off()
    if title:
        axes.set_title(title, fontsize=SMALL, parse_math=False)  # a file's name may have a $ in it


def save_figure(path: StrPath, figure: "Figure", data: Mapping[str, Any]) -> None:
    """Writes the figure beside `path` as .png and .pdf, and `data` as .json: all of them, or none.

    What the PNG shows and `data` holds are the caller's to keep alike; numbers that are not finite become null. Each
    file says that it is jaxstyle's (`jaxstyle.marks`).
    """
    import matplotlib

    give_fonts(figure)
    with matplotlib.rc_context(FONT | {"pdf.fonttype": 42, "svg.fonttype": "none"}):
        contents = {".pdf": sealed(_rendered(figure, "pdf", CreationDate=None, Keywords=UNSEALED))}
        images = [image for axes in figure.axes for image in axes.images if image.get_interpolation() == AS_IS]
        for image in images:
            image.set_interpolation("antialiased")
        contents[".png"] = as_own(_rendered(figure, "png"))
        for image in images:
            image.set_interpolation(AS_IS)
    marked = {"mark": {"seal": UNSEALED}} | plain_values(data)
    contents[".json"] = sealed((json.dumps(marked, indent=2, allow_nan=False) + "\n").encode("ascii"))
    targets = zip(files_of_figure(Path(path)), SUFFIXES, strict=True)
    write_files(
        {target: lambda file, suffix=suffix: file.write(contents[suffix]) for target, suffix in targets}  # type: ignore[misc]
    )


def _rendered(figure: "Figure", kind: str, **metadata: Any) -> bytes:
    """The bytes of its file; the same figure is the same file, as long as no date is in it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=DPI, metadata=metadata)
    return buffer.getvalue()
