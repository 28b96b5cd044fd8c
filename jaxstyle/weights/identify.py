"""What a file of weights holds: of which network, by that network's names."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxstyle.errors import InputError
from jaxstyle.files import StrPath, shown
from jaxstyle.networks import ARCHITECTURES, layer_of
from jaxstyle.networks.layers import Layer, MisfitError
from jaxstyle.weights import formats
from jaxstyle.weights.codebooks import Codebook
from jaxstyle.weights.formats import WeightsFile, arrays_of
from jaxstyle.weights.registry import architecture

SURPLUS = 2.0  # times a network's weights; a file with more is not compared any further
FEW = 1_000_000  # weights that any file may have


def network_in(path: StrPath) -> str:
    """The network that a file holds, by the shapes that it declares.

    Raises:
      InputError: the file is of no known format, or holds none of the known networks.
    """
    return known_network(formats.declared(path), path)


def known_network(file: WeightsFile, path: StrPath) -> str:
    """The network that a file holds.

    Raises:
      InputError: it is none of the known ones.
    """
    network = network_of(file)
    if network not in ARCHITECTURES:
        raise InputError(f"{shown(path)} holds none of the known networks, {', '.join(ARCHITECTURES)}")
    return network


def network_of(file: WeightsFile) -> str | None:
    """The network that a file holds: what it says itself, or whose shapes its layers have."""
    if file.kind == "jaxstyle":
        return file.attributes.get("network")
    return next((network for network in ARCHITECTURES if not _misfit(file, network)), None)


def named_layers(file: WeightsFile, network: str) -> dict[str, Layer]:
    """A file's layers by the names of that network's parameters."""
    return dict(file.layers) if file.kind == "jaxstyle" else ARCHITECTURES[network].from_file(file.layers)


def _misfit(file: WeightsFile, network: str) -> str:
    """How a file's layers differ from that network's, "" if not at all; our own may lack the deepest."""
    module = ARCHITECTURES[network]
    wanted = module.parameter_shapes
    # To compare them, a network may have to compute with them, as when it folds normalisations into convolutions.
    has = sum(array.size for layer in file.layers.values() for array in arrays_of(layer).values())
    most = sum(math.prod(shape) for shapes in wanted.values() for shape in shapes.values())
    if has > SURPLUS * most + FEW:
        return f"it has {has:.2g} weights, and {network} has {most:.2g}"
    try:
        layers = named_layers(file, network)
    except MisfitError as error:
        return str(error)
    for name, layer in layers.items():
        if name not in wanted:
            return f"it has {formats.called(name)}, which {network} has not"
        for key, given, shape in _pairs({key: array.shape for key, array in arrays_of(layer).items()}, wanted[name]):
            if given is None or shape is None:
                return f"its {name} has {'a' if shape is None else 'no'} {key}"
            if given != shape:
                return f"its {name} is {given}, not {shape}"
    missing = [name for name in wanted if name not in layers]
    shortened = file.kind == "jaxstyle" and layers and missing == list(wanted)[len(layers) :]
    if missing and not (shortened and layer_of(missing[0], module.layer_names)):
        return f"it has no {missing[0]}"
    return ""


def _pairs(given: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Each key of either, with what both have there."""
    return [(key, given.get(key), wanted.get(key)) for key in dict.fromkeys((*wanted, *given))]


def check_fits(file: WeightsFile, path: StrPath, network: str) -> None:
    """Whether a file's layers are those of that network, by their names and shapes.

    Raises:
      InputError: they are not.
    """
    architecture(network)
    holds = network_of(file)
    if holds not in (network, None):
        raise InputError(f"{shown(path)} holds {formats.called(holds)}, not {network}")
    if reason := _misfit(file, network):
        raise InputError(f"{shown(path)} does not hold {network}: {reason}")


def layers_of(file: WeightsFile, path: StrPath, network: str) -> dict[str, Layer]:
    """The layers of a file that `check_fits` has let pass, by the network's names and in its order.

    Raises:
      InputError: they are not finite.
    """
    layers = named_layers(file, network)
    for name, layer in layers.items():
        if not all(np.isfinite(array).all() for array in arrays_of(layer).values()):
            raise InputError(f"{shown(path)}: {name} has weights that are not finite")
    return {name: layers[name] for name in ARCHITECTURES[network].parameter_shapes if name in layers}


def codebooks_of(file: WeightsFile, layers: Mapping[str, Layer]) -> dict[str, Codebook]:
    """A file's codebooks by the names that a network has for its layers. Into what else a network makes of a layer,
    as when a normalisation is folded into it, they do not go."""
    theirs = {id(layer): name for name, layer in file.layers.items() if name in file.codebooks}
    return {name: file.codebooks[theirs[id(layer)]] for name, layer in layers.items() if id(layer) in theirs}
