"""Networks: features against a naive NumPy twin and PyTorch; what is computed and compiled is counted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import TINY, check_gradient, check_pooling, features, network, picture, primitives, x64

from jaxstyle import tpu
from jaxstyle.errors import InputError
from jaxstyle.networks import ARCHITECTURES, PREPROCESSING
from jaxstyle.networks.backbone import pool
from jaxstyle.networks.vgg import VGG

DEEP = VGG(depths=(2, 1, 2, 1, 1), widths=(4, 5, 6, 5, 4))
MODES = {"zero": "constant", "edge": "edge", "reflect": "reflect", "periodic": "wrap"}


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
    net = network(module=DEEP, pooling=pooling, padding=padding)
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
    net = network(module=DEEP, pooling=pooling, padding=padding)
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
    net, image = network(module=DEEP, padding="periodic", pooling=pooling), picture(4, 32, 48)
    layers = net.layer_names[:-1]  # a cell of pool5 is 32 pixels
    found = features(net, image, layers)
    rolled = features(net, jnp.roll(image, (16, -32), (0, 1)), layers)
    other = features(network(module=DEEP, pooling=pooling), jnp.roll(image, (16, -32), (0, 1)), ("conv1_1",))
    for name, value in found.items():
        cell = image.shape[0] // value.shape[0]
        expected = np.roll(value, (16 // cell, -32 // cell), (0, 1))
        np.testing.assert_allclose(rolled[name], expected, atol=2e-6 * np.abs(value).max(), err_msg=name)
    assert np.abs(other["conv1_1"] - rolled["conv1_1"]).max() > 0.1  # zeros beyond the border are another matter


@pytest.mark.parametrize("size", [(6, 8), (7, 5), (2, 3)])
def test_pool_equals_that_of_flax(size):
    check_pooling(pool, size, side=2)


def test_gradient_of_deep_features_equals_finite_differences():
    with x64():
        net = network(dtype=jnp.float64, pooling="average", padding="reflect")
        check_gradient(lambda image: jnp.sum(net.features(image, ("conv5_1",))["conv5_1"] ** 2), picture(5, 16, 18))


# ---------------------------------------------------------------------------------------------- what is computed


@pytest.mark.parametrize("padding", MODES)
def test_adjoint_kernels_change_no_number_and_are_not_computed_at_each_step(padding):
    net, image = network(module=DEEP, padding=padding), picture(3, 32, 48)

    def loss(net, image):
        return sum(jnp.sum(x**2) for x in net.features(image, ("relu2_1", "relu5_1")).values())

    ready = net.for_steps()
    gradient = jax.jit(jax.grad(loss, (0, 1)))
    (of_weights, of_image), (expected_weights, expected) = gradient(ready, image), gradient(net, image)
    np.testing.assert_array_equal(
        features(ready, image, ("relu5_1",))["relu5_1"], features(net, image, ("relu5_1",))["relu5_1"]
    )
    np.testing.assert_allclose(of_image, expected, atol=1e-6 * np.abs(expected).max())
    for name, weights in expected_weights.params.items():
        for key, value in weights.items():
            np.testing.assert_allclose(of_weights.params[name][key], value, atol=1e-5 * np.abs(value).max())
    with tpu.traced_for("cpu"):
        turned = [primitives(jax.grad(loss, 1), x, image)["rev"] for x in (net, ready, ready.for_once())]
    assert turned == [7, 0, 7]
    kept = zip(*map(jax.tree.leaves, (ready.for_steps(), ready)), strict=True)
    assert all(x is y for x, y in kept)


def test_weights_take_the_type_of_the_convolutions_once_not_at_each_step():
    net, image = network(module=DEEP, dtype=jnp.bfloat16), picture(3, 32, 48)
    ready = net.for_steps()
    assert {x.dtype for x in jax.tree.leaves(ready.params)} == {jnp.dtype(jnp.bfloat16)}
    found, expected = (features(x, image, ("relu1_1", "relu5_1")) for x in (ready, net))
    for name, value in expected.items():
        assert value.dtype == jnp.bfloat16
        np.testing.assert_array_equal(found[name], value)

    def casts(net):
        with tpu.traced_for("gpu"):
            return primitives(lambda x: net.features(x, ("relu5_1",)), image)["convert_element_type"]

    assert casts(net) == 15 and casts(ready) == 1  # the image, and a kernel and a bias of each of seven
    assert all(x is y for x, y in zip(*map(jax.tree.leaves, (ready.for_steps(), ready)), strict=True))


@pytest.mark.parametrize(
    ("layers", "convolutions", "relus", "pools"),
    [
        (("conv1_1",), 1, 0, 0),
        (("relu1_1",), 1, 1, 0),
        (("relu1_2",), 2, 2, 0),
        (("pool1",), 2, 2, 1),
        (("relu3_1", "relu1_1"), 4, 4, 2),
        (("conv1_2", "conv5_1"), 7, 6, 4),
        ((), 0, 0, 0),
    ],
)
def test_nothing_past_the_deepest_layer_is_computed(layers, convolutions, relus, pools):
    net = network(module=DEEP)
    with tpu.traced_for("cpu"):
        counted = primitives(lambda image: net.features(image, layers), picture(6))
    assert counted["conv_general_dilated"] == convolutions
    assert counted["max"] == relus + 3 * pools  # a pool is three maxima


def test_features_come_in_the_order_asked_for_each_once():
    net = network()
    layers = ("relu4_1", "relu1_1", "pool2", "relu4_1")
    assert list(net.features(picture(7), layers)) == ["relu4_1", "relu1_1", "pool2"]
    alone = net.features(picture(7), ("pool2",))["pool2"]
    np.testing.assert_array_equal(net.features(picture(7), layers)["pool2"], alone)


def test_an_unknown_layer_is_one_line_with_the_nearest():
    with pytest.raises(InputError) as caught:
        network().features(picture(8), ("relu1_1", "relu4_11"))
    line = str(caught.value)
    assert line.isprintable()
    for word in ("tiny", "'relu4_11'", "conv1_1", "pool5", "did you mean 'relu4_1'?"):
        assert word in line


# ------------------------------------------------------------------------------------------- architectures, types


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


@pytest.mark.parametrize("name", ["compact", "densenet121"])
def test_init_makes_the_parameters_that_the_module_says(name):
    module = ARCHITECTURES[name]
    made = jax.eval_shape(lambda key: module.init(key, jnp.zeros((64, 64, 3)), module.layer_names), jax.random.key(0))
    assert {layer: {k: x.shape for k, x in of.items()} for layer, of in made["params"].items()} == (
        module.parameter_shapes
    )
    params = TINY.init(jax.random.key(1), jnp.zeros((64, 64, 3)), TINY.layer_names)["params"]
    kernels = [of["kernel"] for of in params.values()]
    assert all(0.5 < x.std() * np.sqrt(np.prod(x.shape[:3]) / 2) < 1.5 and x.any() for x in kernels)


def test_bfloat16_convolutions_stay_near_float32_and_keep_the_parameters():
    net = network()
    half = net.with_options(dtype=jnp.bfloat16)
    a, b = (n.features(picture(9), ("relu3_1",))["relu3_1"] for n in (net, half))
    assert b.dtype == jnp.bfloat16 and half.params["conv1_1"]["kernel"].dtype == jnp.float32
    difference = np.abs(np.asarray(a) - np.asarray(b, np.float32)).max()
    assert 0 < difference < 0.03 * np.abs(a).max()


def test_with_options_changes_what_it_says_and_nothing_else():
    net = network()
    other = net.with_options(pooling="average", padding="edge")
    assert (other.module.pooling, other.module.padding, other.module.dtype) == ("average", "edge", jnp.float32)
    assert (net.module.pooling, net.module.padding) == ("max", "zero")
    assert other.params is net.params and other.preprocessing == net.preprocessing
    assert other.module.depths == TINY.depths


# ------------------------------------------------------------------------------------------------- preprocessing


def test_preprocessing_equals_the_closed_forms():
    image = picture(10)
    r, g, b = (np.float64(image[..., k]) for k in range(3))
    keras = np.stack([255 * b - 103.939, 255 * g - 116.779, 255 * r - 123.68], -1)
    torchvision = np.stack([(r - 0.485) / 0.229, (g - 0.456) / 0.224, (b - 0.406) / 0.225], -1)
    np.testing.assert_allclose(PREPROCESSING["keras"](image), keras, atol=2e-5)
    np.testing.assert_allclose(PREPROCESSING["torchvision"](image), torchvision, atol=2e-6)
    assert set(PREPROCESSING) == {"keras", "torchvision"}


def test_the_two_preprocessings_give_a_network_different_features():
    image = picture(11)
    keras = network(preprocessing="keras").features(image, ("relu1_1",))["relu1_1"]
    torchvision = network().features(image, ("relu1_1",))["relu1_1"]
    scaled = keras * (jnp.linalg.norm(torchvision) / jnp.linalg.norm(keras))
    assert jnp.linalg.norm(scaled - torchvision) > 0.2 * jnp.linalg.norm(torchvision)


# ---------------------------------------------------------------------------------------------------- transformations


def test_features_under_jit_vmap_and_grad():
    net, layers = network(), ("relu2_1", "relu5_1")
    images = jnp.stack([picture(seed) for seed in (12, 13, 14)])
    together = jax.jit(jax.vmap(lambda image: net.features(image, layers)))(images)
    for i, image in enumerate(images):
        for name, value in net.features(image, layers).items():
            np.testing.assert_allclose(together[name][i], value, rtol=1e-4, atol=1e-5)
    gradients = jax.jit(jax.vmap(jax.grad(lambda image: jnp.sum(net.features(image, layers)["relu2_1"]))))(images)
    assert gradients.shape == images.shape and np.abs(gradients).max() > 0


def test_other_weights_of_the_same_shapes_do_not_retrace():
    traces = []

    @jax.jit
    def total(net, image):
        traces.append(net.module)
        return jnp.sum(net.features(image, ("relu3_1",))["relu3_1"])

    first, second = total(network(0), picture(15)), total(network(1), picture(15))
    assert first != second and len(traces) == 1
    assert len(jax.tree.leaves(network(0))) == 2 * 5
    total(network(0, padding="edge"), picture(15))
    assert len(traces) == 2
