"""What the commands that look into one picture share: what they read and write, their network and record."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from jaxstyle import defaults
from jaxstyle.cli.settings import NetworkSettings
from jaxstyle.cli.sources import read_picture, short_stem
from jaxstyle.errors import InputError
from jaxstyle.pictures.read import Picture, own_size
from jaxstyle.studies.figures import check_figure

if TYPE_CHECKING:
    from jaxstyle.networks import Network

STUDY_SIZE_HELP = "long side in pixels at which it is read (default: its own, at most {STUDY_SIZE})"


class StudyOptions(Protocol):
    """What each of these commands can be told."""

    @property
    def picture(self) -> str:
        """The picture's file."""

    @property
    def large(self) -> bool:
        """Whether it may have any number of pixels."""

    @property
    def out(self) -> str | None:
        """The figure's file."""

    @property
    def network(self) -> NetworkSettings:
        """The network."""

    @property
    def quiet(self) -> bool:
        """Whether only the result is named."""

    @property
    def given(self) -> frozenset[str]:
        """The settings of the network that were given."""


def figure_name(options: StudyOptions, ending: str) -> Path:
    """Where the figure goes, checked: the name given, or the picture's with the ending."""
    return check_figure(f"{short_stem(options.picture)}_{ending}.png" if options.out is None else options.out)


def default_layers(network: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The network's content and style layers. Loads JAX, so ask for them only where none are given."""
    from jaxstyle.networks import ARCHITECTURES

    return ARCHITECTURES[network].content_layers, ARCHITECTURES[network].style_layers


def check_keeps_sources(options: StudyOptions, results: Sequence[Path]) -> None:
    """No result may replace what it is made from."""
    for path in filter(None, (options.picture, options.network.weights)):
        for result in results:
            if result.exists() and os.path.exists(path) and os.path.samefile(result, path):
                raise InputError(
                    f"--out {options.out or result} would replace {path}, which is read; name another file"
                )


def read_study(options: StudyOptions, size: int | None) -> Picture:
    """The picture, its long side `size`, or its own up to the default."""
    if size is None and max(own_size(options.picture, large=options.large)) > defaults.STUDY_SIZE:
        size = defaults.STUDY_SIZE
    return read_picture(options.picture, size, large=options.large)


def open_study(
    options: StudyOptions, layers: Sequence[str], settings: Mapping[str, Any]
) -> tuple["Network", dict[str, Any]]:
    """JAX started, the network with its options, which has these layers, and the record so far, with these settings."""
    from jaxstyle.cli.machine import usual_precision
    from jaxstyle.cli.records import made_with
    from jaxstyle.cli.resolve import open_network
    from jaxstyle.cli.startup import start_jax
    from jaxstyle.engine.checks import check_layers
    from jaxstyle.networks import ARCHITECTURES, Network
    from jaxstyle.objective import Objective

    start_jax()
    chosen = options.network
    if "precision" not in options.given:
        chosen = replace(chosen, precision=usual_precision())
    module, objective = ARCHITECTURES[chosen.network], Objective(tuple(layers), ())
    # A network without weights knows the names of its layers: a wrong one need not wait for a download.
    params: Any = {name: None for name in module.parameter_shapes}
    check_layers(Network(params, chosen.network, module, "keras"), objective)
    network = open_network(chosen, options.quiet)
    check_layers(network, objective)  # again: a file of weights may lack the deepest
    return network, {"settings": vars(chosen) | dict(settings), **made_with(chosen.weights or chosen.network)}
