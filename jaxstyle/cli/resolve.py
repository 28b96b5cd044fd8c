"""Settings completed: what was not given comes from the preset, the network and the device. And what they mean to the
engine."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import jax
import numpy as np

from jaxstyle import defaults
from jaxstyle.cli.machine import usual_precision
from jaxstyle.cli.messages import say
from jaxstyle.cli.options import TransferOptions
from jaxstyle.cli.settings import FIELDS, NetworkSettings, Settings, check_count
from jaxstyle.cli.terminal import download_bar
from jaxstyle.engine.checks import check_layers
from jaxstyle.errors import InputError
from jaxstyle.networks import ARCHITECTURES, Network
from jaxstyle.objective import FORMULAE, Objective, Weights
from jaxstyle.presets import PRESETS, Preset
from jaxstyle.solvers import SOLVERS, Adam, Solver
from jaxstyle.weights import DownloadError, fetch, load_network, network_in

LISTS = ("layer_weights", "mix", "mix_layers")  # settings of several numbers


def resolve(options: TransferOptions, size: int, *, short_side: int = defaults.MARGIN) -> Settings:
    """The settings of a transfer, checked before any weights are needed.

    Args:
      options: those that are not among its `given` are replaced by what is usual.
      size: long side of the result.
      short_side: of the result; a margin that is not given is no larger.

    Raises:
      InputError: layers that the network has not, or numbers that do not fit them.
    """
    given = {name: getattr(options.settings, name) for name in options.given & FIELDS.keys()}
    given = {"network": usual_network(given.get("weights"), quiet=options.quiet)} | given
    start = _usual(given, size)
    if "style_layers" in given:  # a preset's weights are for its own layers
        start = replace(start, layer_weights=None)
    start = replace(start, margin=min(start.margin, short_side))
    settings = replace(start, **given | {"size": size})
    check_settings(settings)
    return settings


@functools.cache
def usual_network(weights: str | None = None, *, quiet: bool = False) -> str:
    """The network of a command that names none: that of its file of weights; else VGG19 on accelerators, where it is
    fetched if need be, and compact on CPUs, or where VGG19 cannot be had, which a line on stderr says."""
    if weights is not None:
        return network_in(weights)
    if jax.default_backend() == "cpu":
        return defaults.NETWORK
    try:
        with download_bar(quiet) as downloading:
            fetch(defaults.FULL_NETWORK, None, downloading.progress, downloading.notice)
    except DownloadError as error:
        say(f"painting with {defaults.NETWORK}, since {error}")
        return defaults.NETWORK
    return defaults.FULL_NETWORK


def _usual(given: Mapping[str, Any], size: int) -> Settings:
    """The settings of a command with no more given than network, preset, optimizer, and styles mixed by layer."""
    network, preset = given.get("network", Settings.network), given.get("preset", Settings.preset)
    chosen, module = PRESETS[preset], ARCHITECTURES[network]
    optimizer = given.get("optimizer", chosen.optimizer)
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
        settings = replace(settings, optimizer=optimizer, rate=None)
        if optimizer == "adam":
            steps = defaults.ADAM_STEPS if chosen.steps == defaults.STEPS else chosen.steps
            settings = replace(settings, rate=defaults.ADAM_RATE, steps=steps)
    return replace(settings, margin=defaults.MARGIN if given.get("mix_layers") else 0)


def needed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a transfer's settings that a command must be given to come to the same."""
    known = {name: value for name, value in settings.items() if value is not None}
    usual = _usual({name: known[name] for name in ("network", "preset", "optimizer")} | known, known["size"])
    preset = PRESETS[known["preset"]]
    without = vars(replace(usual, network=Settings.network, preset=Settings.preset, optimizer=preset.optimizer))
    unweighted = usual.layer_weights is not None and "layer_weights" not in known
    return {
        name: value
        for name, value in known.items()
        if name == "size" or value != without[name] or (name == "style_layers" and unweighted)
    }


def check_settings(settings: Settings) -> None:
    """Layers that the network has, weights that fit them; needs no weights file."""
    module = ARCHITECTURES[settings.network]
    # A network without weights knows the names of its layers: a wrong one need not wait for a download.
    params: Any = {name: None for name in module.parameter_shapes}
    check_layers(Network(params, settings.network, module, "keras"), objective_of(settings))
    check_count("--layer-weights", settings.layer_weights, len(settings.style_layers), "style layer")
    for row in settings.mix_layers or ():
        check_count("--mix-layers", row, len(settings.style_layers), "style layer")
    if not any((settings.content_weight, settings.style_weight, settings.tv_weight)):
        names = "--content-weight, --style-weight and --tv-weight"
        raise InputError(f"{names} are all zero, so that there is nothing to do; one must be larger")


def objective_of(settings: Settings) -> Objective:
    """Layers and formulae."""
    formula = FORMULAE[PRESETS[settings.preset].formula]
    return Objective(settings.content_layers, settings.style_layers, formula, style_loss=settings.style_loss)


def solver_of(settings: Settings) -> Solver:
    """What moves the pixels."""
    if settings.rate is not None:
        return Adam(rate=settings.rate)
    preset = PRESETS[settings.preset]
    return preset.solver if preset.optimizer == settings.optimizer else SOLVERS[settings.optimizer]()


def stacked(settings: Sequence[Settings], name: str) -> Any:
    """A setting as it is, where all have the same; else an array of each one's."""
    values = [getattr(one, name) for one in settings]
    return values[0] if len(set(values)) == 1 else np.asarray(values, np.float32)


def weights_of(*settings: Settings) -> Weights:
    """What the terms, layers and styles weigh; what differs between several settings has an axis of them in front."""
    lists = (stacked(settings, name) for name in LISTS)
    layers, mix, table = (None if x is None else np.asarray(x, np.float32) for x in lists)
    content, style, variation = (stacked(settings, f"{name}_weight") for name in ("content", "style", "tv"))
    return Weights(content, style, variation, layers, mix, None if table is None else table.swapaxes(-1, -2))


def open_network(settings: NetworkSettings, quiet: bool) -> Network:
    """The network with its options, downloaded if need be."""
    with download_bar(quiet) as downloading:
        return load_network(
            settings.network,
            settings.weights,
            pooling=settings.pooling,
            padding=settings.padding,
            dtype=settings.precision,
            preprocessing=settings.preprocessing,
            progress=downloading.progress,
            notice=downloading.notice,
        )


def open_for(settings: Settings, quiet: bool) -> Network:
    """The network of a transfer, which has all the layers that it needs."""
    network = open_network(settings, quiet)
    check_layers(network, objective_of(settings))  # again: a file of weights may lack the deepest
    return network
