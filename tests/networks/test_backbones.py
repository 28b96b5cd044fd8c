"""AlexNet and DenseNet: padding and pooling against plain torch, what is computed, gradients, too small pictures."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxstyle
from backbones import DENSE, IMAGE, alexnet, close, features, small_dense, tensors
from jaxstyle.errors import InputError
from jaxstyle.networks import ARCHITECTURES, PREPROCESSING, Network, random_network
from layouts import torch_features
from marks import slow
from tiny import check_gradient, picture, primitives, x64


@pytest.mark.parametrize(
    ("padding", "pooling"),
    [
        ("zero", "max"),
        slow("zero", "average"),
        slow("edge", "average"),
        ("reflect", "max"),
        slow("periodic", "average"),
    ],
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


@pytest.mark.slow
def test_cells_are_what_a_texture_that_tiles_must_have_whole() -> None:
    dense = random_network("densenet121")
    assert [dense.cell([layer]) for layer in ("relu0", "dense1", "dense3", "dense4")] == [2, 4, 16, 32]
    assert alexnet().cell(["relu1", "relu5"]) == 16 and alexnet().cell(["relu1"]) == 4
    with pytest.raises(InputError, match="the width is 48; that of a texture that tiles must be a multiple of 32"):
        jaxstyle.synthesise(IMAGE, network=dense, layers=["dense4"], height=64, width=48, tile=True)


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
    net = random_network(network).for_device("cpu")
    counted = primitives(lambda image: net.features(image, layers), IMAGE)
    assert counted["conv_general_dilated"] + counted["dot_general"] == convolutions  # 1x1 ones are products
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


@pytest.mark.parametrize("which", [slow("alexnet"), slow("densenet")])
def test_gradients_equal_finite_differences(which: str) -> None:
    with x64():
        net = alexnet(dtype=jnp.float64) if which == "alexnet" else small_dense(dtype=jnp.float64)[1]
        layer = "relu5" if which == "alexnet" else "dense3"
        for network in (net, net.for_steps()):
            check_gradient(lambda image: jnp.sum(network.features(image, (layer,))[layer] ** 2), picture(5, 40, 36))  # noqa: B023


@pytest.mark.parametrize("which", ["alexnet", slow("densenet")])
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
    ("network", "layer", "least"),
    [
        ("alexnet", "relu5", 31),
        ("alexnet", "pool5", 63),
        slow("densenet121", "dense3", 13),
        slow("vgg16", "pool5", 32),
    ],
)
def test_too_small_a_picture_for_a_layer_is_one_line(network: str, layer: str, least: int) -> None:
    net = random_network(network)
    assert layer in net.layers_within(least, least) and layer not in net.layers_within(least - 1, least + 9)
    with pytest.raises(InputError) as caught:
        jax.eval_shape(lambda image: net.features(image, (layer,)), picture(8, least - 1, least + 9))
    sizes = f"{least + 9} x {least - 1}; at least {least} a side"
    assert str(caught.value) == f"{layer} of {network} has no pixel of a picture of {sizes} are needed"
