"""Networks that make pictures larger, from and to files: those that come with jaxstyle, and others' own.

On disk one is an HDF5 file of our own (`weights.formats`) whose attributes say which version of the architecture it is,
how wide and how deep.
"""

import functools
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxstyle.defaults import UPSCALE_FACTORS, UPSCALERS
from jaxstyle.errors import InputError
from jaxstyle.files import StrPath, shown
from jaxstyle.superres.network import UpscaleNetwork, Upscaler
from jaxstyle.types import Params
from jaxstyle.weights import formats
from jaxstyle.weights.formats import WeightsFile, arrays_of, layer_from
from jaxstyle.weights.registry import shipped

VERSION = "upscale-1"  # of the architecture; `UpscaleNetwork` is this one
MOST = {"width": 512, "blocks": 256}


def load_upscaler(network: StrPath = "pixel") -> Upscaler:
    """A network that makes pictures larger.

    Args:
      network: "pixel", as near as it can be in each pixel; or a file (.h5) that `save_upscaler` or `jaxstyle
        train-upscale` wrote.

    Raises:
      InputError: no such file, or not one of such a network, or of another version.
    """
    if network in UPSCALERS:
        return _shipped(str(network))
    return _read(Path(network).expanduser(), trusted=False)


def file_of(network: StrPath) -> Path:
    """Where a network's file is, which may be none."""
    return _place(str(network)) if network in UPSCALERS else Path(network).expanduser()


@functools.cache
def _shipped(name: str) -> Upscaler:
    return _read(_place(name), trusted=True)


def _place(name: str) -> Path:
    path = shipped(f"upscale-{name}.h5")
    if path is None:
        raise InputError(f"upscale-{name}.h5 is missing from this installation of jaxstyle; install it again")
    return path


def save_upscaler(path: StrPath, upscaler: Upscaler, *, source: str, licence: str, dtype: Any = np.float16) -> None:
    """Writes a network as a file that `load_upscaler` reads, all or nothing.

    Args:
      path: the file (.h5); one already there is replaced.
      upscaler: the network, its parameters finite.
      source: how it was trained, in a few words.
      licence: of the file.
      dtype: of the arrays in the file, float16 or float32.

    Raises:
      InputError: parameters that are not finite in `dtype`, or a place where nothing can be written.
    """
    with np.errstate(over="ignore"):  # what overflows float16 is refused as not finite
        arrays = jax.tree.map(lambda x: np.asarray(x).astype(dtype), dict(upscaler.params))
    if not all(np.isfinite(x).all() for x in jax.tree.leaves(arrays)):
        raise InputError(f"{shown(path)} was not written: parameters are not finite in {np.dtype(dtype)}")
    module = upscaler.module
    attributes = {
        "network": VERSION,
        "width": str(module.width),
        "blocks": str(module.blocks),
        "factors": " ".join(map(str, module.factors)),
        "preprocessing": "none",
        "source": source,
        "licence": licence,
    }
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        formats.write(path, {name: layer_from(layer) for name, layer in arrays.items()}, attributes, dtype)
    except OSError as error:
        raise InputError(f"{shown(path)} cannot be written ({error.strerror or error})") from error


def _read(path: Path, *, trusted: bool) -> Upscaler:
    """A file's network; what it says of itself is compared with its arrays before any of them is read."""
    found: list[UpscaleNetwork] = []
    file = formats.read(path, lambda declared: found.append(_checked(declared, path)), trusted=trusted)
    # NumPy's arrays, since this may be called while something is traced, and what is kept must not be of that trace.
    params = {name: arrays_of(layer) for name, layer in file.layers.items()}
    if not all(np.isfinite(x).all() for layer in params.values() for x in layer.values()):
        raise InputError(f"{shown(path)} holds numbers that are not finite")
    return Upscaler(params, found[0])


def _checked(file: WeightsFile, path: Path) -> UpscaleNetwork:
    """The architecture that a file says it holds, if its arrays are of these shapes."""
    told = file.attributes.get("network", "")
    if file.kind != "jaxstyle" or not told.startswith("upscale-"):
        raise InputError(f"{shown(path)} holds no network that makes pictures larger")
    if told != VERSION:
        raise InputError(f"{shown(path)} holds a network of version {told[:40]!r}; this jaxstyle reads {VERSION!r}")
    sizes: dict[str, Any] = {name: _whole(file.attributes.get(name, ""), most) for name, most in MOST.items()}
    words = file.attributes.get("factors", "").split()
    factors = tuple(factor for factor in UPSCALE_FACTORS if str(factor) in words)
    module = None if None in sizes.values() or not factors else UpscaleNetwork(**sizes, factors=factors)
    if module is None or shapes_of(file) != shapes_of(module):
        raise InputError(f"{shown(path)} is damaged or incomplete: its arrays are not those that it says it has")
    return module


def _whole(word: str, most: int) -> int | None:
    return int(word) if re.fullmatch(r"[1-9]\d{0,3}", word, re.ASCII) and int(word) <= most else None


def shapes_of(network: WeightsFile | UpscaleNetwork) -> dict[str, dict[str, tuple[int, ...]]]:
    """The shapes of a network's parameters, as a file declares them or as the architecture has them."""
    if isinstance(network, UpscaleNetwork):
        params: Any = jax.eval_shape(lambda: initial(network, jax.random.key(0)))
    else:
        params = {name: arrays_of(layer) for name, layer in network.layers.items()}
    return {name: {key: tuple(array.shape) for key, array in layer.items()} for name, layer in params.items()}


def initial(module: UpscaleNetwork, key: jax.Array) -> Params:
    """Parameters before training."""
    found = module.init(key, jnp.zeros((1, 1, 3)), module.factors[0])
    return dict(found["params"])
