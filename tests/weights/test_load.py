"""Weights end up where they should, with their preprocessing, or one line says why not."""

from pathlib import Path

import h5py
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.errors import InputError
from jaxstyle.networks.vgg import VGG
from jaxstyle.weights import convert, fetch, load_network, show
from tiny_weights import OTHER, TINY, assert_params, line, random_params, save, write_keras, write_safetensors

pytestmark = [pytest.mark.quick, pytest.mark.usefixtures("cache")]

# Loading


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    params = random_params()
    network = load_network("tiny", save(tmp_path / "a.h5", params))
    assert_params(network.params, params)
    assert (network.name, network.preprocessing, network.module) == ("tiny", "keras", TINY)
    assert_params(load_network("tiny", str(tmp_path / "a.h5")).params, params)


def test_half_precision_is_loaded_as_single(tmp_path: Path) -> None:
    params = random_params()
    path = save(tmp_path / "a.h5", params, dtype=np.float16)
    half = {
        name: {k: v.astype(np.float16).astype(np.float32) for k, v in layer.items()} for name, layer in params.items()
    }
    assert_params(load_network("tiny", path).params, half)


def test_jax_arrays_and_any_order_can_be_saved(tmp_path: Path) -> None:
    params = random_params()
    shuffled = {name: {k: jnp.asarray(v) for k, v in params[name].items()} for name in reversed(params)}
    assert_params(load_network("tiny", save(tmp_path / "a.h5", shuffled)).params, params)


def test_the_deepest_convolutions_may_be_missing_in_our_own_files_alone(tmp_path: Path) -> None:
    params = random_params()
    short = {name: params[name] for name in ("conv1_1", "conv1_2")}
    assert_params(load_network("tiny", save(tmp_path / "a.h5", short)).params, short)
    gap = {name: params[name] for name in ("conv1_1", "conv2_1")}
    assert "no conv1_2" in line(InputError, save, tmp_path / "b.h5", gap)
    assert "no conv1_1" in line(InputError, save, tmp_path / "b.h5", {})
    assert "no conv2_1" in line(InputError, load_network, "tiny", write_keras(tmp_path / "c.h5", short))
    path = write_safetensors(tmp_path / "d.safetensors", short)
    assert "no conv2_1" in line(InputError, load_network, "tiny", path)
    assert not (tmp_path / "b.h5").exists()


def test_preprocessing_goes_with_the_file(tmp_path: Path) -> None:
    params = random_params()
    assert load_network("tiny", write_keras(tmp_path / "a.h5", params)).preprocessing == "keras"
    path = tmp_path / "a.safetensors"
    assert load_network("tiny", write_safetensors(path, params)).preprocessing == "torchvision"
    write_safetensors(path, params, {"preprocessing": "keras"})
    assert load_network("tiny", path).preprocessing == "keras"
    write_safetensors(path, params, {"preprocessing": "kears"})
    message = line(InputError, load_network, "tiny", path)
    assert "'kears'; there are keras, torchvision; did you mean 'keras'?" in message
    message = line(InputError, save, tmp_path / "b.h5", params, preprocessing="caffe")
    assert "'caffe'" in message and not (tmp_path / "b.h5").exists()


def test_oxfords_weights_in_torchvisions_layout_are_recognised_by_name(tmp_path: Path) -> None:
    """The files that most PyTorch style transfer programs bring along want Oxford's preprocessing."""
    params = random_params()
    for name, kind in (
        ("vgg19-d01eb7cb", "keras"),
        ("my-vgg16-00b39a1b-2", "keras"),
        ("vgg19", "torchvision"),
    ):
        path = write_safetensors(tmp_path / f"{name}.safetensors", params)
        assert load_network("tiny", path).preprocessing == kind
    path = write_safetensors(tmp_path / "vgg19-d01eb7cb.safetensors", params, {"preprocessing": "torchvision"})
    assert load_network("tiny", path).preprocessing == "torchvision"


def test_options(tmp_path: Path) -> None:
    path = save(tmp_path / "a.h5", random_params())
    given = load_network("tiny", path, pooling="average", padding="edge", dtype=jnp.bfloat16)
    assert (given.module.pooling, given.module.padding, given.module.dtype) == (
        "average",
        "edge",
        jnp.bfloat16,
    )
    assert load_network("tiny", path, dtype=jnp.float32).module == TINY
    for dtype in ("bfloat16", jnp.dtype("bfloat16")):
        assert hash(load_network("tiny", path, dtype=dtype).module) == hash(TINY.clone(dtype=jnp.bfloat16))
    assert "did you mean 'average'" in line(InputError, load_network, "tiny", path, pooling="averag")
    assert "zero, edge, reflect" in line(InputError, load_network, "tiny", path, padding="wrap")
    assert "'float16'" in line(InputError, load_network, "tiny", path, dtype=jnp.float16)


def test_a_file_of_ours_that_tells_less_than_it_should(tmp_path: Path, cache: Path) -> None:
    path = save(tmp_path / "a.h5", random_params())
    with h5py.File(path, "r+") as file:
        for key in ("network", "source", "licence", "sha256"):
            del file.attrs[key]
    assert_params(load_network("tiny", path).params, random_params())
    assert show(path)["network"] is None
    assert convert(path, name="tiny") == cache / "tiny.h5"
    assert "does not hold other" in line(InputError, load_network, "other", path)
    with h5py.File(path, "r+") as file:
        del file.attrs["preprocessing"]
    assert "damaged" in line(InputError, load_network, "tiny", path)


# Refusing


def test_unknown_networks(tmp_path: Path) -> None:
    message = line(InputError, load_network, "vgg91")
    assert "'vgg91'" in message and "compact, vgg19, vgg16" in message and "did you mean 'vgg19'?" in message
    assert "vgg91" in line(InputError, fetch, "vgg91")
    assert "vgg91" in line(InputError, save, tmp_path / "a.h5", random_params(), network="vgg91")
    path = save(tmp_path / "b.h5", random_params())
    assert "vgg91" in line(InputError, convert, path, name="vgg91")


def test_a_file_of_another_network(tmp_path: Path) -> None:
    params = random_params(OTHER)
    paths = [
        save(tmp_path / "a.h5", params, "other"),
        write_keras(tmp_path / "b.h5", params),
        write_safetensors(tmp_path / "c.safetensors", params),
    ]
    for path in paths:
        assert line(InputError, load_network, "tiny", path) == f"{path} holds other, not tiny"
        assert show(path)["network"] == "other"
    wide = random_params(VGG(depths=(2, 1), widths=(5, 6)))
    for path in (write_keras(tmp_path / "d.h5", wide), write_safetensors(tmp_path / "e.safetensors", wide)):
        message = line(InputError, load_network, "tiny", path)
        assert "does not hold tiny: its conv1_1 is (3, 3, 3, 5), not (3, 3, 3, 4)" in message
        assert show(path)["network"] is None
        assert "compact, vgg19" in line(InputError, convert, path)
    long = random_params(VGG(depths=(2, 2), widths=(4, 6)))
    assert "conv2_2" in line(InputError, load_network, "tiny", write_keras(tmp_path / "f.h5", long))
    path = write_safetensors(tmp_path / "g.safetensors", long)
    assert "features.3" in line(InputError, load_network, "tiny", path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(value: float, tmp_path: Path) -> None:
    params = random_params()
    params["conv1_2"]["bias"][1] = value
    path = write_keras(tmp_path / "a.h5", params)
    assert "conv1_2" in line(InputError, load_network, "tiny", path)
    assert "conv1_2" in line(InputError, save, tmp_path / "b.h5", params)
    params["conv1_2"]["bias"][1] = 1e6
    assert "conv1_2" in line(InputError, save, tmp_path / "b.h5", params, dtype=np.float16)
    assert not (tmp_path / "b.h5").exists()


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    assert str(tmp_path / "none.h5") in line(InputError, load_network, "tiny", tmp_path / "none.h5")
    assert str(tmp_path) in line(InputError, load_network, "tiny", tmp_path)
    (tmp_path / "file").write_text("")
    assert "empty" in line(InputError, load_network, "tiny", tmp_path / "file")
    assert "cannot write" in line(InputError, save, tmp_path / "file" / "a.h5", random_params())
    (tmp_path / "folder.h5").mkdir()
    assert "cannot write" in line(InputError, save, tmp_path / "folder.h5", random_params())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "file", "folder.h5"]
