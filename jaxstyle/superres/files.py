"""Networks that make pictures larger, from and to files: those that come with jaxstyle, and others' own.

On disk one is a file of parameters (`weights.parameters`) whose facts say how wide and how deep it is.
"""

import functools
from collections.abc import Mapping
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
from jaxstyle.weights.parameters import read_parameters, write_parameters
from jaxstyle.weights.registry import shipped

KIND = "upscale 1"  # of files, and the architecture's version; `UpscaleNetwork` is this one
MOST = {"width": 512, "blocks": 256}


def load_upscaler(network: StrPath = "pixel") -> Upscaler:
    """A network that makes pictures larger.

    Args:
      network: "pixel", as near as it can be in each pixel; "perceptual", sharper to the eye; or a file (.h5) that
        `save_upscaler` or `jaxstyle train-upscale` wrote.

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
    module = upscaler.module
    flat = {f"{layer}_{name}": x for layer, own in upscaler.params.items() for name, x in own.items()}
    facts = {"width": module.width, "blocks": module.blocks, "factors": module.factors}
    write_parameters(path, flat, kind=KIND, facts={**facts, "source": source, "licence": licence}, dtype=dtype)


def _read(path: Path, *, trusted: bool) -> Upscaler:
    params, facts = read_parameters(
        path, kind=KIND, shapes=lambda facts: _shapes(_described(facts, path)), trusted=trusted
    )
    # NumPy's arrays, since this may be called while something is traced, and what is kept must not be of that trace.
    layers: dict[str, dict[str, np.ndarray]] = {}
    for name, array in params.items():
        layer, _, kind = name.rpartition("_")
        layers.setdefault(layer, {})[kind] = array
    return Upscaler(layers, _described(facts, path))


def _described(facts: Mapping[str, Any], path: Path) -> UpscaleNetwork:
    """The architecture, as a file says it."""
    sizes: dict[str, Any] = {name: facts.get(name) for name in MOST}
    factors: Any = facts.get("factors")
    sound = all(isinstance(sizes[name], int) and 1 <= sizes[name] <= most for name, most in MOST.items())
    sound = sound and isinstance(factors, list) and bool(factors)
    if not sound or factors != [factor for factor in UPSCALE_FACTORS if factor in factors]:
        raise InputError(f"{shown(path)} is damaged or incomplete (what it says of its network makes no sense)")
    return UpscaleNetwork(**sizes, factors=tuple(factors))


def _shapes(module: UpscaleNetwork) -> dict[str, tuple[int, ...]]:
    params = jax.eval_shape(lambda: initial(module, jax.random.key(0)))
    return {f"{layer}_{name}": x.shape for layer, own in params.items() for name, x in own.items()}


def initial(module: UpscaleNetwork, key: jax.Array) -> Params:
    """Parameters before training."""
    found = module.init(key, jnp.zeros((1, 1, 3)), module.factors[0])
    return dict(found["params"])
