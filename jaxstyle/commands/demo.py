"""`jaxstyle demo`: the pictures that come with jaxstyle, in two styles, with no download."""

import argparse
import time
from importlib.resources import files
from pathlib import Path

from jaxstyle.commands.session import start_jax
from jaxstyle.commands.transfer import Job, open_network, resolve
from jaxstyle.errors import InputError
from jaxstyle.images import check_writable, load_picture

RESULTS = {"style_strokes": "harbour_strokes.png", "style_pattern": "harbour_pattern.png"}


def run(options: argparse.Namespace) -> int:
    """Paints the harbour twice."""
    from jaxstyle.cli import build_parser

    began, out = time.time(), Path(options.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {out} ({error.strerror})") from error
    for name in RESULTS.values():
        check_writable(out / name)
    start_jax()
    if not options.quiet:
        print(f"painting a harbour in two styles, {options.size} pixels wide, with the compact network")
    pictures = files("jaxstyle") / "demo"
    for style, name in RESULTS.items():
        paths = [str(pictures / f"{picture}.jpg") for picture in ("content", style)]
        settings = resolve(build_parser().parse_args(["transfer", *paths]), options.size)
        content, painting = (load_picture(path, options.size) for path in paths)
        network = open_network(settings, options.quiet)
        code = Job(content, [painting], settings, network, out / name, quiet=options.quiet).run()
        if code:
            return code
    if not options.quiet:
        print(f"done in {time.time() - began:.0f} s; open {out / RESULTS['style_strokes']}")
    return 0
