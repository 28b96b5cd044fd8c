"""`jaxstyle ablate`: the grid of the papers, run as a sweep. Rows are the deepest style layer, columns the ratio of
style to content (Gatys, Ecker and Bethge 2015, https://arxiv.org/abs/1508.06576, figure 3)."""

import argparse
import json
from pathlib import Path
from typing import Any

from jaxstyle.commands import sweep
from jaxstyle.commands.inputs import default_name, read_picture
from jaxstyle.commands.study import default_layers
from jaxstyle.errors import InputError
from jaxstyle.figures import SMALL, check_figure, new_figure, save_figure, show_picture
from jaxstyle.pictures.images import load_image

FIGURE = "ablation.png"


def run(options: argparse.Namespace) -> int:
    """Runs the sweep, and draws its pictures as one figure."""
    content_layers, style_layers = default_layers(options.network)
    options.layers, options.content_layers = (
        options.layers or [*style_layers],
        options.content_layers or [*content_layers],
    )
    if len(set(options.ratios)) < len(options.ratios):
        raise InputError("--ratios has a number twice; each once")
    if len(set(options.layers)) < len(options.layers):
        raise InputError("--layers has a layer twice; each once")
    name = Path(default_name(options.content, options.styles[0])).with_suffix("").name
    out = Path(f"{name}_ablation" if options.out is None else options.out)
    there = next(folder for folder in (out, *out.absolute().parents) if folder.is_dir())
    check_figure(there / FIGURE)  # before the work, as near as there is a place to try
    code = sweep.run(options.parse(words(options, out)))
    if code:
        return code
    cells = json.loads((out / "sweep.json").read_bytes())["cells"]
    save_figure(out / FIGURE, _draw(options, out, cells), _data(options, cells))
    print(out / FIGURE)
    return 0


def rows(layers: list[str]) -> list[list[str]]:
    """The sets of style layers: the first, the first two, and so on."""
    return [layers[: i + 1] for i in range(len(layers))]


def words(options: argparse.Namespace, out: Path) -> list[str]:
    """The command line of the sweep: style layers by style weights, against a content weight of 1."""
    found = ["sweep", options.content, *options.styles, "-o", str(out)]
    found += ["--style-layers", *(",".join(row) for row in rows(options.layers))]
    found += ["--style-weight", *(f"{ratio:.9g}" for ratio in options.ratios), "--content-weight", "1"]
    found += ["--content-layers", ",".join(options.content_layers)]
    found += ["--network", options.network, *(["--weights", options.weights] if options.weights else [])]
    found += ["--size", str(options.size), "--min-size", str(options.size), "--steps", str(options.steps)]
    found += ["--rate", f"{options.rate:.9g}"]
    return [*found, "--init", options.init, "--seed", str(options.seed), *["--quiet"] * options.quiet]


def _cell(cells: list[dict[str, Any]], layers: list[str], ratio: float) -> dict[str, Any]:
    """The sweep's cell of these settings."""
    wanted = (layers, ratio)
    return next(c for c in cells if (c["settings"]["style_layers"], c["settings"]["style_weight"]) == wanted)


def _data(options: argparse.Namespace, cells: list[dict[str, Any]]) -> dict[str, Any]:
    """What stands beside the figure."""
    chosen = ("file", "status", "losses", "seconds", "command")
    return {
        "content": options.content,
        "style": options.styles[0],
        "layers": rows(options.layers),
        "ratios": options.ratios,
        "settings": {
            name: getattr(options, name)
            for name in ("network", "weights", "content_layers", "size", "steps", "rate", "init", "seed")
        },
        "cells": [
            {"layers": row, "ratio": ratio, **{name: _cell(cells, row, ratio)[name] for name in chosen}}
            for row in rows(options.layers)
            for ratio in options.ratios
        ],
    }


def _draw(options: argparse.Namespace, out: Path, cells: list[dict[str, Any]]) -> Any:
    """The grid, and beside it what it is made from."""
    content, style = (read_picture(path, options.size) for path in (options.content, options.styles[0]))
    height, width = content.pixels.shape[:2]
    across, down = len(options.ratios), len(options.layers)
    wide = 1.6 if width >= height else 1.6 * width / height
    tall = wide * height / width
    names = [Path(path).stem for path in (options.content, options.styles[0])]
    title = f"{names[0]}, in the manner of {names[1]}: style layers by style over content"
    figure = new_figure((across + 1) * (wide + 0.1) + 0.5, max(down, 2) * (tall + 0.06) + 0.75, title=title)
    beside, grid = figure.subfigures(1, 2, width_ratios=[wide + 0.1, across * (wide + 0.1) + 0.5])
    places = beside.subplots(max(down, 2), 1)
    for place in places:
        place.set_axis_off()
    for place, picture, kind, stem in zip(places, (content, style), ("content", "style"), names, strict=False):
        show_picture(place, picture.pixels, f"{kind}: {stem}")
    axes = grid.subplots(down, across, squeeze=False)
    for i, (row, line) in enumerate(zip(rows(options.layers), axes, strict=True)):
        for ratio, place in zip(options.ratios, line, strict=True):
            pixels = load_image(out / _cell(cells, row, ratio)["file"])
            show_picture(place, pixels, "" if i else f"style / content {ratio:g}")
        label = row[0] if len(row) == 1 else f"{row[0]}\nto {row[-1]}"
        line[0].text(
            -0.04, 0.5, label, fontsize=SMALL, rotation=90, ha="right", va="center", ma="center",
            transform=line[0].transAxes, parse_math=False,
        )  # fmt: skip
    return figure
