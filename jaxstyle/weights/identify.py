"""What a file of weights holds: of which network, with which preprocessing, by that network's names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxstyle.errors import InputError, nearest
from jaxstyle.files import StrPath
from jaxstyle.networks import ARCHITECTURES, PREPROCESSING, layer_of
from jaxstyle.networks.layers import Layer, MisfitError
from jaxstyle.weights import formats, registry
from jaxstyle.weights.codebooks import Codebook
from jaxstyle.weights.formats import WeightsFile, arrays_of
from jaxstyle.weights.registry import architecture


def known_preprocessing(preprocessing: str, path: StrPath) -> str:
    """The name of a preprocessing, checked."""
    if preprocessing not in PREPROCESSING:
        known = ", ".join(PREPROCESSING) + nearest(preprocessing, PREPROCESSING)
        raise InputError(f"{path}: no preprocessing {preprocessing!r}; there are {known}")
    return preprocessing


def preprocessing_of(file: WeightsFile, path: Path, network: str | None) -> str:
    """What the file says of its preprocessing, or the registry of files of its name, or its format and network."""
    if file.kind in ("torch", "safetensors") and "preprocessing" not in file.attributes:
        for entry in registry.entries():
            if entry.format == "torch" and Path(entry.name).stem in path.name:
                return entry.preprocessing
    if file.kind == "keras" and network is not None:
        return ARCHITECTURES[network].keras_preprocessing
    return known_preprocessing(file.preprocessing, path)


def network_in(path: StrPath) -> str:
    """The network that a file holds.

    Raises:
      InputError: the file is of no known format, or holds none of the known networks.
    """
    network = network_of(formats.read(path))
    if network not in ARCHITECTURES:
        raise InputError(f"{path} holds none of the known networks, {', '.join(ARCHITECTURES)}")
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
    try:
        layers = named_layers(file, network)
    except MisfitError as error:
        return str(error)
    for name, layer in layers.items():
        if name not in wanted:
            return f"it has {name}, which {network} has not"
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


def layers_of(file: WeightsFile, path: StrPath, network: str) -> dict[str, Layer]:
    """A file's layers by the network's names, in its order, checked to be that network's and finite."""
    architecture(network)
    holds = network_of(file)
    if holds not in (network, None):
        raise InputError(f"{path} holds {holds}, not {network}")
    if reason := _misfit(file, network):
        raise InputError(f"{path} does not hold {network}: {reason}")
    layers = named_layers(file, network)
    for name, layer in layers.items():
        if not all(np.isfinite(array).all() for array in arrays_of(layer).values()):
            raise InputError(f"{path}: {name} has weights that are not finite")
    return {name: layers[name] for name in ARCHITECTURES[network].parameter_shapes if name in layers}


def codebooks_of(file: WeightsFile, layers: Mapping[str, Layer]) -> dict[str, Codebook]:
    """A file's codebooks by the names that a network has for its layers. Into what else a network makes of a layer,
    as when a normalisation is folded into it, they do not go."""
    theirs = {id(layer): name for name, layer in file.layers.items() if name in file.codebooks}
    return {name: file.codebooks[theirs[id(layer)]] for name, layer in layers.items() if id(layer) in theirs}
