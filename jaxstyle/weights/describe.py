"""What is known of weights: the files that can be had, and what one of them holds."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from jaxstyle.errors import InputError
from jaxstyle.files import StrPath
from jaxstyle.networks import ARCHITECTURES
from jaxstyle.weights import formats, registry
from jaxstyle.weights.codebooks import described
from jaxstyle.weights.formats import arrays_of
from jaxstyle.weights.identify import codebooks_of, named_layers, network_of
from jaxstyle.weights.preprocessing import known_preprocessing, preprocessing_of
from jaxstyle.weights.registry import WeightsInfo, at_hand, digest


def describe() -> list[WeightsInfo]:
    """Every file that `fetch` knows, and whatever else is in the cache, with where it is on this machine."""
    infos = []
    for network in ARCHITECTURES:
        path = at_hand(network)
        entries = [entry for entry in registry.fetchable() if entry.network == network]
        if path:
            held = formats.read_attributes(path)
            told = [held.get(key, "unknown") for key in ("preprocessing", "licence", "source")]
            mine = [entry for entry in entries if entry.format == "jaxstyle" or told[2] in entry.places]
            if not mine:
                mine = [WeightsInfo(network, "converted", path.name, "jaxstyle", told[0], told[1], told[2])]
                entries += mine
            own: dict[str, Any] = {"preprocessing": told[0], "licence": told[1], "codebooks": held.get("codebooks", "")}
            own |= {"bytes": path.stat().st_size, "path": path}
            entries = [replace(entry, **own) if entry in mine else entry for entry in entries]
        infos += entries
    return infos


def show(
    path_or_name: StrPath, *, preprocessing: str | None = None, notice: Callable[[str], object] | None = None
) -> dict[str, Any]:
    """What a file of weights holds.

    Args:
      path_or_name: a file of any known format, or the name of a network whose weights are at hand.
      preprocessing: "keras" or "torchvision", where the file is not what it seems to be.
      notice: called with one line when what the file says of its preprocessing is in doubt.

    Returns:
      path, format, bytes, sha256 (of the file), network (None if it is none that we know), preprocessing,
      attributes, codebooks ("8 bits", "5 to 8 bits", "" if there are none), parameters (their number), layers: name ->
      shape, mean and std of the kernel, or of the scale, and bits of the kernel's codebook, None if it has none.

    Raises:
      InputError: the network is not at hand, or the file is of no known format.
    """
    path = Path(path_or_name).expanduser()
    if preprocessing is not None:
        known_preprocessing(preprocessing, path)
    if str(path_or_name) in ARCHITECTURES:
        held = at_hand(str(path_or_name))
        if held is None:
            raise InputError(f"{path_or_name} is not on this machine: jaxstyle weights fetch {path_or_name}")
        path = held
    file = formats.read(path, trusted=str(path_or_name) in ARCHITECTURES)
    network = network_of(file)
    known = network in ARCHITECTURES
    layers = named_layers(file, network) if network is not None and known else file.layers
    codebooks = codebooks_of(file, layers)
    return {
        "path": str(path),
        "format": file.kind,
        "bytes": path.stat().st_size,
        "sha256": digest(path, "sha256"),
        "network": network,
        "preprocessing": preprocessing or preprocessing_of(file, path, network if known else None, notice),
        "attributes": dict(file.attributes),
        "codebooks": described(codebooks.values()),
        "parameters": sum(array.size for layer in layers.values() for array in arrays_of(layer).values()),
        "layers": {
            name: {"shape": first.shape, "mean": float(first.mean()), "std": float(first.std())}
            | {"bits": codebooks[name].bits if name in codebooks else None}
            for name, (first, *_) in layers.items()
        },
    }
