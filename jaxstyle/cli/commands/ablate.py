"""Paint style layers by style weights, the papers' grid, in one figure.

A sweep over sets of style layers (rows: the first of --layers, the first two, and so on) and ratios of style to content
(columns). DIR is a sweep's folder, with ablation.png, .pdf and .json in it; the same command again goes on where it was
stopped.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from jaxstyle import defaults
from jaxstyle.cli.commands import sweep
from jaxstyle.cli.grid import SweepOptions
from jaxstyle.cli.messages import name_of
from jaxstyle.cli.options import Reading
from jaxstyle.cli.outputs import Outputs
from jaxstyle.cli.parser import Axis, Named, Positional, Several
from jaxstyle.cli.settings import Settings
from jaxstyle.cli.sources import default_name, reader
from jaxstyle.cli.study import default_layers
from jaxstyle.cli.values import LAYERS, NETWORK, POSITIVE, PREPROCESSING, SEED, SIDE, STEPS, Text
from jaxstyle.errors import InputError
from jaxstyle.pictures.read import load_image
from jaxstyle.studies.figures import check_figure, files_of_figure, save_figure

FIGURE = "ablation.png"


@dataclass(frozen=True, kw_only=True)
class Options(Reading):
    """What `ablate` can be told.

    Attributes:
      content: the picture to paint
      style: the picture to paint like
      out: folder (default: CONTENT_STYLE_ablation, here)
      overwrite: replace files that are there and not jaxstyle's own, too
      layers: style layers, shallow to deep (default: {STYLE})
      ratios: style weight over content weight
      content_layers: (default: {CONTENT})
      network: what sees the pictures
      weights: weights: .h5, .keras, .pth, .safetensors or .whl
      preprocessing: what the weights were trained to see (default: found out)
      size: long side in pixels
      steps: of each picture
      rate: Adam's learning rate
      init: content, noise, style, blur, or a picture FILE; the paper has noise
      seed: of what is drawn at random
      quiet: print only the results' names
    """

    content: Annotated[str, Positional(Text("CONTENT"))]
    style: Annotated[str, Positional(Text("STYLE"))]
    out: Annotated[str | None, Text("DIR"), Named("-o", "--out")] = None
    overwrite: bool = False
    layers: Annotated[tuple[str, ...] | None, Several(LAYERS)] = None
    ratios: Annotated[tuple[float, ...], Several(POSITIVE)] = defaults.ABLATE_RATIOS
    content_layers: Annotated[tuple[str, ...] | None, Several(LAYERS)] = None
    network: Annotated[str, NETWORK] = defaults.NETWORK
    weights: Annotated[str | None, Text("FILE")] = None
    preprocessing: Annotated[str | None, PREPROCESSING] = None
    size: Annotated[int, SIDE] = defaults.ABLATE_SIZE
    steps: Annotated[int, STEPS] = defaults.ABLATE_STEPS
    rate: Annotated[float, POSITIVE] = defaults.ABLATE_RATE
    init: Annotated[str, Text("START")] = "noise"
    seed: Annotated[int, SEED] = defaults.SEED
    quiet: bool = False


def run(options: Options) -> int:
    """Runs the sweep, and draws its pictures as one figure."""
    if len(set(options.ratios)) < len(options.ratios):
        raise InputError("--ratios has a number twice; each once")
    if len(set(options.layers or ())) < len(options.layers or ()):
        raise InputError("--layers has a layer twice; each once")
    name = Path(default_name(options.content, options.style)).with_suffix("").name
    out = Path(f"{name}_ablation" if options.out is None else options.out)
    there = next(folder for folder in (out, *out.absolute().parents) if folder.is_dir())
    check_figure(there / FIGURE)  # before the work, as near as there is a place to try
    grid = sweep_of(options, out)
    outputs = Outputs(read=(options.content, options.style, options.weights), overwrite=options.overwrite)
    if there == out:
        outputs.add(*files_of_figure(out / FIGURE))
    code = sweep.run(grid)
    if code:
        return code
    from jaxstyle.studies.ablate import draw_ablation

    cells = json.loads((out / "sweep.json").read_bytes())["cells"]
    layers, ratios = (axis.values for axis in grid.axes)
    images = [[load_image(out / _cell(cells, row, ratio)["file"], large=True) for ratio in ratios] for row in layers]
    content, style = (reader(options)(path, options.size).pixels for path in (options.content, options.style))
    names = [Path(path).stem for path in (options.content, options.style)]
    figure = draw_ablation(content, style, names, layers, ratios, images)
    with outputs.writing(*files_of_figure(out / FIGURE)):
        save_figure(out / FIGURE, figure, _data(options, grid, cells))
    print(name_of(out / FIGURE))
    return 0


def sweep_of(options: Options, out: Path) -> SweepOptions:
    """The sweep: style layers by style weights, against a content weight of 1."""
    content_layers, style_layers = default_layers(options.network)
    layers = options.layers or style_layers
    sets, ratios = tuple(layers[: i + 1] for i in range(len(layers))), options.ratios
    chosen: dict[str, Any] = {
        "style_layers": sets[0],
        "style_weight": ratios[0],
        "content_weight": 1.0,
        "content_layers": options.content_layers or content_layers,
        "network": options.network,
        "weights": options.weights,
        "preprocessing": options.preprocessing,
        "size": options.size,
        "min_size": options.size,
        "steps": options.steps,
        "optimizer": "adam",
        "rate": options.rate,
        "init": options.init,
        "seed": options.seed,
    }
    return SweepOptions(
        content=options.content,
        styles=(options.style,),
        out=str(out),
        overwrite=options.overwrite,
        large=options.large,
        quiet=options.quiet,
        settings=Settings(**chosen),
        given=frozenset(name for name, value in chosen.items() if value is not None),
        axes=(Axis("style_layers", sets), Axis("style_weight", ratios)),
    )


def _cell(cells: list[dict[str, Any]], layers: Sequence[str], ratio: float) -> dict[str, Any]:
    """The sweep's cell of these settings."""
    wanted = ([*layers], ratio)
    return next(c for c in cells if (c["settings"]["style_layers"], c["settings"]["style_weight"]) == wanted)


def _data(options: Options, sweep: SweepOptions, cells: list[dict[str, Any]]) -> dict[str, Any]:
    """What stands beside the figure."""
    chosen = ("file", "status", "losses", "seconds", "command")
    layers, ratios = (axis.values for axis in sweep.axes)
    names = ("network", "weights", "preprocessing", "content_layers", "size", "steps", "rate", "init", "seed")
    return {
        "content": options.content,
        "style": options.style,
        "layers": layers,
        "ratios": ratios,
        "settings": {name: getattr(sweep.settings, name) for name in names},
        "cells": [
            {"layers": row, "ratio": ratio, **{name: _cell(cells, row, ratio)[name] for name in chosen}}
            for row in layers
            for ratio in ratios
        ],
    }
