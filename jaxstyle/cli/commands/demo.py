"""`jaxstyle demo`: the pictures that come with jaxstyle, in two styles, with no download."""

import argparse
import sys
import time
from importlib.resources import files
from pathlib import Path

from jaxstyle.commands.folder import results_folder
from jaxstyle.commands.transfer import paint
from jaxstyle.pictures.images import check_writable

RESULTS = {"style_strokes": "harbour_strokes.png", "style_pattern": "harbour_pattern.png"}


def run(options: argparse.Namespace) -> int:
    """Paints the harbour twice."""
    began, out = time.time(), Path(options.out)
    with results_folder(out):
        for name in RESULTS.values():
            check_writable(out / name)
    if not options.quiet:
        what = f"painting a harbour in two styles, {options.size} pixels wide, with the compact network"
        print(what, file=sys.stderr)
    pictures = files("jaxstyle") / "demo"
    for style, name in RESULTS.items():
        arguments = [str(pictures / f"{picture}.jpg") for picture in ("content", style)]
        arguments += ["-o", str(out / name), "--size", str(options.size)]
        code = paint(options.parse(["transfer", *arguments, *["--quiet"] * options.quiet]))
        if code:
            return code
    if not options.quiet:
        best = out / RESULTS["style_strokes"]
        print(f"done in {time.time() - began:.0f} s; open {best}", file=sys.stderr)
    return 0
