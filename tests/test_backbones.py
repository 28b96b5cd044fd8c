"""AlexNet, DenseNet, VGG with batch normalisation and VGG16: features against plain torch from files in every layout,
what padding and pooling do, and the README's network of one's own."""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from commandline import Said, refused
from layouts import old_names, state_dict, torch_features, write_keras
from safetensors.numpy import save_file
from tiny import check_gradient, check_pooling, picture, primitives, x64

import jaxstyle
from jaxstyle import defaults, networks, tpu
from jaxstyle.compiling import compiled
from jaxstyle.errors import InputError
from jaxstyle.images import read_record
from jaxstyle.networks import ARCHITECTURES, PREPROCESSING, Network, random_network
from jaxstyle.networks.alexnet import AlexNet
from jaxstyle.networks.backbone import Convolution, Normalisation, add_border, overlapping_pool
from jaxstyle.networks.densenet import DenseNet
from jaxstyle.weights import convert, load_network, save_weights

DENSE = DenseNet(depths=(2, 1, 1), growth=4, width=8)
IMAGE = picture(0, 64, 72)
MODES = {"zero": "constant", "edge": "edge", "reflect": "reflect", "periodic": "wrap"}

# Network, layout, and the epsilon of its batch normalisation.
FILES = {
    "alexnet": ("alexnet.pth", "alexnet.safetensors"),
    "densenet121": ("old.pth", "new.safetensors", "slashes.h5", "plain.h5"),
    "vgg19_bn": ("vgg19_bn.pth", "vgg19_bn.safetensors"),
    "vgg16": ("vgg16.pth", "vgg16.safetensors", "vgg16.h5"),
}


@functools.cache
def tensors(network: str) -> dict[str, np.ndarray]:
    return state_dict(network)


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


@compiled("layers")
def features(net: Network, image: jax.Array, *, layers: tuple[str, ...]) -> dict[str, jax.Array]:
    """`Network.features`, compiled as transfers are."""
    return net.features(image, layers)


def close(found: Any, expected: np.ndarray, name: str, tolerance: float = 1e-5) -> None:
    scale = np.abs(expected).max()
    assert scale > 1e-3 and found.shape == expected.shape, name
    np.testing.assert_allclose(np.asarray(found) / scale, expected / scale, rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("network", FILES)
def test_features_equal_torch_at_every_layer_from_every_layout(network: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    for name in FILES[network]:
        path = write(tmp_path, network, name)
        net = load_network(network, path)
        assert net.preprocessing == ("keras" if name == "vgg16.h5" else "torchvision")
        epsilon = 1.001e-5 if name.endswith(".h5") else 1e-5
        seen = np.asarray(PREPROCESSING[net.preprocessing](IMAGE))
        expected = torch_features(network, tensors(network), seen, epsilon=epsilon)
        found = features(net, IMAGE, layers=net.layer_names)
        assert set(expected) == set(net.layer_names)
        for layer, value in expected.items():
            close(found[layer], value, f"{name} {layer}")
        path.unlink()


def test_both_layouts_of_densenet_hold_the_same_parameters(tmp_path: Path) -> None:
    """But for their epsilons, of which the one is a thousandth larger; and so have the same features, as torch has."""
    names = ("new.safetensors", "slashes.h5", "plain.h5")
    nets = [load_network("densenet121", write(tmp_path, "densenet121", name)) for name in names]
    for other in nets[1:]:
        assert other.preprocessing == nets[0].preprocessing and list(other.params) == list(nets[0].params)
        for name, layer in nets[0].params.items():
            for key, array in layer.items():
                close(other.params[name][key], np.asarray(array), f"{name} {key}", 1e-6)


def small_dense(**options: Any) -> tuple[dict[str, np.ndarray], Network]:
    """A small DenseNet, its state dict and what has been read of it."""
    from jaxstyle import formats

    weights = state_dict("densenet121", 1, depths=DENSE.depths, growth=DENSE.growth, width=DENSE.width)
    shapes = {key: array.shape for key, array in weights.items()}
    layers = DENSE.from_file(formats._state_layers(Path("small"), shapes, weights.__getitem__))
    params = {name: jax.tree.map(jnp.asarray, formats.arrays_of(layer)) for name, layer in layers.items()}
    return weights, Network(params, "small", DENSE.clone(**options), "torchvision")


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


@pytest.mark.parametrize(
    ("padding", "pooling"),
    [("zero", "max"), ("zero", "average"), ("edge", "average"), ("reflect", "max"), ("periodic", "average")],
)
def test_padding_and_pooling_are_those_of_torch(padding: str, pooling: str) -> None:
    pytest.importorskip("torch")
    weights, dense = small_dense(padding=padding, pooling=pooling)
    cases = [("densenet121", weights, dense, {"depths": DENSE.depths})]
    cases.append(("alexnet", tensors("alexnet"), alexnet(padding=padding, pooling=pooling), {}))
    image = picture(1, 96, 80) if padding == "periodic" else picture(1, 95, 78)
    seen = np.asarray(PREPROCESSING["torchvision"](image))
    for network, state, net, more in cases:
        expected = torch_features(network, state, seen, padding=padding, pooling=pooling, **more)
        found = features(net, image, layers=net.layer_names)
        for layer, value in expected.items():
            close(found[layer], value, layer)


@pytest.mark.parametrize("which", ["alexnet", "densenet"])
def test_features_of_a_rolled_periodic_image_are_rolled(which: str) -> None:
    net = alexnet(padding="periodic") if which == "alexnet" else small_dense(padding="periodic")[1]
    layers = tuple(name for name in net.layer_names if name != "pool5")  # a cell of which is 32 pixels
    image = picture(2, 64, 96)
    found = features(net, image, layers=layers)
    rolled = features(net, jnp.roll(image, (16, -32), (0, 1)), layers=layers)
    for name, value in found.items():
        cell = image.shape[0] // value.shape[0]
        close(rolled[name], np.roll(value, (16 // cell, -32 // cell), (0, 1)), name)


def test_cells_are_what_a_texture_that_tiles_must_have_whole() -> None:
    dense = random_network("densenet121")
    assert [dense.cell([layer]) for layer in ("relu0", "dense1", "dense3", "dense4")] == [2, 4, 16, 32]
    assert alexnet().cell(["relu1", "relu5"]) == 16 and alexnet().cell(["relu1"]) == 4
    with pytest.raises(InputError, match="the width is 48; that of a texture that tiles must be a multiple of 32"):
        jaxstyle.synthesise(IMAGE, network=dense, layers=["dense4"], height=64, width=48, tile=True)


@pytest.mark.parametrize("size", [(7, 9), (8, 6), (3, 4)])
def test_overlapping_pool_equals_that_of_flax(size: tuple[int, int]) -> None:
    check_pooling(overlapping_pool, size, side=3)


@pytest.mark.parametrize("padding", MODES)
@pytest.mark.parametrize(("size", "before", "after"), [((7, 5), 3, 2), ((2, 3), 1, 0), ((1, 2), 2, 2), ((4, 4), 0, 0)])
def test_add_border_equals_numpys(padding: Any, size: tuple[int, int], before: int, after: int) -> None:
    x = np.random.default_rng(5).normal(size=(*size, 2)).astype(np.float32)
    expected = np.pad(x, ((before, after), (before, after), (0, 0)), mode=MODES[padding])
    np.testing.assert_array_equal(add_border(jnp.asarray(x), padding, before, after), expected)


def test_folding_is_normalising_after_the_convolution() -> None:
    rng = np.random.default_rng(6)
    x, kernel = rng.normal(size=(5, 4)), rng.normal(size=(1, 1, 4, 3)).astype(np.float32)
    scale, offset, mean, bias = (rng.normal(size=3).astype(np.float32) for _ in range(4))
    norm = Normalisation(scale, offset, mean, np.float32([1e-4, 1.0, 3.0]))
    for given in (None, bias):
        y = x @ kernel[0, 0].astype(np.float64) + (0 if given is None else given)
        expected = (y - mean) / np.sqrt(norm.variance.astype(np.float64) + 1e-3) * scale + offset
        folded = norm.folded_into(Convolution(kernel, given), 1e-3)
        np.testing.assert_allclose(x @ folded.kernel[0, 0] + folded.bias, expected, rtol=1e-5, atol=1e-5)
        times, plus = norm.scaling(1e-3)
        np.testing.assert_allclose(y * times + plus, expected, rtol=1e-5, atol=1e-5)


# ------------------------------------------------------------------------------------------------------- as functions


@pytest.mark.parametrize(
    ("network", "layers", "convolutions"),
    [
        ("alexnet", ("relu1",), 1), ("alexnet", ("pool2",), 2), ("alexnet", ("relu5", "conv1"), 5),
        ("densenet121", ("relu0",), 1), ("densenet121", ("pool0",), 1), ("densenet121", ("dense1",), 13),
        ("densenet121", ("trans1", "relu0"), 14), ("densenet121", ("norm5",), 120),
    ],
)  # fmt: skip
def test_nothing_past_the_deepest_layer_is_computed(network: str, layers: Any, convolutions: int) -> None:
    net = random_network(network)
    with tpu.traced_for("cpu"):
        counted = primitives(lambda image: net.features(image, layers), IMAGE)
    assert counted["conv_general_dilated"] == convolutions
    assert not any("reduce_window" in name or "scatter" in name for name in counted)


def test_the_networks_have_the_published_numbers_of_layers_and_parameters() -> None:
    assert ARCHITECTURES["alexnet"].layer_names == tuple(
        [
            "conv1",
            "relu1",
            "pool1",
            "conv2",
            "relu2",
            "pool2",
            "conv3",
            "relu3",
            "conv4",
            "relu4",
            "conv5",
            "relu5",
            "pool5",
        ]
    )
    assert ARCHITECTURES["densenet121"].layer_names == tuple(
        ["relu0", "pool0", "dense1", "trans1", "dense2", "trans2", "dense3", "trans3", "dense4", "norm5"]
    )
    shapes = ARCHITECTURES["alexnet"].parameter_shapes.values()
    assert sum(int(np.prod(shape)) for layer in shapes for shape in layer.values()) == 2_469_696
    counted = sum(array.size for key, array in tensors("densenet121").items() if "running" not in key)
    assert counted - 15 == 6_953_856  # torchvision's, without its classifier; 15 are of the one here
    for name, module in ARCHITECTURES.items():
        assert set(module.content_layers + module.style_layers) <= set(module.layer_names), name
        net = Network(dict.fromkeys(module.parameter_shapes), name, module, "keras")
        assert {*module.content_layers, *module.style_layers} <= {*net.layers_within(module.smallest, module.smallest)}


@pytest.mark.parametrize("which", [pytest.param("alexnet", marks=pytest.mark.slow), "densenet"])
def test_gradients_equal_finite_differences(which: str) -> None:
    with x64():
        net = alexnet(dtype=jnp.float64) if which == "alexnet" else small_dense(dtype=jnp.float64)[1]
        layer = "relu5" if which == "alexnet" else "dense3"
        for network in (net, net.for_steps()):
            check_gradient(lambda image: jnp.sum(network.features(image, (layer,))[layer] ** 2), picture(5, 40, 36))  # noqa: B023


@pytest.mark.parametrize("which", ["alexnet", pytest.param("densenet", marks=pytest.mark.slow)])
def test_vmap_equals_each_alone_and_bfloat16_stays_near(which: str) -> None:
    net = alexnet() if which == "alexnet" else small_dense()[1]
    layers = net.module.style_layers[:4]
    layers = tuple(name for name in layers if name in net.layer_names)
    images = jnp.stack([picture(seed, 48, 40) for seed in (12, 13)])
    together = jax.jit(jax.vmap(lambda image: net.features(image, layers)))(images)
    for i, image in enumerate(images):
        for name, value in features(net, image, layers=layers).items():
            close(together[name][i], np.asarray(value), name)
    half = features(net.with_options(dtype=jnp.bfloat16), images[0], layers=layers)
    for name, value in half.items():
        assert value.dtype == jnp.bfloat16
        close(value.astype(jnp.float32), np.asarray(together[name][0]), name, 0.05)


@pytest.mark.parametrize(
    ("network", "solver"),
    [("alexnet", jaxstyle.Adam()), pytest.param("small", jaxstyle.Lbfgs(), marks=pytest.mark.slow)],
)
def test_transfer_takes_the_layers_of_the_network(network: str, solver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    net = alexnet() if network == "alexnet" else small_dense()[1]
    monkeypatch.setattr(DenseNet, "content_layers", ("dense2",))
    monkeypatch.setattr(DenseNet, "style_layers", ("relu0", "dense1"))
    own = jaxstyle.Objective(net.module.content_layers, net.module.style_layers)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        run = functools.partial(
            jaxstyle.transfer, IMAGE, picture(7, 50, 60), network=net, solver=solver, steps=4, min_size=72
        )
        given, named = run(), run(objective=own)
        swept = jaxstyle.sweep(IMAGE, picture(7, 50, 60), network=net, solver=solver, steps=4, min_size=72)
    assert np.isfinite(given.losses.total).all() and given.final.total < given.losses.total[0]
    np.testing.assert_array_equal(given.image, named.image)
    np.testing.assert_allclose(swept.image, given.image, atol=2e-3)


@pytest.mark.parametrize(
    ("network", "layer", "least"),
    [
        ("alexnet", "relu5", 31),
        ("alexnet", "pool5", 63),
        pytest.param("densenet121", "dense3", 13, marks=pytest.mark.slow),
        ("vgg16", "pool5", 32),
    ],
)
def test_too_small_a_picture_for_a_layer_is_one_line(network: str, layer: str, least: int) -> None:
    net = random_network(network)
    assert layer in net.layers_within(least, least) and layer not in net.layers_within(least - 1, least + 9)
    with pytest.raises(InputError) as caught:
        jax.eval_shape(lambda image: net.features(image, (layer,)), picture(8, least - 1, least + 9))
    sizes = f"{least + 9} x {least - 1}; at least {least} a side"
    assert str(caught.value) == f"{layer} of {network} has no pixel of a picture of {sizes} are needed"


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


# ------------------------------------------------------------------------------------------- a network of one's own


def readme_blocks() -> tuple[str, str]:
    """The file, and the use of it, of the README's section on adding a network."""
    text = (Path(__file__).parents[1] / "README.md").read_text()
    section = text[text.index("### Adding a network") :].partition("\n## ")[0]
    file, use = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    return file, use


def write_pebble(path: Path) -> dict[str, np.ndarray]:
    """What torch saves of such a network."""
    rng = np.random.default_rng(9)
    state = {"stem.weight": rng.normal(size=(16, 3, 5, 5)) / 6, "stem.bias": 0.1 * rng.normal(size=16)}
    state |= {"body.0.weight": rng.normal(size=(32, 16, 3, 3)) / 8}
    state |= {f"body.1.{part}": rng.uniform(0.5, 1.5, 32) for part in ("weight", "bias", "running_mean", "running_var")}
    state |= {"body.2.weight": rng.normal(size=(32, 32, 3, 3)) / 12, "body.2.bias": 0.1 * rng.normal(size=32)}
    state = {key: array.astype(np.float32) for key, array in state.items()}
    save_file(state, path)
    return state


def test_the_network_of_the_readme(folder: Path, call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    """As written there: the file, the table's line, the command line, and Python; its features are torch's."""
    file, use = readme_blocks()
    state = write_pebble(folder / "pebble.safetensors")
    (folder / "package").mkdir()
    (folder / "package" / "pebble.py").write_text(file)
    monkeypatch.setattr(networks, "__path__", [*networks.__path__, str(folder / "package")])
    monkeypatch.setitem(defaults.NETWORKS, "pebble", "pebble:PEBBLE")
    monkeypatch.setitem(ARCHITECTURES, "pebble", networks._architecture("pebble:PEBBLE"))
    options = ("--network", "pebble", "--weights", "pebble.safetensors", "--steps", "3", "--size", "64")
    assert call("transfer", "c.png", "s.png", "-o", "out.png", *options, "--quiet") == (0, "out.png\n", "")
    record = read_record("out.png")
    assert record["settings"]["content_layers"] == ["relu2"] and record["status"] == "done"
    assert call("weights", "convert", "pebble.safetensors").code == 0
    assert "pebble" in call("weights", "list").out and "relu1 ... relu3 (4)" in call("weights", "list").out
    assert call("transfer", "c.png", "s.png", "--network", "pebble", "--steps", "1", "--size", "64").code == 0
    refused(call("transfer", "c.png", "s.png", "--network", "vgg19", "--weights", "pebble.safetensors"), 2,
            "pebble.safetensors holds pebble, not vgg19")  # fmt: skip
    monkeypatch.delitem(ARCHITECTURES, "pebble")
    scope: dict[str, Any] = {"content": IMAGE, "style": picture(3, 60, 50)}
    exec(file, scope)
    monkeypatch.setattr(jaxstyle, "transfer", functools.partial(jaxstyle.transfer, steps=3))
    try:
        exec(use, scope)
    finally:
        ARCHITECTURES.pop("pebble", None)
    assert np.isfinite(scope["result"].losses.total).all() and scope["result"].image.shape == IMAGE.shape
    torch = pytest.importorskip("torch")
    F, t = torch.nn.functional, {key: torch.from_numpy(array) for key, array in state.items()}
    seen = np.array(PREPROCESSING["torchvision"](IMAGE))
    one = F.relu(F.conv2d(torch.from_numpy(seen).permute(2, 0, 1)[None], t["stem.weight"], t["stem.bias"], 1, 2))
    two = F.relu(F.conv2d(one, t["body.0.weight"], None, 2, 1))
    pooled = F.max_pool2d(two, 2)
    norm = (t[f"body.1.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
    three = F.relu(F.conv2d(F.batch_norm(pooled, *norm), t["body.2.weight"], t["body.2.bias"], 1, 1))
    found = features(scope["net"], IMAGE, layers=("relu1", "relu2", "pool2", "relu3"))
    for value, expected in zip(found.values(), (pooled, one, two, three), strict=True):  # jit sorts a dict by its keys
        close(value, expected[0].permute(1, 2, 0).numpy(), "pebble")
