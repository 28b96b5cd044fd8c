"""Makes the three pictures of `jaxstyle demo` from nothing but arithmetic, so that they need no licence.

    python scripts/demo_pictures [--out DIR] [--only content|strokes|pattern]

Writes to jaxstyle/demo unless told otherwise, as 8-bit sRGB JPEG, long side 512:

content.jpg        512x384, a harbour town at golden hour (harbour.py)
style_strokes.jpg  512x400, a painting in bristly strokes (strokes.py)
style_pattern.jpg  512x512, stained glass (glass.py)

The result depends on the seed in noise.py alone (to rounding, across machines). About 45 s of one core:
content 23 s, strokes 13 s, pattern 9 s, and 0.7 GB of memory.
"""

import argparse
from pathlib import Path

from canvas import save
from glass import glass_picture
from harbour import harbour_picture
from strokes import strokes_picture

PICTURES = {
    "content": ("content.jpg", harbour_picture),
    "strokes": ("style_strokes.jpg", strokes_picture),
    "pattern": ("style_pattern.jpg", glass_picture),
}


def main():
    """Parse the command line and write the pictures."""
    parser = argparse.ArgumentParser(prog="python scripts/demo_pictures", description=__doc__.split("\n")[0])
    home = Path(__file__).resolve().parents[2] / "jaxstyle" / "demo"
    parser.add_argument("--out", type=Path, metavar="DIR", default=home, help="default: jaxstyle/demo")
    parser.add_argument("--only", choices=list(PICTURES), help="make this one picture (default: all three)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for key, (name, make) in PICTURES.items():
        if options.only in (None, key):
            save(make(), options.out / name)


if __name__ == "__main__":
    main()
