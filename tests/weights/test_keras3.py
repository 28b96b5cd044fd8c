"""Keras 3: `.weights.h5` in the layouts of its versions, and `.keras` with one inside."""

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np
import pytest

from jaxstyle.networks.layers import Normalisation
from jaxstyle.weights import formats, load_network
from tiny_weights import assert_params, random_params
from weight_files import Layers, assert_same, keras_group, refused


def add(file: h5py.File, place: str, arrays: tuple[np.ndarray, ...], name: str = "", **options: object) -> None:
    group = file.create_group(f"{place}/vars")
    for n, array in enumerate(arrays):
        group.create_dataset(f"{n}", data=array, **options)
    if name:
        group.attrs["name"] = name


def theirs(name: str) -> str:
    return f"block{name[4]}_conv{name[6]}"


def named(file: h5py.File, layers: Layers) -> None:
    """3.0: the layers' own names are their groups'."""
    for name, layer in layers.items():
        add(file, f"layers/{theirs(name)}", layer)
    file.create_group("layers/block1_pool/vars")


def numbered(file: h5py.File, layers: Layers) -> None:
    """Later: groups are numbered by kind, and the name is an attribute. An optimizer's are arrays too."""
    for n, (name, layer) in enumerate(layers.items()):
        add(file, f"layers/conv2d_{n}" if n else "layers/conv2d", layer, theirs(name))
    add(file, "optimizer", (np.zeros((3, 3, 3, 4), "f4"), np.zeros(4, "f4")))
    file.create_group("layers/input_layer/vars")


def nested(file: h5py.File, layers: Layers) -> None:
    """A model in a model, with a dense layer after it."""
    for n, (name, layer) in enumerate(layers.items()):
        add(file, f"layers/functional/layers/conv2d_{n}", layer, theirs(name))
    add(file, "layers/dense", (np.zeros((6, 2), "f4"), np.zeros(2, "f4")), "dense")


def packed(file: h5py.File, layers: Layers) -> None:
    for n, (name, layer) in enumerate(layers.items()):
        for m, array in enumerate(layer):
            chunk = tuple(-(-side * 2 // 3) for side in array.shape)  # so that the last ones reach beyond it
            place = f"layers/conv2d_{n}/vars/{m}"
            file.create_dataset(place, data=array, chunks=chunk, compression="gzip", shuffle=m == 0)
        file[f"layers/conv2d_{n}/vars"].attrs["name"] = theirs(name)


LAYOUTS = {"named": named, "numbered": numbered, "nested": nested, "packed": packed}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_the_layouts_of_its_versions(layout: str, version: str, small: Layers, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.weights.h5", "w", libver=version) as file:
        LAYOUTS[layout](file, small)
    found = formats.read(tmp_path / "a.weights.h5")
    assert (found.kind, found.preprocessing) == ("keras", "keras")
    assert list(found.layers) == [theirs(name) for name in small]
    assert_same(found.layers, small)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("layout", [numbered, packed])
def test_a_whole_model(layout: Callable[[h5py.File, Layers], None], method: int, small: Layers, tmp_path: Path) -> None:
    held = io.BytesIO()
    with h5py.File(held, "w") as file:
        layout(file, small)
    with zipfile.ZipFile(tmp_path / "a.keras", "w", method) as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.8.0"}')
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", held.getvalue())
    assert_same(formats.read(tmp_path / "a.keras").layers, small)


def test_numbers_are_no_alphabet(tmp_path: Path) -> None:
    arrays = [np.full((1, 1, 1, 1), n, np.float32) for n in range(12)]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for n in reversed(range(12)):
            add(file, f"layers/conv2d_{n}" if n else "layers/conv2d", (arrays[n],))
        order = ("scale", "offset", "mean", "variance")
        values = [np.full(3, n, np.float32) for n in range(4)]
        add(file, "layers/zz", tuple(values))
    layers = formats.read(tmp_path / "a.h5").layers
    assert [float(layer[0].max()) for layer in [*layers.values()][:12]] == list(range(12))
    (last,) = [layer for layer in layers.values() if isinstance(layer, Normalisation)]
    for name, value in zip(order, values, strict=True):
        np.testing.assert_array_equal(getattr(last, name), value)


def test_long_lists_of_names_in_parts(small: Layers, tmp_path: Path) -> None:
    """Keras 2 divides a list that HDF5 has no room for."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        keras_group(file, small, "{name}/kernel:0", "{name}/bias:0", object)
        names = [*file.attrs["layer_names"]]
        del file.attrs["layer_names"]
        for n, part in enumerate([names[:2], names[2:]]):
            file.attrs[f"layer_names{n}"] = part
    assert_same(formats.read(tmp_path / "a.h5").layers, small)


@pytest.mark.usefixtures("cache")
def test_a_network_from_it(tmp_path: Path) -> None:
    params = random_params()
    with h5py.File(tmp_path / "a.weights.h5", "w") as file:
        for n, layer in enumerate(params.values()):
            add(file, f"layers/conv2d_{n}", (layer["kernel"], layer["bias"]), f"block{(1, 1, 2)[n]}_conv{(1, 2, 1)[n]}")
    network = load_network("tiny", tmp_path / "a.weights.h5")
    assert_params(network.params, params)
    assert network.preprocessing == "keras"


def test_other_hdf5_files(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["measurements"] = np.zeros(3)
    assert "an HDF5 file of neither jaxstyle nor Keras" in refused(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        add(file, "layers/lstm", (np.zeros((2, 3, 4), "f4"), np.zeros(4, "f4")), "lstm\x1b[31m")
    message = refused(tmp_path / "b.h5")
    assert "no convolution and no normalisation (it has (2, 3, 4), (4,))" in message and "\x1b" not in message
    with zipfile.ZipFile(tmp_path / "c.keras", "w") as archive:
        for name in ("a.h5", "b.h5"):
            archive.write(tmp_path / name, name)
    assert "holds several files of weights, a.h5, b.h5; give the one that is meant" in refused(tmp_path / "c.keras")


def test_where_no_process_can_be_run(small: Layers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        named(file, small)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    assert "a process of its own, which cannot be run (No such file or directory)" in refused(tmp_path / "a.h5")


REAL = """
import sys
import keras
import numpy as np

inside = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization()])
model = keras.Sequential([inside, keras.layers.Conv2D(5, 3), keras.layers.Flatten(), keras.layers.Dense(2)])
model.compile("adam", "mse")
model.fit(np.ones((2, 8, 8, 3)), np.ones((2, 2)), verbose=0)
flat = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.Conv2D(5, 3)])
for name in ("weights.h5", "h5", "keras"):
    (flat.save_weights if name == "weights.h5" else flat.save)(f"{sys.argv[1]}/flat.{name}")
model.save(f"{sys.argv[1]}/model.keras")
np.savez(f"{sys.argv[1]}/flat.npz", *flat.get_weights())
np.savez(f"{sys.argv[1]}/model.npz", *model.get_weights()[:8])
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("keras") is None, reason="needs Keras")
def test_what_keras_itself_writes(tmp_path: Path) -> None:
    environment = os.environ | {"KERAS_BACKEND": "jax", "PYTHONWARNINGS": "ignore"}
    subprocess.run([sys.executable, "-c", REAL, str(tmp_path)], env=environment, check=True, capture_output=True)
    for name in ("flat.weights.h5", "flat.h5", "flat.keras", "model.keras"):
        with np.load(tmp_path / f"{name.partition('.')[0]}.npz") as wanted:
            found = [array for layer in formats.read(tmp_path / name).layers.values() for array in layer]
            if name == "model.keras":  # of models in one another the file does not tell the order
                found = [next(array for array in found if np.array_equal(array, wanted[key])) for key in wanted.files]
            assert len(found) == len(wanted.files)
            for key, array in zip(wanted.files, found, strict=True):
                np.testing.assert_array_equal(array, wanted[key], err_msg=f"{name} {key}")
