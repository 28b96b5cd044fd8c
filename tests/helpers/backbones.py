"""AlexNet and a small DenseNet with weights as their files have them."""

import functools
import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import save_file

from jaxstyle.networks import Network
from jaxstyle.networks.alexnet import AlexNet
from jaxstyle.networks.densenet import DenseNet
from jaxstyle.ops.compile import compiled
from jaxstyle.weights import formats
from layouts import state_dict
from tiny import picture

DENSE = DenseNet(depths=(2, 1, 1), growth=4, width=8)
IMAGE = picture(0, 64, 72)


@functools.cache
def tensors(network: str) -> dict[str, np.ndarray]:
    return state_dict(network)


@compiled("layers")
def features(net: Network, image: jax.Array, *, layers: tuple[str, ...]) -> dict[str, jax.Array]:
    """`Network.features`, compiled as transfers are."""
    return net.features(image, layers)


def close(found: Any, expected: np.ndarray, name: str, tolerance: float = 1e-5) -> None:
    scale = np.abs(expected).max()
    assert scale > 1e-3 and found.shape == expected.shape, name
    np.testing.assert_allclose(np.asarray(found) / scale, expected / scale, rtol=0, atol=tolerance, err_msg=name)


@functools.cache
def dense_tensors() -> dict[str, np.ndarray]:
    return state_dict("densenet121", 1, depths=DENSE.depths, growth=DENSE.growth, width=DENSE.width)


@functools.cache
def dense_params() -> dict[str, dict[str, jax.Array]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "small.safetensors")
        save_file(dense_tensors(), path)
        layers = DENSE.from_file(formats.read(path).layers)
    return {name: jax.tree.map(jnp.asarray, formats.arrays_of(layer)) for name, layer in layers.items()}


def small_dense(**options: Any) -> tuple[dict[str, np.ndarray], Network]:
    """A small DenseNet, its state dict and what has been read of it."""
    return dense_tensors(), Network(dense_params(), "small", DENSE.clone(**options), "torchvision")


def alexnet(**options: Any) -> Network:
    """With weights as its files have them."""
    params = {
        f"conv{k}": {
            "kernel": jnp.asarray(tensors("alexnet")[f"features.{n}.weight"].transpose(2, 3, 1, 0)),
            "bias": jnp.asarray(tensors("alexnet")[f"features.{n}.bias"]),
        }
        for k, n in enumerate((0, 3, 6, 8, 10), 1)
    }
    return Network(params, "alexnet", AlexNet(**options), "torchvision")
