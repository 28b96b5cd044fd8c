"""The settings of a transfer: the command line's options, completed from the preset and checked."""

import argparse
from dataclasses import dataclass, fields, replace
from typing import Any

from jaxstyle import defaults
from jaxstyle.checks import check_layers
from jaxstyle.commands.inputs import check_count
from jaxstyle.commands.session import download_bar
from jaxstyle.errors import InputError
from jaxstyle.networks import ARCHITECTURES, Network
from jaxstyle.objective import PRESETS, Objective
from jaxstyle.solvers import SOLVERS, Adam, Solver
from jaxstyle.weights import load_network


@dataclass(frozen=True)
class Settings:
    """The settings of a transfer, as they go into the record: enough, with the pictures, to make it again."""

    network: str
    weights: str | None
    pooling: str | None
    padding: str | None
    precision: str
    size: int
    min_size: int | None
    preset: str
    content_weight: float
    style_weight: float
    tv_weight: float
    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]
    layer_weights: tuple[float, ...] | None
    mix: tuple[float, ...] | None
    optimizer: str
    rate: float | None  # None for solvers that find it themselves
    steps: int
    init: str
    average: float
    seed: int

    @property
    def objective(self) -> Objective:
        """Layers and formulae."""
        preset = PRESETS[self.preset].objective
        return replace(preset, content_layers=self.content_layers, style_layers=self.style_layers)

    @property
    def solver(self) -> Solver:
        """What moves the pixels."""
        kind = SOLVERS[self.optimizer]
        return kind() if self.rate is None else Adam(rate=self.rate)


def resolve(options: argparse.Namespace, size: int) -> Settings:
    """The settings with the defaults of the preset filled in, checked before any weights are needed."""
    preset = PRESETS[options.preset]
    default: dict[str, Any] = {
        "content_weight": float(preset.weights.content),
        "style_weight": float(preset.weights.style),
        "tv_weight": float(preset.weights.variation),
        "content_layers": preset.objective.content_layers,
        "style_layers": preset.objective.style_layers,
        "rate": defaults.ADAM_RATE if options.optimizer == "adam" else None,
    }
    if preset.weights.layers is not None and options.style_layers is None:
        default["layer_weights"] = tuple(float(x) for x in preset.weights.layers)
    filled: dict[str, Any] = {"size": size}
    for field in fields(Settings):
        if field.name != "size":
            value = getattr(options, field.name)
            value = default.get(field.name) if value is None else value
            filled[field.name] = tuple(value) if isinstance(value, list) else value
    settings = Settings(**filled)
    _check(settings)
    return settings


def _check(settings: Settings) -> None:
    module = ARCHITECTURES[settings.network]
    # A network without weights knows the names of its layers: a wrong one need not wait for a download.
    params: Any = {name: None for name in module.kernel_shapes}
    check_layers(Network(params, settings.network, module, "keras"), settings.objective)
    check_count("--layer-weights", settings.layer_weights, len(settings.style_layers), "style layer")
    if not any((settings.content_weight, settings.style_weight, settings.tv_weight)):
        names = "--content-weight, --style-weight and --tv-weight"
        raise InputError(f"{names} are all zero, so that there is nothing to do; one must be larger")


def open_network(settings: Settings, quiet: bool) -> Network:
    """The network with its options, downloaded if need be."""
    with download_bar(quiet) as progress:
        network = load_network(
            settings.network,
            settings.weights,
            pooling=settings.pooling,
            padding=settings.padding,
            dtype=settings.precision,
            progress=progress,
        )
    check_layers(network, settings.objective)  # again: a file of weights may lack the deepest
    return network
