"""What the commands that look into one picture share: what they read and write, their network and record."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from jaxstyle import defaults
from jaxstyle.cli.outputs import Outputs
from jaxstyle.cli.pipes import source
from jaxstyle.cli.settings import NetworkSettings
from jaxstyle.cli.sources import read_picture, short_stem
from jaxstyle.pictures.read import Picture, own_size
from jaxstyle.studies.figures import check_figure, files_of_figure

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
    def overwrite(self) -> bool:
        """Whether files that are not jaxstyle's may be replaced."""

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


def outputs_of(options: StudyOptions, figure: Path, pictures: Sequence[Path] = ()) -> Outputs:
    """The figure, with what lies beside it, and pictures, each with its record."""
    outputs = Outputs(read=(options.picture, options.network.weights), overwrite=options.overwrite)
    outputs.add(*files_of_figure(figure))
    outputs.add_pictures(*pictures)
    return outputs


def default_layers(network: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The network's content and style layers. Loads JAX, so ask for them only where none are given."""
    from jaxstyle.networks import ARCHITECTURES

    return ARCHITECTURES[network].content_layers, ARCHITECTURES[network].style_layers


def read_study(options: StudyOptions, size: int | None) -> Picture:
    """The picture, its long side `size`, or its own up to the default."""
    if size is None and max(own_size(source(options.picture), large=options.large)) > defaults.STUDY_SIZE:
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
    return network, {"settings": vars(chosen) | dict(settings), **made_with(chosen)}
