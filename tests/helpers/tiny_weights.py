"""Two small networks, their weights in every kind of file, and the one line of an error."""

import re
from pathlib import Path

import h5py
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxstyle.networks.vgg import VGG
from jaxstyle.weights import save_weights

TINY = VGG(depths=(2, 1), widths=(4, 6))
OTHER = VGG(depths=(1, 2), widths=(4, 6))

Params = dict[str, dict[str, np.ndarray]]


def random_params(module: VGG = TINY, seed: int = 0) -> Params:
    rng = np.random.default_rng(seed)
    return {
        name: {
            "kernel": rng.standard_normal(shape, np.float32),
            "bias": rng.standard_normal(shape[3], np.float32),
        }
        for name, shape in module.kernel_shapes.items()
    }


def save(path: Path, params: Params, network: str = "tiny", **options: object) -> Path:
    save_weights(path, params, **{**ABOUT, "network": network, **options})
    return path


ABOUT = {"preprocessing": "keras", "source": "nowhere", "licence": "none", "sha256": "00"}


def write_keras(path: Path, params: Params) -> Path:
    with h5py.File(path, "w") as file:
        for name, layer in params.items():
            group = file.create_group(re.sub(r"conv(\d)_(\d)", r"block\1_conv\2", name))
            group["k"], group["b"] = layer["kernel"], layer["bias"]
            group.attrs["weight_names"] = np.array(["k", "b"], np.bytes_)
        file.attrs["layer_names"] = np.array(list(file), np.bytes_)
    return path


def write_safetensors(path: Path, params: Params, metadata: dict[str, str] | None = None) -> Path:
    tensors = {}
    for n, layer in enumerate(params.values()):
        tensors[f"features.{n}.weight"] = np.ascontiguousarray(layer["kernel"].transpose(3, 2, 0, 1))
        tensors[f"features.{n}.bias"] = layer["bias"]
    save_file(tensors, path, metadata)
    return path


def assert_params(found: object, expected: Params) -> None:
    assert list(found) == list(expected)
    for name, layer in expected.items():
        assert set(found[name]) == {"kernel", "bias"}
        for key, array in layer.items():
            assert isinstance(found[name][key], jnp.ndarray) and found[name][key].dtype == jnp.float32
            np.testing.assert_array_equal(np.asarray(found[name][key]), array, strict=True)


def line(error: type[Exception], function: object, *args: object, **options: object) -> str:
    """The message of the error that a call must end with; one plain line."""
    with pytest.raises(error) as caught:
        function(*args, **options)
    message = str(caught.value)
    assert message and "\n" not in message and len(message) < 600
    return message
