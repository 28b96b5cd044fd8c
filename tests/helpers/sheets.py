"""A sweep's folder, each picture of a colour of its own."""

import numpy as np
from PIL import Image

from jaxstyle.pictures.write import save_image
from jaxstyle.report.summary import Axis, Cell, Source, Sweep, places

HOSTILE = "</script><img src=x onerror=alert(1)>.png"
STEPS = 60


def axis(name, *values):
    return Axis(name, name.replace("_", " "), tuple(map(str, values)))


WEIGHTS = axis("style_weight", 10, 31.6, 100)
CONTENTS = axis("content_weight", 0.3, 1, 3, 10)
STYLES = axis("style", "starry_night", "the_scream")


def put(path, colour, width=48, height=32):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_image(path, np.broadcast_to(np.asarray(colour, np.float32) / 255, (height, width, 3)))


def colour_of(place):
    """A colour of its own for each place, far from white and from the labels' grey."""
    number = sum(k * step for k, step in zip(place, (50, 11, 3, 1), strict=False))
    return 40 + number * 37 % 160, 40 + number * 53 % 160, 200 - number * 71 % 160


def curves(place):
    steps = np.arange(1, STEPS + 1)
    rate = 20.0 * (1 + sum(place))
    content, style = 1 - 0.5 * np.exp(-steps / rate), np.exp(-steps / rate) + 1e-4
    return {"total": content + 10 * style, "content": content, "style": style, "variation": 0.002 / steps}


def cell(place, **changes):
    losses = curves(place)
    known = {
        "index": place,
        "file": f"cells/{'_'.join(map(str, place)) or 'only'}.png",
        "losses": losses,
        "final": {term: float(values[-1]) for term, values in losses.items()},
        "seconds": 1.5,
        "command": f"jaxstyle transfer 'a b.jpg' art.jpg --place {place}",
        "settings": {"steps": STEPS, "layers": ["relu1_1", "relu2_1"], "mix": None, "place": list(place)},
    }
    return Cell(**(known | changes))


def make(folder, axes, *, size=(48, 32), missing=(), title="harbour in the manner of strokes", **changes):
    put(folder / "content.png", (250, 30, 30), *size)
    put(folder / "art" / "strokes.png", (30, 130, 30), 40, 60)
    cells = tuple(cell(place, **changes.get("each", {})) for place in places(axes) if place not in missing)
    for done in cells:
        put(folder / done.file, colour_of(done.index), *size)
    contents, styles = (Source("harbour", "content.png"),), (Source("strokes", "art/strokes.png"),)
    return Sweep(title, tuple(axes), cells, contents, styles)


def pixels_of(path):
    with Image.open(path) as image:
        return np.asarray(image)


# ------------------------------------------------------------------------------------------------- the contact sheet


def boxes_of(sheet):
    return [*sheet.cells.values(), *sheet.sources, *(label.box for label in sheet.labels)]


LONG = "a_painting_with_a_name_that_goes_on_and_on-1889" * 2
