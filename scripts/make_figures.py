"""Makes the pictures of README.md, from the demo pictures: scripts/figures/*.jpg.

python scripts/make_figures.py            all of them
python scripts/make_figures.py losses     one of them: transfers, losses, sheet
"""

import statistics
import subprocess
import sys
import tempfile
import time
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
    """Two rows (content, style, result), and a row of three style weights."""
    network = jaxstyle.load_network("compact")
    content = jaxstyle.load_image(DEMO / "content.jpg", 512)
    for name in ("strokes", "pattern"):
        style = jaxstyle.load_image(DEMO / f"style_{name}.jpg", 512)
        result = jaxstyle.transfer(content, style, network=network)
        jaxstyle.save_image(HERE / "figures" / f"{name}.jpg", beside([content, style, result.image], 300))
    style = jaxstyle.load_image(DEMO / "style_strokes.jpg", 384)
    small = jaxstyle.load_image(DEMO / "content.jpg", 384)
    results = [
        jaxstyle.transfer(small, style, network=network, weights=jaxstyle.Weights(style=weight)).image
        for weight in (10.0, 50.0, 250.0)
    ]
    jaxstyle.save_image(HERE / "figures" / "weights.jpg", beside(results, 300))


def sheet() -> None:
    """The contact sheet of a small sweep."""
    with tempfile.TemporaryDirectory() as folder:
        pictures = [DEMO / "content.jpg", DEMO / "style_strokes.jpg"]
        words = ["sweep", *pictures, "-o", f"{folder}/grid", "--style-weight", 10, 50, 250, "--tv-weight", 0.3, 3, 30]
        subprocess.run([sys.executable, "-m", "jaxstyle.cli", *map(str, words)], check=True)
        jaxstyle.save_image(HERE / "figures" / "sheet.jpg", jaxstyle.load_image(f"{folder}/grid/sheet.png"))


def losses() -> None:
    """The style losses on one pair, each in the time that 80 steps of `gram` take: two rows of three."""
    network = jaxstyle.load_network("compact")
    content, style = (jaxstyle.load_image(DEMO / f"{name}.jpg", 384) for name in ("content", "style_strokes"))

    def run(name: str, steps: int) -> np.ndarray:
        objective = jaxstyle.Objective(style_loss=name)
        return np.asarray(jaxstyle.transfer(content, style, network=network, objective=objective, steps=steps).image)

    seconds: dict[str, list[float]] = {name: [] for name in STYLE_LOSSES}
    for _ in range(4):  # in turns, and without the first, which compiles
        for name, taken in seconds.items():
            began = time.perf_counter()
            run(name, 20)
            taken.append(time.perf_counter() - began)
    each = {name: statistics.median(taken[1:]) for name, taken in seconds.items()}
    steps = {name: round(80 * each["gram"] / each[name]) for name in STYLE_LOSSES}
    print("steps at each size:", ", ".join(f"{name} {count}" for name, count in steps.items()))
    results = [run(name, steps[name]) for name in STYLE_LOSSES]
    rows = [beside(results[:3], 280), beside(results[3:], 280)]
    gap = np.ones((8, *rows[0].shape[1:]), np.float32)
    jaxstyle.save_image(HERE / "figures" / "losses.jpg", np.concatenate([rows[0], gap, rows[1]]))


FIGURES = {"transfers": transfers, "losses": losses, "sheet": sheet}

if __name__ == "__main__":
    for figure in sys.argv[1:] or FIGURES:
        FIGURES[figure]()
