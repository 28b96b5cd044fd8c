"""Makes pictures of the README and the docs: scripts/figures/*.jpg, from the demo pictures; docs/guide/upscale.webp.

python scripts/make_figures.py                        all but the last
python scripts/make_figures.py losses                 one of them: transfers, losses
python scripts/make_figures.py upscaling PICTURES     the last, from a folder with the photographs of PHOTOS
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import jaxstyle
from jaxstyle.losses import STYLE_LOSSES
from jaxstyle.superres.bicubic import enlarge_bicubic
from jaxstyle.superres.train import degraded
from jaxstyle.superres.upscale import upscale_in_tiles

HERE = Path(__file__).resolve().parent
DEMO = Path(jaxstyle.__file__).parent / "demo"

PHOTOS = {  # name -> top and left of what is shown, as shares
    "astronaut": (0.0, 0.3),
    "chelsea": (0.25, 0.3),
    "lake-sherburne": (0.25, 0.1),
    "ocean-waves": (0.1, 0.55),
    "singaporean-cityscape": (0.2, 0.5),
    "harbour": (0.35, 0.3),
}
STYLES = ("starry_night", "the_scream", "great_wave", "cafe_terrace", "pattern", "strokes")
SEEN = (120, 200)  # pixels of each crop
SCALE = 4


def beside(images: list[np.ndarray], height: int) -> np.ndarray:
    """Images scaled to one height, side by side, with a white gap."""
    row = []
    for image in images:
        picture = Image.fromarray(np.uint8(np.asarray(image) * 255 + 0.5))
        width = round(picture.width * height / picture.height)
        row += [np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS)), np.full((height, 8, 3), 255)]
    return np.concatenate(row[:-1], 1).astype(np.float32) / 255


def transfers() -> None:
    """Two rows: content, style, result."""
    network = jaxstyle.load_network("compact")
    content = jaxstyle.load_image(DEMO / "content.jpg", 512)
    for name in ("strokes", "pattern"):
        style = jaxstyle.load_image(DEMO / f"style_{name}.jpg", 512)
        result = jaxstyle.transfer(content, style, network=network)
        jaxstyle.save_image(HERE / "figures" / f"{name}.jpg", beside([content, style, result.image], 300))


def losses() -> None:
    """The style losses on one pair, with the usual steps: two rows of three."""
    network = jaxstyle.load_network("compact")
    content, style = (jaxstyle.load_image(DEMO / f"{name}.jpg", 256) for name in ("content", "style_strokes"))
    results = []
    for name in STYLE_LOSSES:
        objective = jaxstyle.Objective(style_loss=name)
        results.append(np.asarray(jaxstyle.transfer(content, style, network=network, objective=objective).image))
    rows = [beside(results[:3], 280), beside(results[3:], 280)]
    gap = np.ones((8, *rows[0].shape[1:]), np.float32)
    jaxstyle.save_image(HERE / "figures" / "losses.jpg", np.concatenate([rows[0], gap, rows[1]]))


def upscaling(folder: str) -> None:
    """Parts of six photographs, made smaller first, and of six pictures painted in one pass: bicubic, each network and,
    of photographs, the picture itself."""
    names = jaxstyle.defaults.UPSCALERS
    networks, painter = {name: jaxstyle.load_upscaler(name) for name in names}, jaxstyle.load_styles()

    def seen(image: np.ndarray, at: tuple[float, float]) -> np.ndarray:
        top, left = (int(share * (side - part)) for share, side, part in zip(at, image.shape, SEEN, strict=False))
        return np.asarray(image)[top : top + SEEN[0], left : left + SEEN[1]]

    def row(small: np.ndarray, at: tuple[float, float], last: np.ndarray) -> np.ndarray:
        found = [np.clip(enlarge_bicubic(small, SCALE), 0, 1)]
        found += [upscale_in_tiles(np.asarray(small), SCALE, network=networks[name]) for name in names]
        return beside([*(seen(np.asarray(x), at) for x in found), last], SEEN[0])

    rows = []
    for (name, at), style in zip(PHOTOS.items(), STYLES, strict=True):
        path = DEMO / "content.jpg" if name == "harbour" else Path(folder) / f"{name}.jpg"
        whole = np.asarray(jaxstyle.load_image(path, 512))
        height, width = (side // SCALE * SCALE for side in whole.shape[:2])
        whole = whole[:height, :width]
        rows.append(row(np.asarray(degraded(whole, SCALE)), at, seen(whole, at)))
        painted = np.asarray(jaxstyle.stylize(jaxstyle.load_image(path, 256), style, network=painter))
        rows.append(row(painted, at, np.ones((*SEEN, 3), np.float32)))
    gap = np.ones((8, *rows[0].shape[1:]), np.float32)
    sheet = np.concatenate([part for pair in rows for part in (pair, gap)][:-1])
    picture = Image.fromarray(np.uint8(sheet * 255 + 0.5))
    picture.save(HERE.parent / "docs" / "guide" / "upscale.webp", quality=85, method=6)


FIGURES = {"transfers": transfers, "losses": losses}

if __name__ == "__main__":
    if sys.argv[1:2] == ["upscaling"]:
        upscaling(sys.argv[2])
    else:
        for figure in sys.argv[1:] or FIGURES:
            FIGURES[figure]()
