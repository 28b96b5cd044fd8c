"""Makes docs/gallery.md: twelve pairs painted by `jaxstyle transfer`, each by the whole command, with its seconds.

    python scripts/make_gallery.py CONTENTS STYLES [--network vgg19] [--size 512] [--only lake-sherburne]

CONTENTS and STYLES are folders with the pictures that PAIRS names; their origins are in CREDITS. What has been made is
kept, so that a run that was stopped goes on; --again makes it anew.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

import jaxstyle

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAIRS = (
    ("lake-sherburne", "starry_night"),
    ("chelsea", "great_wave"),
    ("singaporean-cityscape", "the_scream"),
    ("astronaut", "matisse_hat"),
    ("ocean-waves", "hoitsu_flowers"),
    ("singaporean-cityscape", "vg_la_cafe"),
    ("lake-sherburne", "monet_water_lilies"),
    ("chelsea", "picabia_udnie"),
    ("astronaut", "piranesi_carceri"),
    ("ocean-waves", "shipwreck"),
    ("singaporean-cityscape", "composition_vii"),
    ("chelsea", "the_scream"),
)
CREDITS = {
    "astronaut": "Eileen Collins, NASA, public domain",
    "chelsea": "Chelsea, S. van der Walt, CC0",
    "lake-sherburne": "Lake Sherburne, Budgie backgrounds, CC0",
    "ocean-waves": "Ocean waves, Budgie backgrounds, CC0",
    "singaporean-cityscape": "Singapore, Budgie backgrounds, CC0",
    "starry_night": "van Gogh, The Starry Night, 1889",
    "great_wave": "Hokusai, The Great Wave, about 1831",
    "the_scream": "Munch, The Scream, 1893",
    "matisse_hat": "Matisse, Woman with a Hat, 1905",
    "hoitsu_flowers": "Sakai Hoitsu, flowers",
    "vg_la_cafe": "van Gogh, a café",
    "monet_water_lilies": "Monet, Water Lilies, 1919",
    "picabia_udnie": "Picabia, Udnie, 1913",
    "piranesi_carceri": "Piranesi, Carceri",
    "shipwreck": "Turner, The Shipwreck, 1805",
    "composition_vii": "Kandinsky, Composition VII, 1913",
}
GAP = 8  # pixels of white between pictures
QUALITY = 88


def shown(content: Path, style: Path, result: Path) -> Image.Image:
    """The result, and left of it the content over the style, as high together as it is."""
    painted = Image.open(result).convert("RGB")
    height = (painted.height - GAP) // 2
    small = []
    for path in (content, style):
        picture = Image.open(path).convert("RGB")
        picture.thumbnail((painted.width // 2, height), Image.Resampling.LANCZOS)
        small.append(picture)
    width = max(picture.width for picture in small)
    sheet = Image.new("RGB", (width + GAP + painted.width, painted.height), "white")
    sheet.paste(small[0], (width - small[0].width, 0))
    sheet.paste(small[1], (width - small[1].width, painted.height - small[1].height))
    sheet.paste(painted, (width + GAP, 0))
    return sheet


def paint(content: Path, style: Path, args: argparse.Namespace, out: Path) -> dict[str, object]:
    """Paints a pair by the command, saves the sheet, and says how long the command took."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.png"
        words = ["transfer", content, style, "-o", result, "--size", args.size, *args.words]
        if args.network:
            words += ["--network", args.network]
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "jaxstyle.cli", *map(str, words)], check=True)
        seconds = time.perf_counter() - began
        record = json.loads(result.with_suffix(".json").read_text())
        shown(content, style, result).save(out, quality=QUALITY)
        size = np.shape(jaxstyle.load_image(result))[:2]
    network = record["settings"]["network"]
    return {"network": network, "seconds": round(seconds), "size": f"{size[1]} x {size[0]}"}


def page(facts: dict[str, dict[str, object]]) -> str:
    """The page, from what each sheet's facts say."""
    words = [
        "# Gallery",
        "",
        "`jaxstyle transfer CONTENT STYLE` with its defaults, by the network that is named, on two cores. Seconds are",
        "those of the whole command, with other work beside it. Made by `scripts/make_gallery.py`.",
        "",
    ]
    for content, style in PAIRS:
        name = f"{content}_{style}"
        if name in facts:
            fact = facts[name]
            words += [
                f"![{CREDITS[content]}, as {CREDITS[style]}](gallery/{name}.jpg)",
                "",
                f"{CREDITS[content]}; {CREDITS[style]}. {fact['network']}, {fact['size']}, {fact['seconds']} s.",
                "",
            ]
    return "\n".join(words)


def main() -> None:
    """Paints what is wanted and not yet there, and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("contents", type=Path)
    parser.add_argument("styles", type=Path)
    parser.add_argument("--network", help="default: the command's own")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--only", help="pairs whose name begins so")
    parser.add_argument("--again", action="store_true", help="also what is there")
    parser.add_argument("--words", nargs=argparse.REMAINDER, default=[], help="further words of the command")
    args = parser.parse_args()
    folder = DOCS / "gallery"
    folder.mkdir(exist_ok=True)
    known = folder / "facts.json"
    facts = json.loads(known.read_text()) if known.exists() else {}
    for content, style in PAIRS:
        name = f"{content}_{style}"
        if (args.only and not name.startswith(args.only)) or (name in facts and not args.again):
            continue
        pictures = args.contents / f"{content}.jpg", args.styles / f"{style}.jpg"
        facts[name] = paint(*pictures, args, folder / f"{name}.jpg")
        known.write_text(json.dumps(facts, indent=1) + "\n")
    (DOCS / "gallery.md").write_text(page(facts))


if __name__ == "__main__":
    main()
