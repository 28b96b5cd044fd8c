"""Files of parameters of networks that paint: an HDF5 of our own as those of the networks that see, which says what it
holds and by which version of its kind it is to be read."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxstyle.errors import InputError
from jaxstyle.files import StrPath, shown
from jaxstyle.networks.layers import Convolution
from jaxstyle.weights import formats
from jaxstyle.weights.formats import WeightsFile, arrays_of

MOST_FACTS = 60_000  # bytes: an attribute of HDF5 has room for 64 KB


def write_parameters(
    path: StrPath, params: Mapping[str, Any], *, kind: str, facts: Mapping[str, Any], dtype: Any = np.float16
) -> None:
    """Writes parameters, all or nothing.

    Args:
      path: the file (.h5); one already there is replaced.
      params: name -> array of up to four axes.
      kind: what they are and the version of that, such as "styles 1": another one is refused when they are read.
      facts: what else is to be known of them, whatever JSON can hold.
      dtype: of the arrays in the file, float32 or float16.

    Raises:
      InputError: they are not finite in that type, the facts are too long, or the file cannot be written.
    """
    layers = {}
    for name, array in params.items():
        with np.errstate(over="ignore"):
            kept = np.asarray(array, np.float32).astype(dtype)
        if not np.isfinite(kept).all():
            raise InputError(f"{shown(path)}: {name} is not finite in {np.dtype(dtype).name}")
        layers[name] = Convolution(kept.reshape((1,) * (4 - kept.ndim) + kept.shape))
    told = json.dumps(facts)
    if len(told) > MOST_FACTS:
        raise InputError(f"{shown(path)}: {len(told)} bytes of facts; there is room for {MOST_FACTS}")
    attributes = {"network": kind, "preprocessing": "none", "facts": told}
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        formats.write(path, layers, attributes, dtype)
    except OSError as error:
        raise InputError(f"cannot write {shown(path)} ({error.strerror or error})") from error


def read_parameters(
    path: StrPath,
    *,
    kind: str,
    shapes: Callable[[dict[str, Any]], Mapping[str, tuple[int, ...]]],
    trusted: bool = False,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Parameters, float32, and the facts that were written with them.

    Args:
      path: the file.
      kind: that it must be of.
      shapes: of the facts, what the file must hold: name -> shape. Compared with what it declares before any array is
        read. Raises an `InputError` for facts that make no sense.
      trusted: whether it ships with jaxstyle, and is read faster.

    Raises:
      InputError: no file of that kind and version, or a damaged one.
    """
    found: list[tuple[dict[str, Any], Mapping[str, tuple[int, ...]]]] = []

    def check(file: WeightsFile) -> None:
        held = file.attributes.get("network", "") if file.kind == "jaxstyle" else ""
        if held != kind:
            other = f"is of the kind {held!r}" if held else "is not"
            name, version = kind.rsplit(" ", 1)
            raise InputError(f"{shown(path)} {other}; wanted is a file of {name}, version {version}, of jaxstyle's")
        facts = _facts(file, path)
        wanted = shapes(facts)
        _check_shapes(file, {name: (1,) * (4 - len(shape)) + shape for name, shape in wanted.items()}, path)
        found.append((facts, wanted))

    file = formats.read(path, check, trusted=trusted)
    facts, wanted = found[-1]
    params = {}
    for name, shape in wanted.items():
        layer = file.layers[name]
        assert isinstance(layer, Convolution)
        if not np.isfinite(layer.kernel).all():
            raise InputError(f"{shown(path)} is damaged or incomplete ({name} is not finite)")
        params[name] = layer.kernel.reshape(shape)
    return params, facts


def _facts(file: WeightsFile, path: StrPath) -> dict[str, Any]:
    try:
        facts = json.loads(file.attributes["facts"])
    except (KeyError, ValueError, RecursionError) as error:
        raise InputError(f"{shown(path)} is damaged or incomplete (its facts cannot be read)") from error
    if not isinstance(facts, dict):
        raise InputError(f"{shown(path)} is damaged or incomplete (its facts are no table)")
    return facts


def _check_shapes(file: WeightsFile, wanted: Mapping[str, tuple[int, ...]], path: StrPath) -> None:
    """Raises `InputError` unless the file declares just these arrays."""
    declared = {name: {key: x.shape for key, x in arrays_of(layer).items()} for name, layer in file.layers.items()}
    for name in sorted(wanted.keys() | declared.keys()):
        if name not in declared or name not in wanted or declared[name] != {"kernel": wanted[name]}:
            has = f"{declared[name].get('kernel', 'no kernel')} for {name}" if name in declared else f"no {name}"
            raise InputError(
                f"{shown(path)} is damaged or incomplete (it has {has}; it should be {wanted.get(name, 'without it')})"
            )
