"""The work of `jaxstyle compare --networks`: the same pair painted through each network, in one figure."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxstyle.cli.messages import name_of
from jaxstyle.cli.options import TransferOptions
from jaxstyle.cli.outputs import Outputs
from jaxstyle.cli.records import origin
from jaxstyle.cli.resolve import objective_of, open_for, resolve, weights_of
from jaxstyle.cli.settings import Settings
from jaxstyle.cli.sources import Sources
from jaxstyle.cli.startup import start_jax
from jaxstyle.cli.terminal import PartsBar
from jaxstyle.engine.transfer import transfer
from jaxstyle.errors import InputError
from jaxstyle.networks import random_network
from jaxstyle.studies.compare import Pair
from jaxstyle.studies.compare_networks import Painted, draw_networks, style_seen, told
from jaxstyle.studies.figures import files_of_figure, save_figure
from jaxstyle.weights import at_hand, module_options


def paint_with_each(
    options: TransferOptions,
    networks: Sequence[str],
    sources: Sources,
    evaluations: int,
    outputs: Outputs,
    *,
    random: bool,
    quiet: bool,
) -> int:
    """Paints with each network, and draws; `random` is whether those that are not at hand may have random weights."""
    missing = [name for name in networks if at_hand(name) is None]
    if missing and not random:
        fetch = "; ".join(f"jaxstyle weights fetch {name}" for name in missing)
        raise InputError(
            f"not on this machine: {', '.join(missing)} ({fetch}); --random-weights paints with random ones"
        )
    start_jax()
    settings = [resolve(options.having(network=name), sources.size) for name in networks]
    began = time.time()
    records = [
        origin(sources, one, held={"sha256": None, "preprocessing": "torchvision"} if one.network in missing else None)
        for one in settings
    ]
    with PartsBar(quiet, len(settings), evaluations) as bar:
        painted = [
            _paint(sources, one, evaluations, random=one.network in missing, quiet=quiet, bar=bar) for one in settings
        ]
    content, style = sources.content.pixels, sources.styles[0].pixels
    seen = style_seen(content, painted)
    names = [Path(picture.path).stem for picture in (sources.content, sources.styles[0])]
    figure = draw_networks(content, style, names, painted, seen)
    with outputs.writing(*files_of_figure(sources.out)):
        save_figure(sources.out, figure, _data(records, evaluations, painted, seen))
    print(f"{name_of(sources.out)}{'' if quiet else f': {len(painted)} networks, {time.time() - began:.0f} s'}")
    return 0


def _paint(
    sources: Sources, settings: Settings, evaluations: int, *, random: bool, quiet: bool, bar: PartsBar
) -> Painted:
    """One network's picture, by Adam from coarse to fine."""
    if random:
        chosen = module_options(settings.pooling, settings.padding, settings.precision)
        network = random_network(settings.network, seed=settings.seed).with_options(**chosen)
    else:
        network = open_for(settings, quiet)
    styles, start = [style.pixels for style in sources.styles], time.time()
    pair = Pair(network, sources.content.pixels, styles, weights_of(settings), objective_of(settings))
    result = transfer(
        **(pair._asdict() | {"styles": styles}),
        steps=evaluations,
        key=jax.random.key(settings.seed),
        on_progress=bar.watch(settings.network),
    )
    painted = Painted(settings.network, random, pair, result, time.time() - start)
    bar.say(f"{settings.network}{' (random weights)' * random}: {told(result.final)}, {painted.seconds:.0f} s")
    return painted


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
                "name": one.name,
                "random_weights": one.random,
                "weights": record["weights"],
                "settings": {**record["settings"], "steps": evaluations},
                "final": {term: float(value) for term, value in one.result.final._asdict().items()},
                "seconds": round(one.seconds, 2),
            }
            for record, one in zip(records, painted, strict=True)
        ],
    }
