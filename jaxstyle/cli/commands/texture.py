"""`jaxstyle texture`: textures from the statistics of a picture, for more and more layers."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxstyle.commands.study import check_keeps_inputs, default_layers, figure_name, open_study, parts_bar, read_study
from jaxstyle.errors import InputError
from jaxstyle.figures import SMALL, SUFFIXES, line_style, picture_grid, save_figure, show_picture
from jaxstyle.pictures.images import MAX_SIDE, MIN_SIDE, check_writable

CELL = 16  # what the sides of a texture that tiles are multiples of
SETTINGS = ("layers", "style_loss", "source_size", "steps", "tv_weight", "optimizer", "seed", "tile")


class Part(NamedTuple):
    """One texture of the figure: its layers, whether it begins at a coarser size, its name and file."""

    layers: tuple[str, ...]
    coarse: bool
    name: str
    file: Path


def run(options: argparse.Namespace) -> int:
    """Checks everything that can be checked, synthesises, saves each texture, draws."""
    out = figure_name(options, "textures")
    _check_sizes(options)
    options.layers = options.layers or list(default_layers(options.network)[1])
    parts = parts_of(options.layers, out)
    for part in parts:
        check_writable(part.file)
    results = [path.with_suffix(suffix) for path in (out, *(part.file for part in parts)) for suffix in SUFFIXES]
    check_keeps_inputs(options, results)
    picture = read_study(options.picture, options.source_size)
    height, width = output_size(options, picture.pixels.shape[:2])
    # Only now, since JAX takes a second to load, and wrong input need not wait for it.
    began = time.time()
    network, record = open_study(options, options.layers, SETTINGS)
    import jax

    from jaxstyle.commands.records import file_record, save_result
    from jaxstyle.inversion import gram_errors, synthesise
    from jaxstyle.solvers import SOLVERS

    key, solver = jax.random.key(options.seed), SOLVERS[options.optimizer]()
    record = {"style": file_record(picture), "width": width, "height": height, **record}
    images, entries = [], []
    with parts_bar(options.quiet, len(parts), options.steps) as bar:
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
            errors = gram_errors(
                result.image, picture.pixels, network=network, layers=options.layers, tile=options.tile
            )
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
            save_result(part.file, image, None, {**record, "texture": entry})
            images.append(image)
            entries.append(entry)
            bar.say(f"{part.name}: style error {entry['style_error']:.2g}")
    data = {**record, "textures": entries, "seconds": round(time.time() - began, 1)}
    save_figure(out, _draw(picture, options, entries, images), data)
    print(
        f"{out}{'' if options.quiet else f': {len(parts)} textures, {width} x {height}, {time.time() - began:.0f} s'}"
    )
    return 0


def parts_of(layers: Sequence[str], out: Path) -> list[Part]:
    """The first layer, the first two, and so on at a single size; then all of them from coarse to fine."""
    parts = []
    for k in range(1, len(layers) + 1):
        name = layers[0] if k == 1 else f"{layers[0]} to {layers[k - 1]}" if k > 2 else f"{layers[0]}, {layers[1]}"
        parts.append(Part(tuple(layers[:k]), False, name, out.with_stem(f"{out.stem}_{k}_{layers[k - 1]}")))
    best = out.with_stem(f"{out.stem}_{len(layers) + 1}_coarse_to_fine")
    return [*parts, Part(tuple(layers), True, "all of them, from coarse to fine", best)]


def _check_sizes(options: argparse.Namespace) -> None:
    if options.size and (options.width or options.height):
        raise InputError("--size is the long side of the textures; give it, or --width and --height")
    if options.tile and options.padding:
        raise InputError(f"--tile pads each side with the other one; it goes without --padding {options.padding}")
    for name in ("size", "width", "height"):
        side = getattr(options, name)
        if options.tile and side and side % CELL:
            near = max(CELL, round(side / CELL) * CELL)
            raise InputError(f"--{name} is {side}; with --tile it must be a multiple of {CELL}, such as {near}")


def output_size(options: argparse.Namespace, source: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of the textures: what is not given follows from the source's proportions."""
    height, width = options.height, options.width
    if height is None and width is None:
        ratio = (options.size or max(source)) / max(source)
    else:
        ratio = height / source[0] if width is None else width / source[1]
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


def _draw(picture: Any, options: Any, entries: list[dict[str, Any]], images: list[np.ndarray]) -> Any:
    """The source, the textures, the best one repeated if it tiles, and the error of every layer under every set."""
    height, width = picture.pixels.shape[:2]
    tall, wide = images[0].shape[:2]
    seamless = ", seamless" if options.tile else ""
    what = "Gram matrices" if options.style_loss == "gram" else f"statistics ({options.style_loss})"
    title = f"{Path(picture.path).name}: textures from the {what} of more and more layers, {wide} x {tall}{seamless}"
    count = len(entries) + 2 + options.tile
    figure, (first, *rest) = picture_grid(count, tall / wide, title=title, lines=2)
    last = rest.pop()
    show_picture(first, picture.pixels, f"source, {width} x {height}")
    for axes, entry, image in zip(rest, entries, images, strict=False):
        show_picture(axes, image, f"{entry['name']}\nstyle error {100 * entry['style_error']:.2g} %")
    if options.tile:
        show_picture(rest[-1], np.tile(images[-1], (2, 2, 1)), "the last one, 2 x 2 times")
    for k, entry in enumerate(entries):
        label = "from coarse to fine" if entry["coarse_to_fine"] else f"to {entry['layers'][-1]}"
        values = list(entry["gram_errors"].values())
        last.plot(range(len(values)), values, marker="os^Dv<>"[k % 7], markersize=3, label=label, **line_style(k))
    last.set_yscale("log")
    last.yaxis.tick_right()  # so that the pictures above stay in their column
    last.set_xticks(
        range(len(options.layers)), options.layers, fontsize=SMALL - 1, rotation=30, ha="right", rotation_mode="anchor"
    )
    last.tick_params(axis="y", labelsize=SMALL - 1)
    last.set_title("Gram error of each layer, |G - A|² / |A|²", fontsize=SMALL)
    last.grid(alpha=0.3, linewidth=0.5)
    last.legend(fontsize=SMALL - 2, frameon=False, labelspacing=0.2)
    return figure
