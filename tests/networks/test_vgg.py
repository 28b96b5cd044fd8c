"""The VGG family: features against a naive NumPy twin and PyTorch."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.networks import ARCHITECTURES
from tiny import MODES, UNEVEN, check_gradient, features, network, picture, x64


def naive_pool(x, pooling):
    h, w = x.shape[0] // 2, x.shape[1] // 2
    windows = x[: 2 * h, : 2 * w].reshape(h, 2, w, 2, x.shape[2])
    return windows.max((1, 3)) if pooling == "max" else windows.mean((1, 3))


def naive_convolution(x, kernel, bias, padding):
    h, w, _ = x.shape
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)), mode=MODES[padding])
    return bias + sum(padded[i : i + h, j : j + w] @ kernel[i, j] for i in range(3) for j in range(3))


def naive_features(net, image, pooling, padding):
    """All layers, in float64, from the definition of the network."""
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    x, found = (np.asarray(image, np.float64) - mean) / std, {}
    for block, depth in enumerate(net.module.depths, 1):
        for i in range(1, depth + 1):
            layer = {key: np.asarray(value, np.float64) for key, value in net.params[f"conv{block}_{i}"].items()}
            x = found[f"conv{block}_{i}"] = naive_convolution(x, layer["kernel"], layer["bias"], padding)
            x = found[f"relu{block}_{i}"] = np.maximum(x, 0)
        x = found[f"pool{block}"] = naive_pool(x, pooling)
    return found


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("padding", MODES)
@pytest.mark.parametrize("size", [(32, 48), (45, 35)])
def test_features_equal_a_naive_twin(pooling, padding, size):
    net = network(module=UNEVEN, pooling=pooling, padding=padding)
    image = picture(1, *size)
    found = features(net, image, net.layer_names)
    expected = naive_features(net, image, pooling, padding)
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name].shape == value.shape and found[name].dtype == jnp.float32
        np.testing.assert_allclose(found[name], value, atol=2e-6 * np.abs(value).max(), err_msg=name)


@pytest.mark.parametrize("padding", MODES)
@pytest.mark.parametrize("pooling", ["max", "average"])
def test_features_equal_pytorch(pooling, padding):
    torch = pytest.importorskip("torch")
    net = network(module=UNEVEN, pooling=pooling, padding=padding)
    image = picture(2, 37, 41)
    mode = {"zero": "zeros", "edge": "replicate", "reflect": "reflect", "periodic": "circular"}[padding]
    pooled = {"max": torch.nn.MaxPool2d, "average": torch.nn.AvgPool2d}[pooling](2, 2)
    seen = (np.array(image) - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    x = torch.from_numpy(seen).permute(2, 0, 1)[None]
    found = features(net, image, net.layer_names)
    for name in net.layer_names:
        if name.startswith("conv"):
            kernel = np.array(net.params[name]["kernel"])
            layer = torch.nn.Conv2d(*kernel.shape[2:], 3, padding=1, padding_mode=mode)
            layer.weight.data = torch.from_numpy(kernel).permute(3, 2, 0, 1)
            layer.bias.data = torch.from_numpy(np.array(net.params[name]["bias"]))
            x = layer(x)
        else:
            x = torch.relu(x) if name.startswith("relu") else pooled(x)
        expected = x[0].permute(1, 2, 0).detach().numpy()
        np.testing.assert_allclose(found[name], expected, atol=2e-6 * np.abs(expected).max(), err_msg=name)


@pytest.mark.quick
def test_the_smallest_picture_leaves_the_fifth_block_one_pixel_under_every_padding():
    for padding in MODES:
        net = network(padding=padding)
        image = picture(3, 16, 17)
        found = features(net, image, ("relu5_1",))["relu5_1"]
        assert found.shape == (1, 1, 8)
        expected = naive_features(net, image, "max", padding)["relu5_1"]
        np.testing.assert_allclose(found, expected, atol=2e-6 * np.abs(expected).max())


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_features_of_a_rolled_periodic_image_are_rolled(pooling):
    """By whole cells of each block; all of a layer's features, since none is at a border."""
    net, image = network(module=UNEVEN, padding="periodic", pooling=pooling), picture(4, 32, 48)
    layers = net.layer_names[:-1]  # a cell of pool5 is 32 pixels
    found = features(net, image, layers)
    rolled = features(net, jnp.roll(image, (16, -32), (0, 1)), layers)
    other = features(network(module=UNEVEN, pooling=pooling), jnp.roll(image, (16, -32), (0, 1)), ("conv1_1",))
    for name, value in found.items():
        cell = image.shape[0] // value.shape[0]
        expected = np.roll(value, (16 // cell, -32 // cell), (0, 1))
        np.testing.assert_allclose(rolled[name], expected, atol=2e-6 * np.abs(value).max(), err_msg=name)
    assert np.abs(other["conv1_1"] - rolled["conv1_1"]).max() > 0.1  # zeros beyond the border are another matter


def test_gradient_of_deep_features_equals_finite_differences():
    with x64():
        net = network(dtype=jnp.float64, pooling="average", padding="reflect")
        check_gradient(lambda image: jnp.sum(net.features(image, ("conv5_1",))["conv5_1"] ** 2), picture(5, 16, 18))


# ------------------------------------------------------------------------------------------- architectures, types


@pytest.mark.quick
def test_the_vggs_have_the_published_numbers_of_layers_and_parameters():
    def count(name):
        shapes = ARCHITECTURES[name].kernel_shapes
        return len(shapes), sum(int(np.prod(shape)) + shape[3] for shape in shapes.values())

    assert count("vgg19") == (16, 20_024_384)  # the Keras "notop" files
    assert count("vgg16") == (13, 14_714_688)
    assert ARCHITECTURES["vgg19"].layer_names[:5] == ("conv1_1", "relu1_1", "conv1_2", "relu1_2", "pool1")
    assert ARCHITECTURES["vgg19"].layer_names[-3:] == ("conv5_4", "relu5_4", "pool5")
    assert ARCHITECTURES["vgg16"].layer_names[-3:] == ("conv5_3", "relu5_3", "pool5")
    assert ARCHITECTURES["compact"].layer_names[-3:] == ("conv5_1", "relu5_1", "pool5")
    for name in ("relu4_2", "relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"):
        assert all(name in ARCHITECTURES[vgg].layer_names for vgg in ("compact", "vgg19", "vgg16", "vgg19_bn"))
