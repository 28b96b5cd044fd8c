"""`jaxstyle compare --networks`: the same pair painted through each network, in one figure."""

import argparse
import copy
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxstyle.commands.inputs import Inputs, check_options, default_name, read_pictures
from jaxstyle.commands.study import parts_bar
from jaxstyle.errors import InputError
from jaxstyle.figures import SMALL, check_figure, picture_grid, save_figure, show_picture

if TYPE_CHECKING:
    from jaxstyle.commands.settings import Settings
    from jaxstyle.comparison import Pair
    from jaxstyle.optimise import Result


class Painted(NamedTuple):
    """What one network made of the pair."""

    settings: "Settings"
    random: bool
    pair: "Pair"
    result: "Result"
    seconds: float


def run(options: argparse.Namespace) -> int:
    """Checks everything that can be checked, paints with each network, draws."""
    name = Path(default_name(options.content, options.styles[0])).with_suffix("").name
    out = check_figure(f"{name}_networks.png" if options.out is None else options.out)
    check_options(options)
    if len(set(options.networks)) < len(options.networks):
        raise InputError("--networks has a name twice; each once")
    for option in ("weights", "rates"):
        if getattr(options, option):
            raise InputError(f"--{option} is not for several networks; leave it out, or --networks")
    inputs = read_pictures(options, out)
    # Only now, since JAX takes a second to load, and wrong input need not wait for it.
    from jaxstyle.commands.records import origin
    from jaxstyle.commands.session import start_jax
    from jaxstyle.commands.settings import resolve
    from jaxstyle.weights import at_hand

    missing = [name for name in options.networks if at_hand(name) is None]
    if missing and not options.random_weights:
        fetch = "; ".join(f"jaxstyle weights fetch {name}" for name in missing)
        raise InputError(
            f"not on this machine: {', '.join(missing)} ({fetch}); --random-weights paints with random ones"
        )
    start_jax()
    settings = [resolve(_with_network(options, name), inputs.size) for name in options.networks]
    began = time.time()
    records = [
        origin(inputs, one, held={"sha256": None, "preprocessing": "torchvision"} if one.network in missing else None)
        for one in settings
    ]
    with parts_bar(options.quiet, len(settings), options.evaluations) as bar:
        painted = [_paint(inputs, one, one.network in missing, options, bar) for one in settings]
    seen = _seen(inputs, painted)
    save_figure(out, _draw(inputs, painted, seen), _data(records, options.evaluations, painted, seen))
    print(f"{out}{'' if options.quiet else f': {len(painted)} networks, {time.time() - began:.0f} s'}")
    return 0


def _with_network(options: argparse.Namespace, name: str) -> argparse.Namespace:
    options = copy.copy(options)
    options.network = name
    return options


def _paint(inputs: Inputs, settings: "Settings", random: bool, options: argparse.Namespace, bar: Any) -> Painted:
    """One network's picture, by Adam from coarse to fine."""
    import jax

    from jaxstyle.commands.settings import open_network, term_weights
    from jaxstyle.comparison import Pair
    from jaxstyle.networks import random_network
    from jaxstyle.optimise import transfer
    from jaxstyle.weights import module_options

    if random:
        chosen = module_options(settings.pooling, settings.padding, settings.precision)
        network = random_network(settings.network, seed=settings.seed).with_options(**chosen)
    else:
        network = open_network(settings, options.quiet)
    styles, start = [style.pixels for style in inputs.styles], time.time()
    pair = Pair(network, inputs.content.pixels, styles, term_weights(settings), settings.objective)
    result = transfer(
        **(pair._asdict() | {"styles": styles}),
        steps=options.evaluations,
        key=jax.random.key(settings.seed),
        on_progress=bar.watch(settings.network),
    )
    painted = Painted(settings, random, pair, result, time.time() - start)
    bar.say(f"{settings.network}{' (random weights)' * random}: {_errors(painted)}, {painted.seconds:.0f} s")
    return painted


def _errors(one: Painted) -> str:
    return f"content {float(one.result.final.content):.3g}, style {float(one.result.final.style):.3g}"


def _seen(inputs: Inputs, painted: Sequence[Painted]) -> np.ndarray:
    """(pictures + 1, networks): the style term of each network's picture, and last the content, by each."""
    from jaxstyle.comparison import terms_of

    images: list[Any] = [*(one.result.image for one in painted), inputs.content.pixels]
    return np.array([[float(terms_of(image, one.pair).style) for one in painted] for image in images])


def _data(
    records: Sequence[Mapping[str, Any]], evaluations: int, painted: Sequence[Painted], seen: np.ndarray
) -> dict[str, Any]:
    """What stands beside the figure."""
    shared = {name: value for name, value in records[0].items() if name not in ("settings", "weights")}
    return {
        **shared,
        "evaluations": evaluations,
        "style_seen": "of each network's picture, in a row, the style term by each network; the content's comes last",
        "seen": seen,
        "networks": [
            {
                "name": one.settings.network,
                "random_weights": one.random,
                "weights": record["weights"],
                "settings": {**record["settings"], "steps": evaluations},
                "final": {term: float(value) for term, value in one.result.final._asdict().items()},
                "seconds": round(one.seconds, 2),
            }
            for record, one in zip(records, painted, strict=True)
        ],
    }


def _draw(inputs: Inputs, painted: Sequence[Painted], seen: np.ndarray) -> Any:
    """Content, style, each network's picture; and what each network thinks of the others' style."""
    height, width = inputs.content.pixels.shape[:2]
    names = [Path(picture.path).stem for picture in (inputs.content, inputs.styles[0])]
    first = painted[0].settings
    weights = f"content {first.content_weight:g}, style {first.style_weight:g}, variation {first.tv_weight:g}"
    title = f"{names[0]}, in the manner of {names[1]}: the same relative weights ({weights}), {width} x {height} pixels"
    count = len(painted) + 3 if len(painted) > 1 else 3
    figure, axes = picture_grid(count, max(height / width, 0.75), title=title, lines=5)
    show_picture(axes[0], inputs.content.pixels, f"content\n{names[0]}")
    show_picture(axes[1], inputs.styles[0].pixels, f"style\n{names[1]}")
    for k, (place, one) in enumerate(zip(axes[2:], painted, strict=False), 1):
        s = one.settings
        layers = f"content {_brief(s.content_layers)}; style\n{_brief(s.style_layers)}"
        heading = f"{k}: {s.network}{', RANDOM WEIGHTS' * one.random}"
        show_picture(place, one.result.image, f"{heading}\n{layers}\n{_errors(one)}")
    if len(painted) > 1:
        _table(axes[-1], seen)
    return figure


def _brief(layers: Sequence[str]) -> str:
    return " ".join(layers) if len(layers) <= 4 else f"{layers[0]} ... {layers[-1]}"


def _table(axes: Any, seen: np.ndarray) -> None:
    """Style terms in per cent of those of the content, which has none of the style."""
    shares = 100 * seen[:-1] / np.maximum(seen[-1], np.finfo(np.float32).tiny)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    for i, row in enumerate(shares):
        for j, share in enumerate(row):
            ink = "white" if share > 60 else "black"
            axes.text(j, i, f"{share:.2g}", ha="center", va="center", fontsize=SMALL - 1, color=ink)
    numbers = range(1, len(shares) + 1)
    axes.set_xticks(range(len(shares)), numbers, fontsize=SMALL - 1)
    axes.set_yticks(range(len(shares)), numbers, fontsize=SMALL - 1)
    axes.set_title(
        "style left in each picture (row),\nas each network (column) sees it,\n% of the content's", fontsize=SMALL
    )
