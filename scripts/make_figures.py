"""Makes the pictures of README.md, from the demo pictures: scripts/figures/*.jpg.

python scripts/make_figures.py        some three minutes on two cores
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import jaxstyle

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


def main() -> None:
    """Two rows (content, style, result), a row of three style weights, and a sheet."""
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
    sheet()


def sheet() -> None:
    """The contact sheet of a small sweep."""
    with tempfile.TemporaryDirectory() as folder:
        pictures = [DEMO / "content.jpg", DEMO / "style_strokes.jpg"]
        words = ["sweep", *pictures, "-o", f"{folder}/grid", "--style-weight", 10, 50, 250, "--tv-weight", 0.3, 3, 30]
        subprocess.run([sys.executable, "-m", "jaxstyle.cli", *map(str, words)], check=True)
        jaxstyle.save_image(HERE / "figures" / "sheet.jpg", jaxstyle.load_image(f"{folder}/grid/sheet.png"))


if __name__ == "__main__":
    main()
