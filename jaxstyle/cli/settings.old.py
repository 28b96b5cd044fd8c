"""The settings of a transfer: the command line's options, completed from the preset and checked."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from jaxstyle import defaults
from jaxstyle.checks import check_layers
from jaxstyle.commands.inputs import check_count
from jaxstyle.commands.session import download_bar, usual_precision
from jaxstyle.errors import InputError
from jaxstyle.networks import ARCHITECTURES, Network
from jaxstyle.objective import FORMULAE, Objective, Weights
from jaxstyle.presets import PRESETS, Preset
from jaxstyle.solvers import SOLVERS, Adam, Solver
from jaxstyle.weights import load_network

LISTS = ("layer_weights", "mix", "mix_layers")  # settings of several numbers


@dataclass(frozen=True)
class Settings:
    """The settings of a transfer, as they go into the record: enough, with the pictures, to make it again."""

    network: str = defaults.NETWORK
    weights: str | None = None
    pooling: str | None = None
    padding: str | None = None
    precision: str = "float32"
    size: int = defaults.SIZE
    min_size: int | None = None
    margin: int = 0
    preset: str = "default"
    style_loss: str | None = "gram"  # None for the preset's own
    content_weight: float = defaults.CONTENT_WEIGHT
    style_weight: float = defaults.STYLE_WEIGHT
    tv_weight: float = defaults.VARIATION_WEIGHT
    content_layers: tuple[str, ...] = defaults.CONTENT_LAYERS
    style_layers: tuple[str, ...] = defaults.STYLE_LAYERS
    layer_weights: tuple[float, ...] | None = None
    mix: tuple[float, ...] | None = None
    mix_layers: tuple[tuple[float, ...], ...] | None = None  # of each style
    style_scale: float = 1.0
    color: str = "style"
    optimizer: str = "adam"
    rate: float | None = defaults.ADAM_RATE  # None for solvers that find it themselves
    steps: int = defaults.STEPS
    init: str = "content"
    average: float = 0.0
    seed: int = defaults.SEED

    @property
    def objective(self) -> Objective:
        """Layers and formulae."""
        formula = FORMULAE[PRESETS[self.preset].formula]
        return Objective(self.content_layers, self.style_layers, formula, style_loss=self.style_loss)

    @property
    def solver(self) -> Solver:
        """What moves the pixels."""
        if self.rate is not None:
            return Adam(rate=self.rate)
        preset = PRESETS[self.preset]
        return preset.solver if preset.optimizer == self.optimizer else SOLVERS[self.optimizer]()


def stacked(settings: Sequence[Settings], name: str) -> Any:
    """A setting as it is, where all have the same; else an array of each one's."""
    values = [getattr(one, name) for one in settings]
    return values[0] if len(set(values)) == 1 else np.asarray(values, np.float32)


def term_weights(*settings: Settings) -> Weights:
    """What the terms, layers and styles weigh; what differs between several settings has an axis of them in front."""
    lists = (stacked(settings, name) for name in LISTS)
    layers, mix, table = (None if x is None else np.asarray(x, np.float32) for x in lists)
    content, style, variation = (stacked(settings, f"{name}_weight") for name in ("content", "style", "tv"))
    return Weights(content, style, variation, layers, mix, None if table is None else table.swapaxes(-1, -2))


def usual(network: str, preset: str, optimizer: str | None = None, *, size: int = defaults.SIZE) -> Settings:
    """The settings of a command without options other than these."""
    chosen, module = PRESETS[preset], ARCHITECTURES[network]
    optimizer = optimizer or chosen.optimizer
    shared = {field.name for field in fields(Settings)} & {field.name for field in fields(Preset)}
    own = {name: getattr(chosen, name) for name in shared} | {"precision": usual_precision()}
    settings = Settings(network=network, preset=preset, size=size, **own)
    if chosen.formula == "relative":  # it means the same with any network; published ones have layers of their own
        if chosen.content_layers == defaults.CONTENT_LAYERS:
            settings = replace(settings, content_layers=module.content_layers)
        if chosen.style_layers == defaults.STYLE_LAYERS:
            settings = replace(settings, style_layers=module.style_layers)
        if len(settings.layer_weights or ()) != len(settings.style_layers):
            settings = replace(settings, layer_weights=None)
    if not chosen.coarse_to_fine:
        settings = replace(settings, min_size=size)
    if optimizer != chosen.optimizer:
        settings = replace(settings, optimizer=optimizer, rate=defaults.ADAM_RATE if optimizer == "adam" else None)
    return settings


def resolve(options: argparse.Namespace, size: int, *, short_side: int = defaults.MARGIN) -> Settings:
    """The settings with the defaults of the preset filled in, checked before any weights are needed.

    A margin that is not given is no larger than the content's short side.
    """
    given = {field.name: getattr(options, field.name) for field in fields(Settings)}
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    start = usual(options.network, options.preset, options.optimizer, size=size)
    if given["style_layers"] is not None:  # a preset's weights are for its own layers
        start = replace(start, layer_weights=None)
    start = replace(start, margin=min(_usual_margin(given), short_side))
    settings = replace(start, **{name: value for name, value in given.items() if value is not None} | {"size": size})
    check_settings(settings)
    return settings


def _usual_margin(given: Mapping[str, Any]) -> int:
    return Settings.margin if given.get("mix_layers") is None else defaults.MARGIN


def words(settings: Mapping[str, Any]) -> list[list[str]]:
    """The options, each with its values, that `resolve` to these settings, which may be a record's."""
    known = {field.name: settings[field.name] for field in fields(Settings) if settings.get(field.name) is not None}
    known = {name: tuple(value) if isinstance(value, list) else value for name, value in known.items()}
    start = usual(known["network"], known["preset"], known["optimizer"])
    preset, optimizer = Settings.preset, PRESETS[known["preset"]].optimizer
    start = replace(start, margin=_usual_margin(known))
    without = vars(replace(start, network=Settings.network, preset=preset, optimizer=optimizer))
    unweighted = start.layer_weights is not None and "layer_weights" not in known
    found: list[list[str]] = []
    for name, value in known.items():
        if value != without[name] or (name == "style_layers" and unweighted):
            each = value if isinstance(value, tuple) else (value,)
            if name == "mix_layers":
                each = ("/".join(map(_word, value)),)
            found.append(["--" + name.replace("_", "-"), *map(_word, each)])
    return found


def _word(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_word, value))
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def check_settings(settings: Settings) -> None:
    """Layers that the network has, weights that fit them; needs no weights file."""
    module = ARCHITECTURES[settings.network]
    # A network without weights knows the names of its layers: a wrong one need not wait for a download.
    params: Any = {name: None for name in module.parameter_shapes}
    check_layers(Network(params, settings.network, module, "keras"), settings.objective)
    check_count("--layer-weights", settings.layer_weights, len(settings.style_layers), "style layer")
    for row in settings.mix_layers or ():
        check_count("--mix-layers", row, len(settings.style_layers), "style layer")
    if not any((settings.content_weight, settings.style_weight, settings.tv_weight)):
        names = "--content-weight, --style-weight and --tv-weight"
        raise InputError(f"{names} are all zero, so that there is nothing to do; one must be larger")


def open_network(settings: Settings, quiet: bool) -> Network:
    """The network with its options, downloaded if need be."""
    with download_bar(quiet) as downloading:
        network = load_network(
            settings.network,
            settings.weights,
            pooling=settings.pooling,
            padding=settings.padding,
            dtype=settings.precision,
            progress=downloading.progress,
            notice=downloading.notice,
        )
    check_layers(network, settings.objective)  # again: a file of weights may lack the deepest
    return network
