"""Every format, written here byte by byte in its own layout, is read back bit by bit; what is broken is refused in one
line; and a network's features from each kind of file are those of a naive twin."""

import io
import os
import pickle
from pathlib import Path

import h5py
import jax
import numpy as np
import pytest

from containers import number, pickled, stream_file, text, zip_file
from jaxstyle.networks.layers import Convolution
from jaxstyle.networks.vgg import VGG19
from jaxstyle.weights import formats, load_network, save_weights
from weight_files import (
    WRITERS,
    Layers,
    Tensors,
    assert_same,
    keras_group,
    random_layers,
    refused,
    safetensors,
    state_dict,
    write_keras_new,
)

REAL = Path(__file__).parents[3] / "shared/weights/vgg19_torchvision_conv1_1_to_conv3_1.npz"

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


def write_keras_model(path: Path, layers: Layers) -> None:
    """A whole model, with a dense layer after the convolutions."""
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights")
        keras_group(root, layers, "{name}/kernel:0", "{name}/bias:0", object)
        root.attrs["layer_names"] = [*root.attrs["layer_names"], "fc1"]
        root.create_group("fc1").attrs["weight_names"] = ["kernel:0", "bias:0"]
        root["fc1"]["kernel:0"], root["fc1"]["bias:0"] = np.zeros((2, 3), "f4"), np.zeros(3, "f4")


@pytest.fixture(scope="module")
def vgg19() -> Layers:
    return random_layers(VGG19.kernel_shapes)


# Reading


@pytest.mark.quick
@pytest.mark.parametrize("name", WRITERS)
def test_every_format_is_read_bit_by_bit(name: str, small: Layers, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name, small)
    file = formats.read(tmp_path / name)
    assert_same(file.layers, small)
    keras = name.startswith("keras")
    assert file.preprocessing == ("keras" if keras else "torchvision")
    theirs = ["block1_conv1", "block1_conv2", "block2_conv1"] if keras else ["features.0", "features.2", "features.5"]
    assert list(file.layers) == theirs


@pytest.mark.quick
def test_the_format_is_told_by_the_content_not_by_the_name(small: Layers, tmp_path: Path) -> None:
    for writer in WRITERS.values():
        writer(tmp_path / "weights.bin", small)
        assert_same(formats.read(tmp_path / "weights.bin").layers, small)


@pytest.mark.quick
def test_whole_keras_model(small: Layers, tmp_path: Path) -> None:
    write_keras_model(tmp_path / "model.h5", small)
    assert_same(formats.read(tmp_path / "model.h5").layers, small)


@pytest.mark.quick
def test_our_own_file_keeps_everything(small: Layers, tmp_path: Path) -> None:
    attributes = {"network": "small", "preprocessing": "keras", "source": "here", "licence": "none"}
    formats.write(tmp_path / "own.h5", small, attributes)
    file = formats.read(tmp_path / "own.h5")
    assert_same(file.layers, small)
    assert list(file.layers) == list(small)
    assert file.kind == "jaxstyle" and file.preprocessing == "keras"
    assert file.attributes == attributes | {"format": "jaxstyle-1", "layers": "conv1_1 conv1_2 conv2_1"}
    assert formats.read_attributes(tmp_path / "own.h5") == file.attributes
    assert formats.read_attributes(tmp_path / "none.h5") == {}


@pytest.mark.quick
def test_our_own_file_in_half_precision(small: Layers, tmp_path: Path) -> None:
    formats.write(tmp_path / "own.h5", small, {"network": "small", "preprocessing": "keras"}, np.float16)
    half = {name: Convolution(*(a.astype("f2").astype("f4") for a in layer)) for name, layer in small.items()}
    assert_same(formats.read(tmp_path / "own.h5").layers, half)
    assert (tmp_path / "own.h5").stat().st_size < 20_000


@pytest.mark.quick
@pytest.mark.parametrize("code", ["f2", "f8", "u2"])
def test_other_floating_types(code: str, small: Layers, tmp_path: Path) -> None:
    """float16, float64, and bfloat16 (whose bits are u2 here) in all three containers of state dicts."""
    if code == "u2":
        tensors = {k: (v.view("u4") >> np.uint32(16)).astype("u2") for k, v in state_dict(small).items()}
        values = {k: (v.astype("u4") << np.uint32(16)).view("f4") for k, v in tensors.items()}
    else:
        tensors = {k: v.astype(code) for k, v in state_dict(small).items()}
        values = {k: v.astype("f4") for k, v in tensors.items()}
    weights = [values[k].transpose(2, 3, 1, 0) for k in values if k.endswith("weight")]
    biases = [values[k] for k in values if k.endswith("bias")]
    expected = {str(i): Convolution(*pair) for i, pair in enumerate(zip(weights, biases, strict=True))}
    zip_file(tmp_path / "a", *pickled(tensors))
    stream_file(tmp_path / "b", *pickled(tensors, old=True), size=np.dtype(code).itemsize)
    safetensors(tmp_path / "c", tensors, code={"f2": "F16", "f8": "F64", "u2": "BF16"}[code])
    for name in "abc":
        assert_same(formats.read(tmp_path / name).layers, expected)


@pytest.mark.quick
def test_order_is_that_of_the_numbers_and_the_classifier_is_never_read(tmp_path: Path) -> None:
    layers = random_layers({f"conv{i}_1": (3, 3, 2, 2) for i in range(1, 6)})
    tensors = dict(reversed(state_dict(layers).items())) | {"classifier.0.weight": np.ones((2, 2), "f4")}
    body, storages = pickled(tensors)
    del storages["10"]
    zip_file(tmp_path / "a.pth", body, storages)
    file = formats.read(tmp_path / "a.pth")
    assert_same(file.layers, layers)
    assert list(file.layers) == [f"features.{n}" for n in (0, 3, 6, 9, 12)]


@pytest.mark.quick
def test_usual_wrappings_of_a_state_dict(small: Layers, tmp_path: Path) -> None:
    """A checkpoint around it, DataParallel's prefix, and `model.features` saved by itself."""
    for change in ("module.{}", "{}", "bare"):
        renamed = {
            name.removeprefix("features.") if change == "bare" else change.format(name): array
            for name, array in state_dict(small).items()
        }
        body, storages = pickled(renamed)
        zip_file(tmp_path / "a", body, storages)
        zip_file(tmp_path / "b", b"}(" + text("epoch") + number(3) + text("state_dict") + body + b"u", storages)
        for name in "ab":
            assert_same(formats.read(tmp_path / name).layers, small)


@pytest.mark.quick
def test_weights_that_are_integers(small: Layers, tmp_path: Path) -> None:
    tensors = {name: array.astype("i8") for name, array in state_dict(small).items()}
    zip_file(tmp_path / "a.pth", *pickled(tensors))
    safetensors(tmp_path / "a.safetensors", tensors, code="I64")
    for path in tmp_path.iterdir():
        assert "features.0 is of type int64" in refused(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*WRITERS, "own.h5"])
def test_truncated_files(name: str, small: Layers, tmp_path: Path) -> None:
    own = {"network": "small", "preprocessing": "keras"}
    writer = WRITERS.get(name, lambda path, layers: formats.write(path, layers, own))
    writer(tmp_path / name, small)
    whole = (tmp_path / name).read_bytes()
    for length in {*range(0, 200, 13), *range(200, len(whole), len(whole) // 20), len(whole) - 1}:
        (tmp_path / name).write_bytes(whole[:length])
        refused(tmp_path / name)


@pytest.mark.quick
def test_files_that_are_no_weights(small: Layers, tmp_path: Path) -> None:
    def file(content: bytes) -> Path:
        (tmp_path / "a").write_bytes(content)
        return tmp_path / "a"

    assert "No such file" in refused(tmp_path / "none.pth")
    assert "directory" in refused(tmp_path)
    assert "empty" in refused(file(b""))
    assert "DOCTYPE" in refused(file(b"<!DOCTYPE html>\n<title>404</title>"))
    assert ".safetensors" in refused(file(b"version https://git-lfs.github.com/spec/v1\n"))
    refused(file(pickle.dumps({"a": 1})))
    refused(file(b"sys_info".ljust(600, b"\0")))
    archive = io.BytesIO()
    np.savez(archive, a=np.ones(3))
    assert "not of torch" in refused(file(archive.getvalue()))
    with h5py.File(tmp_path / "a", "w") as other:
        other["x"] = 1
    assert "layer_names" in refused(tmp_path / "a")
    formats.write(tmp_path / "a", small, {"network": "small", "preprocessing": "keras"})
    with h5py.File(tmp_path / "a", "r+") as ours:
        del ours["conv1_2"]
    assert "damaged" in refused(tmp_path / "a")
    with h5py.File(tmp_path / "a", "r+") as ours:
        ours.attrs["format"] = "jaxstyle-3"
    assert "'jaxstyle-3'; this jaxstyle reads 'jaxstyle-1' and 'jaxstyle-2'" in refused(tmp_path / "a")


@pytest.mark.quick
def test_state_dicts_of_other_networks(tmp_path: Path) -> None:
    kernel, bias = np.ones((2, 3, 3, 3), "f4"), np.ones(2, "f4")

    def message(tensors: Tensors) -> str:
        zip_file(tmp_path / "a.pth", *pickled(tensors))
        safetensors(tmp_path / "a.safetensors", tensors)
        first, second = refused(tmp_path / "a.pth"), refused(tmp_path / "a.safetensors")
        assert first.replace(".pth", "") == second.replace(".safetensors", "")
        return first

    dense = {"0.weight": kernel[:, :, 0, 0], "0.bias": bias}
    assert "without convolutions" in message(dense)
    assert "without convolutions" in message({"a.weight": bias, "a.bias": bias})
    line = "features.0 is no convolution and no normalisation"
    assert f"{line} (it has weight (2, 3, 3))" in message({"features.0.weight": kernel[:, :, :, 0]})
    assert f"{line} (it has running_mean (2,))" in message({"features.0.running_mean": bias})
    assert line in message({"0.weight": kernel, "0.weight_g": bias})
    assert "bias (3,)" in message({"features.0.weight": kernel, "features.0.bias": np.ones(3, "f4")})
    norm = {f"features.1.{part}": bias for part in ("weight", "bias", "running_mean")}
    norm |= {"features.1.running_var": np.ones(3, "f4")}
    assert "features.1 has a scale (2,)" in message({"features.0.weight": kernel, "features.0.bias": bias} | norm)
    zip_file(tmp_path / "b.pth", b"](" + number(1) + b"e", {})
    assert "a list" in refused(tmp_path / "b.pth")


@pytest.mark.quick
def test_keras_files_of_other_networks(small: Layers, tmp_path: Path) -> None:
    write_keras_new(tmp_path / "a.h5", small)
    for names in (["block1_conv2/bias:0"] * 3, ["block1_conv2/kernel:0"] * 2):
        with h5py.File(tmp_path / "a.h5", "r+") as file:
            file["block1_conv2"].attrs["weight_names"] = names
        assert "block1_conv2 is no convolution and no normalisation" in refused(tmp_path / "a.h5")
    write_keras_new(tmp_path / "a.h5", small)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file["block1_conv2/block1_conv2/kernel:0"]
        file["block1_conv2/block1_conv2/kernel:0"] = np.zeros((3, 3, 4, 4), int)
    assert "int64" in refused(tmp_path / "a.h5")


@pytest.mark.quick
def test_normalisations_and_layers_without_a_bias_are_read_and_dense_ones_are_not(tmp_path: Path) -> None:
    """Batch normalisation must never be passed over: its convolutions alone look like a plain network's."""
    rng = np.random.default_rng(3)
    kernel = rng.random((2, 3, 3, 3), np.float32)
    four = {part: rng.random(2, np.float32) for part in ("weight", "bias", "running_mean", "running_var")}
    tensors = {"conv.weight": kernel, "fc.weight": kernel[0, 0], "fc.bias": np.ones(3, "f4"), "shift": np.ones(2, "f4")}
    tensors |= {f"conv.norm.{part}": array for part, array in four.items()}
    tensors |= {"free.running_mean": four["running_mean"], "free.running_var": four["running_var"]}
    tensors |= {"conv.norm.num_batches_tracked": np.int64(7)[None], "free.num_batches_tracked": np.int64(7)[None]}
    tensors |= {"scaled.weight": four["weight"], "scaled.bias": four["bias"]}
    zip_file(tmp_path / "a.pth", *pickled(tensors))
    stream_file(tmp_path / "b.pth", *pickled({k: v for k, v in tensors.items() if "tracked" not in k}, old=True))
    for path in (tmp_path / "a.pth", tmp_path / "b.pth"):
        layers = formats.read(path).layers
        assert list(layers) == ["conv", "conv.norm", "free", "scaled"]
        assert isinstance(layers["conv"], Convolution) and layers["conv"].bias is None
        np.testing.assert_array_equal(layers["conv"].kernel, kernel.transpose(2, 3, 1, 0))
        for found, wanted in zip(layers["conv.norm"], four.values(), strict=True):
            np.testing.assert_array_equal(found, wanted)
        np.testing.assert_array_equal(layers["free"].scale, 1)
        np.testing.assert_array_equal(layers["free"].offset, 0)
        np.testing.assert_array_equal(layers["free"].variance, four["running_var"])
        np.testing.assert_array_equal(layers["scaled"], [four["weight"], four["bias"]])


@pytest.mark.quick
def test_writing_is_all_or_nothing(small: Layers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attributes = {"network": "small", "preprocessing": "keras"}
    formats.write(tmp_path / "own.h5", small, attributes)
    before = (tmp_path / "own.h5").read_bytes()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        formats.write(tmp_path / "own.h5", small, attributes, np.float16)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="could not convert"):
        formats.write(tmp_path / "own.h5", {"conv1_1": Convolution(np.array("x"), np.array("y"))}, attributes)
    assert [path.name for path in tmp_path.iterdir()] == ["own.h5"]
    assert (tmp_path / "own.h5").read_bytes() == before


# Features


def naive_features(layers: Layers, image: np.ndarray, preprocessing: str) -> dict[str, np.ndarray]:
    """relu1_1 ... relu5_1 of a VGG from its papers alone, in float64: nine taps a convolution."""
    x = image.astype(np.float64)
    if preprocessing == "keras":
        x = x[..., ::-1] * 255 - np.array([103.939, 116.779, 123.68])
    else:
        x = (x - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    found, block = {}, "1"
    for name, (kernel, bias) in layers.items():
        if name[4] != block:
            h, w, c = x.shape
            block, x = name[4], x.reshape(h // 2, 2, w // 2, 2, c).max((1, 3))
        h, w, _ = x.shape
        padded, y = np.pad(x, ((1, 1), (1, 1), (0, 0))), bias.astype(np.float64)
        for i in range(3):
            for j in range(3):
                tap = kernel[i, j].astype(np.float64)
                y = y + np.einsum("hwi,io->hwo", padded[i : i + h, j : j + w], tap, optimize=True)
        x = np.maximum(y, 0)
        found[name.replace("conv", "relu")] = x
    return {name: found[name] for name in LAYERS if name in found}


features = jax.jit(lambda network, image: network.features(image, LAYERS))


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(1).random((32, 32, 3), np.float32)


@pytest.fixture(scope="module")
def expected(vgg19: Layers, image: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    return {kind: naive_features(vgg19, image, kind) for kind in ("keras", "torchvision")}


def assert_features(path: Path, image: np.ndarray, expected: dict[str, np.ndarray], kind: str) -> None:
    network = load_network("vgg19", path)
    assert network.preprocessing == kind
    found = features(network, image)
    for name, wanted in expected.items():
        scale = np.abs(wanted).max()
        assert scale > 0.1
        np.testing.assert_allclose(np.asarray(found[name]) / scale, wanted / scale, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", WRITERS)
def test_features_of_vgg19(name: str, vgg19: Layers, image: np.ndarray, expected: dict, tmp_path: Path) -> None:
    path, kind = tmp_path / name, "keras" if name.startswith("keras") else "torchvision"
    WRITERS[name](path, vgg19)
    assert_features(path, image, expected[kind], kind)
    path.unlink()  # 80 MB


@pytest.mark.skipif(not REAL.exists(), reason="the real weights are not here")
@pytest.mark.parametrize("kind", ["torchvision", "keras"])
def test_features_of_real_kernels(kind: str, vgg19: Layers, image: np.ndarray, tmp_path: Path) -> None:
    """torchvision's own first five convolutions, before otherwise random ones, by way of our own file."""
    with np.load(REAL) as real:
        taken = {
            name: Convolution(real[f"{name}_weight"].transpose(2, 3, 1, 0), real[f"{name}_bias"])
            for name in list(vgg19)[:5]
        }
    layers, path = vgg19 | taken, tmp_path / "real.h5"
    params = {name: layer._asdict() for name, layer in layers.items()}
    save_weights(path, params, network="vgg19", preprocessing=kind, source="test", licence="test")
    first = dict(list(layers.items())[:5])
    assert_features(path, image, naive_features(first, image, kind), kind)
    path.unlink()
