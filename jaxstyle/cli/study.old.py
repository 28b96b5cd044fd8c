"""What the commands that look into one picture share: what they read and write, their network, record and bar."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxstyle import defaults
from jaxstyle.commands.inputs import LONGEST_STEM, read_picture
from jaxstyle.errors import InputError
from jaxstyle.figures import check_figure
from jaxstyle.images import Picture

if TYPE_CHECKING:
    from jaxstyle.networks import Network


def figure_name(options: argparse.Namespace, ending: str) -> Path:
    """Where the figure goes, checked: the name given, or the picture's with the ending."""
    stem = os.fsencode(Path(options.picture).stem)[:LONGEST_STEM].decode("utf-8", "ignore")
    return check_figure(f"{stem}_{ending}.png" if options.out is None else options.out)


def default_layers(network: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The network's content and style layers. Loads JAX, so ask for them only where none are given."""
    from jaxstyle.networks import ARCHITECTURES

    return ARCHITECTURES[network].content_layers, ARCHITECTURES[network].style_layers


def check_keeps_inputs(options: argparse.Namespace, results: Sequence[Path]) -> None:
    """No result may replace what it is made from."""
    for path in filter(None, (options.picture, options.weights)):
        for result in results:
            if result.exists() and os.path.exists(path) and os.path.samefile(result, path):
                raise InputError(
                    f"--out {options.out or result} would replace {path}, which is read; name another file"
                )


def read_study(path: str, size: int | None) -> Picture:
    """The picture, its long side `size`, or its own up to the default."""
    picture = read_picture(path, size)
    if size is None and max(picture.pixels.shape[:2]) > defaults.STUDY_SIZE:
        picture = read_picture(path, defaults.STUDY_SIZE)
    return picture


def open_study(options: argparse.Namespace, layers: Sequence[str], names: Sequence[str]) -> tuple["Network", Any]:
    """JAX started, the network with its options, and the record so far, with the settings of these names."""
    from jaxstyle.commands.records import made_with
    from jaxstyle.commands.session import start_jax, usual_precision
    from jaxstyle.commands.settings import Settings, check_settings, open_network

    shared = ("network", "weights", "pooling", "padding", "precision")
    start_jax()
    given = {name: getattr(options, name) for name in shared}
    given["precision"] = given["precision"] or usual_precision()
    settings = Settings(**given, content_layers=tuple(layers), style_layers=())
    check_settings(settings)
    network = open_network(settings, options.quiet)
    wanted = {name: getattr(options, name) for name in names}
    return network, {"settings": given | wanted, **made_with(options.weights or options.network)}


def parts_bar(quiet: bool, parts: int, steps: int) -> Any:
    """A bar over several runs, of `steps` steps or more each; off a terminal, a line at the end of each."""
    from jaxstyle.commands.session import Bar
    from jaxstyle.optimise import Progress

    class PartsBar(Bar):
        def __init__(self) -> None:
            super().__init__(quiet, parts * steps)
            self._before, self._left = 0, parts

        def watch(self, name: str) -> Callable[[Progress], None]:
            """The callback of the next run."""
            self._left -= 1

            def update(state: Progress) -> None:
                height, width = state.image.shape[:2]
                here, done = state.scales * state.steps, (state.scale - 1) * state.steps + state.step
                total = self._before + here + self._left * steps
                terms = f"loss {float(state.losses.total[-1]):.3g}"
                self._show(self._before + done, f"{name}, {width} x {height}", terms, total=total)
                if done == here:
                    self._before += here

            return update

        def say(self, line: str) -> None:
            """A line for who has no bar to watch."""
            if self._lines:
                print(line, file=sys.stderr)

    return PartsBar()
