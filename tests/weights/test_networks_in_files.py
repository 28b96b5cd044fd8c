"""AlexNet, DenseNet, VGG with batch normalisation and VGG16 from files in every layout: their features are torch's."""

from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from backbones import DENSE, IMAGE, alexnet, close, features, small_dense, tensors
from jaxstyle.errors import InputError
from jaxstyle.networks import ARCHITECTURES, PREPROCESSING
from jaxstyle.weights import convert, load_network, save_weights
from layouts import old_names, torch_features, write_keras
from marks import slow

# Network and layout.
FILES = [
    ("alexnet", "alexnet.pth"),
    ("alexnet", "alexnet.safetensors"),
    slow("densenet121", "old.pth"),
    slow("densenet121", "new.safetensors"),
    slow("densenet121", "slashes.h5"),
    slow("densenet121", "plain.h5"),
    slow("vgg19_bn", "vgg19_bn.pth"),
    slow("vgg19_bn", "vgg19_bn.safetensors"),
    slow("vgg16", "vgg16.pth"),
    slow("vgg16", "vgg16.safetensors"),
    ("vgg16", "vgg16.h5"),
]


def write(folder: Path, network: str, name: str) -> Path:
    """A file in the layout that its name says."""
    path, weights = folder / name, tensors(network)
    if path.suffix == ".h5":
        return write_keras(path, network, weights, old=name != "plain.h5")
    if path.suffix == ".safetensors":
        save_file(weights, path)
        return path
    torch = pytest.importorskip("torch")
    state = {key: torch.from_numpy(array) for key, array in old_names(weights).items()}
    if network != "densenet121":  # whose own file is older than these counters
        state |= {
            f"{key.removesuffix('running_mean')}num_batches_tracked": torch.tensor(7)
            for key in [*state]
            if "_mean" in key
        }
    torch.save(state, path)
    return path


@pytest.mark.parametrize(("network", "name"), FILES, ids=lambda x: x)
def test_features_equal_torch_at_every_layer_from_every_layout(network: str, name: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    net = load_network(network, write(tmp_path, network, name))
    assert net.preprocessing == ("keras" if name == "vgg16.h5" else "torchvision")
    epsilon = 1.001e-5 if name.endswith(".h5") else 1e-5
    seen = np.asarray(PREPROCESSING[net.preprocessing](IMAGE))
    expected = torch_features(network, tensors(network), seen, epsilon=epsilon)
    found = features(net, IMAGE, layers=net.layer_names)
    assert set(expected) == set(net.layer_names)
    for layer, value in expected.items():
        close(found[layer], value, f"{name} {layer}")


@pytest.mark.slow
def test_both_layouts_of_densenet_hold_the_same_parameters(tmp_path: Path) -> None:
    """But for their epsilons, of which the one is a thousandth larger; and so have the same features, as torch has."""
    names = ("old.pth", "new.safetensors", "slashes.h5", "plain.h5")
    nets = [load_network("densenet121", write(tmp_path, "densenet121", name)) for name in names]
    for other in nets[1:]:
        assert other.preprocessing == nets[0].preprocessing and list(other.params) == list(nets[0].params)
        for name, layer in nets[0].params.items():
            for key, array in layer.items():
                close(other.params[name][key], np.asarray(array), f"{name} {key}", 1e-6)


# ------------------------------------------------------------------------------------------------------------- files


def test_a_file_of_one_network_given_to_another_names_both(tmp_path: Path) -> None:
    for network, name, other in (
        ("alexnet", "alexnet.safetensors", "densenet121"), ("alexnet", "alexnet.safetensors", "vgg16"),
        ("densenet121", "new.safetensors", "alexnet"), ("densenet121", "slashes.h5", "vgg19"),
        ("vgg19_bn", "vgg19_bn.safetensors", "vgg19"), ("vgg16", "vgg16.h5", "vgg19_bn"),
        ("vgg16", "vgg16.safetensors", "densenet121"),
    ):  # fmt: skip
        path = write(tmp_path, network, name)
        with pytest.raises(InputError) as caught:
            load_network(other, path)
        assert str(caught.value) == f"{path} holds {network}, not {other}"
        path.unlink()


def test_what_is_amiss_with_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"

    def line(network: str, changed: dict[str, np.ndarray | None]) -> str:
        state = tensors(network) | changed
        save_file({key: array for key, array in state.items() if array is not None}, path)
        with pytest.raises(InputError) as caught:
            load_network(network, path)
        return str(caught.value).removeprefix(f"{path} does not hold {network}: ")

    ones = np.ones(64, np.float32)
    norm = {f"features.norm0.{part}": None for part in ("weight", "bias", "running_mean", "running_var")}
    assert line("densenet121", norm) == "it has no norm0"
    assert line("densenet121", {"features.extra.weight": ones, "features.extra.bias": ones}).startswith("it has extra")
    biased = {"features.denseblock2.denselayer3.conv2.bias": np.ones(32, np.float32)}
    assert line("densenet121", biased) == "its dense2_3_conv2 has a bias"
    wide = np.ones((32, 128, 5, 5), np.float32)
    assert "its dense1_1_conv2 is (5, 5, 128, 32)" in line(
        "densenet121", {"features.denseblock1.denselayer1.conv2.weight": wide}
    )
    assert line("alexnet", {"features.10.weight": None, "features.10.bias": None}) == "it has no conv5"
    assert line("alexnet", {"features.6.bias": None}) == "its conv3 has no bias"
    assert "features.1 is a normalisation" in line("alexnet", {"features.1.weight": ones, "features.1.bias": ones})
    bad = np.full(64, np.nan, np.float32)
    assert "relu0_conv has weights that are not finite" in line("densenet121", {"features.norm0.running_var": bad})


def test_our_own_file_keeps_a_densenet_and_may_lack_the_deepest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ARCHITECTURES, "small", DENSE)
    _, net = small_dense()
    about = {"network": "small", "preprocessing": "torchvision", "source": "here", "licence": "none"}
    save_weights(tmp_path / "a.h5", net.params, **about)
    again = load_network("small", tmp_path / "a.h5")
    assert jax.tree.structure(dict(again.params)) == jax.tree.structure(dict(net.params))
    jax.tree.map(np.testing.assert_array_equal, dict(again.params), dict(net.params))
    short = {name: layer for name, layer in net.params.items() if not name.startswith(("trans2", "dense3", "norm5"))}
    save_weights(tmp_path / "b.h5", short, **about)
    found = load_network("small", tmp_path / "b.h5")
    assert found.layer_names == ("relu0", "pool0", "dense1", "trans1", "dense2")
    np.testing.assert_array_equal(
        features(found, IMAGE, layers=("dense2",))["dense2"], features(net, IMAGE, layers=("dense2",))["dense2"]
    )
    with pytest.raises(InputError, match="has no layer 'norm5'"):
        found.features(IMAGE, ("norm5",))
    del short["pool0" if "pool0" in short else "dense1_1_norm"]
    with pytest.raises(InputError, match="it has no dense1_1_norm"):
        save_weights(tmp_path / "c.h5", short, **about)
    with pytest.raises(InputError, match="a kernel and a bias, or a scale and an offset"):
        save_weights(tmp_path / "c.h5", {"relu0_conv": {"weight": np.ones(3)}}, **about)


def test_a_file_goes_into_the_cache_and_comes_back(tmp_path: Path) -> None:
    path = write(tmp_path, "alexnet", "alexnet.safetensors")
    assert convert(path).name == "alexnet.h5"
    np.testing.assert_array_equal(
        load_network("alexnet").params["conv3"]["kernel"], alexnet().params["conv3"]["kernel"]
    )
