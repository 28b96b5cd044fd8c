"""Makes pictures of README.md and docs/losses.md, from the demo pictures: scripts/figures/*.jpg.

python scripts/make_figures.py            all of them
python scripts/make_figures.py losses     one of them: transfers, losses
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import jaxstyle
from jaxstyle.losses import STYLE_LOSSES

HERE = Path(__file__).resolve().parent
DEMO = Path(jaxstyle.__file__).parent / "demo"


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
    """The style losses on one pair, 40 steps of L-BFGS at each size: two rows of three."""
    network = jaxstyle.load_network("compact")
    content, style = (jaxstyle.load_image(DEMO / f"{name}.jpg", 256) for name in ("content", "style_strokes"))
    results = []
    for name in STYLE_LOSSES:
        objective = jaxstyle.Objective(style_loss=name)
        results.append(np.asarray(jaxstyle.transfer(content, style, network=network, objective=objective).image))
    rows = [beside(results[:3], 280), beside(results[3:], 280)]
    gap = np.ones((8, *rows[0].shape[1:]), np.float32)
    jaxstyle.save_image(HERE / "figures" / "losses.jpg", np.concatenate([rows[0], gap, rows[1]]))


FIGURES = {"transfers": transfers, "losses": losses}

if __name__ == "__main__":
    for figure in sys.argv[1:] or FIGURES:
        FIGURES[figure]()
