"""Weights of a small VGG in every layout that files have."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from containers import Tensors, pickled, stream_file, zip_file
from jaxstyle.errors import InputError
from jaxstyle.networks.layers import Convolution
from jaxstyle.weights import formats

Layers = dict[str, Convolution]  # by the networks' names, shallow to deep


# Writers: Keras


def write_keras_old(path: Path, layers: Layers) -> None:
    """The files of keras-applications: attributes in bytes, layers without weights, `block1_conv1_W_1:0`."""
    with h5py.File(path, "w") as file:
        keras_group(file, layers, "{name}_W_1:0", "{name}_b_1:0", np.bytes_)


def write_keras_new(path: Path, layers: Layers) -> None:
    """What Keras 2 writes today: the layer's name again inside its group."""
    with h5py.File(path, "w") as file:
        keras_group(file, layers, "{name}/kernel:0", "{name}/bias:0", object)


def keras_group(root: h5py.Group, layers: Layers, kernel: str, bias: str, text: type) -> None:
    names = ["input_1"]
    for layer, (weight, offset) in layers.items():
        block, index = layer.removeprefix("conv").split("_")
        name = f"block{block}_conv{index}"
        group = root.create_group(name)
        # Not in the order of the alphabet, so that only the attribute tells which is the kernel.
        group[bias.format(name=name)] = offset
        group[kernel.format(name=name)] = weight
        inside = [kernel.format(name=name), bias.format(name=name)]
        group.attrs["weight_names"] = np.array(inside, text)
        names += [name, f"block{block}_pool"] if index == "2" else [name]
    for name in names:
        root.require_group(name).attrs.setdefault("weight_names", np.zeros(0))
    root.attrs["layer_names"] = np.array(names, text)


# Writers: state dicts


def state_dict(layers: Layers) -> Tensors:
    """torchvision's names and layout: OIHW, numbered with a ReLU after each, a pooling after each block."""
    tensors, n, block = {}, 0, "1"
    for name, (kernel, bias) in layers.items():
        n, block = n + (name[4] != block), name[4]
        tensors[f"features.{n}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        tensors[f"features.{n}.bias"] = bias
        n += 2
    return tensors


def write_safetensors(path: Path, layers: Layers) -> None:
    safetensors(path, state_dict(layers))


def safetensors(path: Path, tensors: Tensors, metadata: dict | None = None, code: str = "F32") -> None:
    header, data = {"__metadata__": metadata} if metadata else {}, b""
    chunks, end = [], 0
    for name, array in tensors.items():
        chunks.append(array.tobytes())
        header[name] = {"dtype": code, "shape": array.shape, "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
    text = json.dumps(header).encode()
    data = b"".join([struct.pack("<Q", len(text)), text, *chunks])
    path.write_bytes(data)


def write_zip(path: Path, layers: Layers) -> None:
    zip_file(path, *pickled(state_dict(layers)))


def write_stream(path: Path, layers: Layers) -> None:
    """As torchvision's own files of 2017: the older container, and the older name for building a tensor."""
    stream_file(path, *pickled(state_dict(layers), old=True))


WRITERS: dict[str, Callable[[Path, Layers], None]] = {
    "keras_old.h5": write_keras_old,
    "keras_new.h5": write_keras_new,
    "zip.pth": write_zip,
    "stream.pth": write_stream,
    "some.safetensors": write_safetensors,
}


# What they are tried on


def random_layers(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> Layers:
    """He initialisation, so that features neither vanish nor grow."""
    rng = np.random.default_rng(seed)
    return {
        name: Convolution(
            rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / np.prod(shape[:3]))),
            rng.standard_normal(shape[3], np.float32) * np.float32(0.1),
        )
        for name, shape in shapes.items()
    }


SMALL = {"conv1_1": (3, 3, 3, 4), "conv1_2": (3, 3, 4, 4), "conv2_1": (3, 3, 4, 6)}


def assert_same(found: Layers, expected: Layers) -> None:
    """Bit-equal, in the same order, whatever the layers are called."""
    assert len(found) == len(expected)
    for layer, other in zip(found.values(), expected.values(), strict=True):
        for array, wanted in zip(layer, other, strict=True):
            assert array.dtype == np.float32
            np.testing.assert_array_equal(array, wanted, strict=True)


def refused(path: Path) -> str:
    """The one line with which a file is refused; it says which file."""
    with pytest.raises(InputError) as caught:
        formats.read(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message and len(message) < 600
    return message
