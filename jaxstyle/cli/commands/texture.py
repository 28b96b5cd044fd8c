"""Make textures from a picture's statistics, of any size, seamless too.

Textures with the Gram matrices of STYLE at its first layer, its first two, and so on, at a single size, and at all of
them from coarse to fine. FIG.png, FIG.pdf, FIG.json, and each texture as FIG_*.png.
"""

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np

from jaxstyle import defaults
from jaxstyle.cli.messages import name_of
from jaxstyle.cli.options import Reading
from jaxstyle.cli.outputs import Outputs
from jaxstyle.cli.parser import Named, Positional, Several
from jaxstyle.cli.settings import NetworkSettings
from jaxstyle.cli.study import default_layers, figure_name, open_study, outputs_of, read_study
from jaxstyle.cli.values import LAYERS, NUMBER, SEED, SIDE, SOLVER, STEPS, STYLE_LOSS, Text
from jaxstyle.errors import InputError
from jaxstyle.pictures.read import MAX_SIDE, MIN_SIDE, Picture
from jaxstyle.studies.figures import files_of_figure, save_figure

CELL = 16  # what the sides of a texture that tiles are multiples of
SETTINGS = ("style_loss", "source_size", "steps", "tv_weight", "optimizer", "seed", "tile")


@dataclass(frozen=True, kw_only=True)
class Options(Reading):
    """What `texture` can be told.

    Attributes:
      picture: the picture to make textures of
      out: (default: STYLE_textures.png, here)
      overwrite: replace files that are there and not jaxstyle's own, too
      layers: (default: {STYLE})
      steps: at each size
      source_size: long side in pixels at which it is read (default: its own, at most {STUDY_SIZE})
      size: long side of the textures (default: the source's)
      width: of the textures, in pixels
      height: of the textures, in pixels
      style_loss: what is compared
      tile: textures that repeat without a seam; sides in 16 pixels
      tv_weight: smoothness
      optimizer: what moves the pixels
      seed: of the noise
      quiet: print only the results' names
    """

    picture: Annotated[str, Positional(Text("STYLE"))]
    out: Annotated[str | None, Text("FIG.png"), Named("-o", "--out")] = None
    overwrite: bool = False
    layers: Annotated[tuple[str, ...] | None, Several(LAYERS)] = None
    steps: Annotated[int, STEPS] = defaults.TEXTURE_STEPS
    source_size: Annotated[int | None, SIDE] = None
    size: Annotated[int | None, SIDE] = None
    width: Annotated[int | None, SIDE] = None
    height: Annotated[int | None, SIDE] = None
    style_loss: Annotated[str, STYLE_LOSS] = "gram"
    tile: bool = False
    tv_weight: Annotated[float, NUMBER] = defaults.TEXTURE_VARIATION
    optimizer: Annotated[str, SOLVER] = "lbfgs"
    seed: Annotated[int, SEED] = defaults.SEED
    quiet: bool = False
    network: NetworkSettings = dataclasses.field(default_factory=NetworkSettings)
    given: frozenset[str] = frozenset()


class Part(NamedTuple):
    """One texture of the figure: its layers, whether it begins at a coarser size, its name and file."""

    layers: tuple[str, ...]
    coarse: bool
    name: str
    file: Path


def run(options: Options) -> int:
    """Checks everything that can be checked, synthesises, saves each texture, draws."""
    out = figure_name(options, "textures")
    _check_sizes(options)
    layers = list(options.layers or default_layers(options.network.network)[1])
    parts = parts_of(layers, out)
    outputs = outputs_of(options, out, [part.file for part in parts])
    picture = read_study(options, options.source_size)
    size = output_size(options, picture.pixels.shape[:2])
    with outputs.claimed():
        return _make(options, outputs, out, picture, size, layers, parts)


def _make(
    options: Options,
    outputs: Outputs,
    out: Path,
    picture: Picture,
    size: tuple[int, int],
    layers: list[str],
    parts: Sequence[Part],
) -> int:
    """Synthesises, saves each texture, draws."""
    # Only now, since JAX takes a second to load, and wrong input need not wait for it.
    began, (height, width) = time.time(), size
    settings = {name: getattr(options, name) for name in SETTINGS}
    network, record = open_study(options, layers, {"layers": layers, **settings})
    import jax

    from jaxstyle.cli.records import file_record, save_result
    from jaxstyle.cli.terminal import PartsBar
    from jaxstyle.solvers import SOLVERS
    from jaxstyle.studies.texture import draw_textures, gram_errors, synthesise

    key, solver = jax.random.key(options.seed), SOLVERS[options.optimizer]()
    record = {"style": file_record(picture), "width": width, "height": height, **record}
    images, entries = [], []
    with PartsBar(options.quiet, len(parts), options.steps) as bar:
        for part in parts:
            start = time.time()
            result = synthesise(
                picture.pixels,
                network=network,
                layers=part.layers,
                style_loss=options.style_loss,
                height=height,
                width=width,
                tile=options.tile,
                min_size=None if part.coarse else max(height, width),
                tv_weight=options.tv_weight,
                solver=solver,
                steps=options.steps,
                key=key,
                on_progress=bar.watch(part.name),
            )
            image = np.asarray(result.image)
            errors = gram_errors(result.image, picture.pixels, network=network, layers=layers, tile=options.tile)
            entry = {
                "name": part.name,
                "file": part.file.name,
                "layers": part.layers,
                "coarse_to_fine": part.coarse,
                "style_error": float(result.final.style),
                "style_error_of_noise": float(result.losses.style[0]),
                "gram_errors": {layer: float(error) for layer, error in errors.items()},
                "evaluations": result.evaluations,
                "seconds": round(time.time() - start, 2),
            }
            with outputs.writing(part.file, part.file.with_suffix(".json")):
                save_result(part.file, image, None, {**record, "texture": entry}, overwrite=options.overwrite)
            images.append(image)
            entries.append(entry)
            bar.say(f"{part.name}: style error {entry['style_error']:.2g}")
    data = {**record, "textures": entries, "seconds": round(time.time() - began, 1)}
    name = Path(picture.path).name
    how: Any = {"style_loss": options.style_loss, "tile": options.tile}
    figure = draw_textures(picture.pixels, name, layers, entries, images, **how)
    with outputs.writing(*files_of_figure(out)):
        save_figure(out, figure, data)
    details = f": {len(parts)} textures, {width} x {height}, {time.time() - began:.0f} s"
    print(f"{name_of(out)}{'' if options.quiet else details}")
    return 0


def parts_of(layers: Sequence[str], out: Path) -> list[Part]:
    """The first layer, the first two, and so on at a single size; then all of them from coarse to fine."""
    parts = []
    for k in range(1, len(layers) + 1):
        name = layers[0] if k == 1 else f"{layers[0]} to {layers[k - 1]}" if k > 2 else f"{layers[0]}, {layers[1]}"
        parts.append(Part(tuple(layers[:k]), False, name, out.with_stem(f"{out.stem}_{k}_{_word(layers[k - 1])}")))
    best = out.with_stem(f"{out.stem}_{len(layers) + 1}_coarse_to_fine")
    return [*parts, Part(tuple(layers), True, "all of them, from coarse to fine", best)]


def _word(layer: str) -> str:
    """The layer's name as a part of a file's: what is no name of a layer is refused later, when those are known."""
    return layer if layer.isidentifier() else "layer"


def _check_sizes(options: Options) -> None:
    if options.size and (options.width or options.height):
        raise InputError("--size is the long side of the textures; give it, or --width and --height")
    if options.tile and options.network.padding:
        raise InputError(
            f"--tile pads each side with the other one; it goes without --padding {options.network.padding}"
        )
    for name in ("size", "width", "height"):
        side = getattr(options, name)
        if options.tile and side and side % CELL:
            near = max(CELL, round(side / CELL) * CELL)
            raise InputError(f"--{name} is {side}; with --tile it must be a multiple of {CELL}, such as {near}")


def output_size(options: Options, source: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of the textures: what is not given follows from the source's proportions."""
    height, width = options.height, options.width
    if width is not None:
        ratio = width / source[1]
    elif height is not None:
        ratio = height / source[0]
    else:
        ratio = (options.size or max(source)) / max(source)
    unit = CELL if options.tile else 1
    height, width = (
        max(unit, round(side * ratio / unit) * unit) if given is None else given
        for side, given in zip(source, (height, width), strict=True)
    )
    if not MIN_SIDE <= min(height, width) <= max(height, width) <= MAX_SIDE:
        raise InputError(
            f"the textures would be {width} x {height} pixels; allowed are {MIN_SIDE} to {MAX_SIDE} a side"
        )
    return height, width
