"""Networks as functions: what is computed, traced and compiled is counted; options, types, transformations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.errors import InputError
from jaxstyle.networks import ARCHITECTURES
from tiny import MODES, TINY, UNEVEN, features, network, picture, primitives

# ---------------------------------------------------------------------------------------------- what is computed


@pytest.mark.slow
@pytest.mark.parametrize("padding", MODES)
def test_adjoint_kernels_change_no_number_and_are_not_computed_at_each_step(padding):
    net, image = network(module=UNEVEN, padding=padding), picture(3, 32, 48)

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
    known = (net.for_device("cpu"), ready, ready.for_once())
    turned = [primitives(jax.grad(loss, 1), x, image)["rev"] for x in known]
    assert turned == [7, 0, 7]
    kept = zip(*map(jax.tree.leaves, (ready.for_steps(), ready)), strict=True)
    assert all(x is y for x, y in kept)


def test_weights_take_the_type_of_the_convolutions_once_not_at_each_step():
    net, image = network(module=UNEVEN, dtype=jnp.bfloat16), picture(3, 32, 48)
    ready = net.for_steps()
    assert {x.dtype for x in jax.tree.leaves(ready.params)} == {jnp.dtype(jnp.bfloat16)}
    found, expected = (features(x, image, ("relu1_1", "relu5_1")) for x in (ready, net))
    for name, value in expected.items():
        assert value.dtype == jnp.bfloat16
        np.testing.assert_array_equal(found[name], value)

    def casts(net):
        counted = primitives(lambda x: net.for_device("gpu").features(x, ("relu5_1",)), image)
        return counted["convert_element_type"]

    assert casts(net) == 15 and casts(ready) == 1  # the image, and a kernel and a bias of each of seven
    assert all(x is y for x, y in zip(*map(jax.tree.leaves, (ready.for_steps(), ready)), strict=True))


@pytest.mark.quick
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
    net = network(module=UNEVEN).for_device("cpu")
    counted = primitives(lambda image: net.features(image, layers), picture(6))
    assert counted["conv_general_dilated"] == convolutions
    assert counted["max"] == relus + 3 * pools  # a pool is three maxima


def test_features_come_in_the_order_asked_for_each_once():
    net = network()
    layers = ("relu4_1", "relu1_1", "pool2", "relu4_1")
    assert list(net.features(picture(7), layers)) == ["relu4_1", "relu1_1", "pool2"]
    alone = net.features(picture(7), ("pool2",))["pool2"]
    np.testing.assert_array_equal(net.features(picture(7), layers)["pool2"], alone)


@pytest.mark.quick
def test_an_unknown_layer_is_one_line_with_the_nearest():
    with pytest.raises(InputError) as caught:
        network().features(picture(8), ("relu1_1", "relu4_11"))
    line = str(caught.value)
    assert line.isprintable()
    for word in ("tiny", "'relu4_11'", "conv1_1", "pool5", "did you mean 'relu4_1'?"):
        assert word in line


@pytest.mark.slow
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


@pytest.mark.quick
def test_with_options_changes_what_it_says_and_nothing_else():
    net = network()
    other = net.with_options(pooling="average", padding="edge")
    assert (other.module.pooling, other.module.padding, other.module.dtype) == ("average", "edge", jnp.float32)
    assert (net.module.pooling, net.module.padding) == ("max", "zero")
    assert other.params is net.params and other.preprocessing == net.preprocessing
    assert other.module.depths == TINY.depths


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
