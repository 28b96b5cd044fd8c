"""Convolutions with fewer multiplications: against NumPy in float64, plain ones, and their gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.networks.vgg import VGG
from jaxstyle.ops import winograd
from marks import slow
from tiny import features, network, picture, primitives, x64

WIDE = VGG(depths=(2, 1, 2, 1, 1), widths=(32, 32, 40, 32, 36))


def arrays(seed, *shapes):
    rng = np.random.default_rng(seed)
    return tuple(rng.normal(size=shape) for shape in shapes)


def naive(x, kernel, padding):
    """The definition, in the type of the arrays."""
    x = np.pad(x, (padding, padding, (0, 0)))
    h, w = x.shape[0] - 2, x.shape[1] - 2
    return sum(x[i : i + h, j : j + w] @ kernel[i, j] for i in range(3) for j in range(3))


@pytest.mark.quick
@pytest.mark.parametrize("padding", [(1, 1), (0, 0), (2, 2), (0, 1)])
@pytest.mark.parametrize("size", [(8, 6), (7, 9), (5, 4), (10, 3), (3, 12)])
def test_equals_the_definition(size, padding):
    x, kernel = arrays(1, (*size, 5), (3, 3, 5, 7))
    expected = naive(x, kernel, padding)
    with x64():
        found = jax.jit(lambda x, k: winograd.convolution(x, winograd.kernels_of(k), padding))(x, kernel)
    assert found.shape == expected.shape and found.dtype == np.float64
    np.testing.assert_allclose(found, expected, atol=1e-13 * np.abs(expected).max())


def test_rounding_is_a_few_times_that_of_a_plain_convolution():
    x, kernel = arrays(2, (24, 20, 256), (3, 3, 256, 32))
    expected = naive(x, kernel, (1, 1))
    single, weights = jnp.asarray(x, jnp.float32), jnp.asarray(kernel, jnp.float32)
    ours = winograd.convolution(single, winograd.kernels_of(weights), (1, 1))
    numbers = ("NHWC", "HWIO", "NHWC")
    plain = jax.lax.conv_general_dilated(single[None], weights, (1, 1), "SAME", dimension_numbers=numbers)[0]
    # The inputs' own rounding to float32 is in both.
    wrong, least = (np.sqrt(np.mean((np.asarray(y) - expected) ** 2)) / expected.std() for y in (ours, plain))
    assert 1e-8 < least < wrong < min(2e-6, 6 * least)


@pytest.mark.quick
def test_fewer_multiplications():
    x, kernel = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((32, 24, 16), (3, 3, 16, 8)))
    kernels = jax.eval_shape(winograd.kernels_of, kernel)
    program = jax.make_jaxpr(lambda x, kernels: winograd.convolution(x, kernels, (1, 1)))(x, kernels)
    outputs = [e.outvars[0].aval.shape for e in program.jaxpr.eqns if str(e.primitive) == "conv_general_dilated"]
    assert sum(np.prod(shape) for shape in outputs) * 3 * 16 == 32 * 24 * 8 * 9 * 16 / 2


@pytest.mark.parametrize("padding", [slow("zero"), slow("reflect")])
def test_networks_give_the_same_features_and_gradients_with_it(padding, monkeypatch):
    monkeypatch.setattr(winograd, "LEAST", 1)
    net, image = network(module=WIDE, padding=padding), picture(3, 32, 48)

    def loss(net, image):
        return sum(jnp.mean(x**2) for x in net.features(image, ("relu2_1", "relu5_1")).values())

    def convolutions(net):
        return primitives(loss, net.for_device("cpu"), image)["conv_general_dilated"]

    ready = net.for_steps()
    assert convolutions(net) == convolutions(ready.for_once()) == 7
    assert convolutions(ready) == 1 + 6 * 6  # the first has three channels only
    theirs, ours = (features(x, image, WIDE.layer_names) for x in (net, ready))
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, atol=5e-6 * np.abs(value).max(), err_msg=name)
    gradient = jax.jit(jax.grad(loss, (0, 1)))
    (of_weights, expected), (found, of_image) = gradient(net, image), gradient(ready, image)
    np.testing.assert_allclose(of_image, expected, atol=2e-5 * np.abs(expected).max())
    for name, weights in of_weights.params.items():
        for key, value in weights.items():
            np.testing.assert_allclose(found.params[name][key], value, atol=2e-5 * np.abs(value).max(), err_msg=name)
    lanes = jax.jit(jax.vmap(jax.grad(loss, 1), (None, 0)))(ready, jnp.stack([image, image[::-1]]))
    np.testing.assert_allclose(lanes[0], of_image, atol=2e-6 * np.abs(of_image).max())


def test_gradients_are_those_of_the_definition(monkeypatch):
    monkeypatch.setattr(winograd, "LEAST", 1)
    with x64():
        net = network(module=VGG(depths=(1, 1, 1, 1, 1), widths=(32, 32, 32, 32, 32), dtype=jnp.float64))
        image = jnp.asarray(picture(4, 18, 22), jnp.float64)

        def loss(net):
            return jax.jit(jax.grad(lambda x: jnp.sum(net.features(x, ("conv4_1",))["conv4_1"] ** 2)))(image)

        ready, expected = loss(net.for_steps()), loss(net)
    np.testing.assert_allclose(ready, expected, atol=1e-11 * np.abs(expected).max())


@pytest.mark.quick
def test_only_where_it_pays():
    kernel = jnp.zeros((3, 3, 32, 40))
    assert winograd.may_pay(kernel)
    assert not winograd.may_pay(kernel.astype(jnp.bfloat16))
    assert not winograd.may_pay(jnp.zeros((5, 5, 32, 40))) and not winograd.may_pay(jnp.zeros((3, 3, 3, 64)))
    assert winograd.pays((144, 144, 64), (3, 3, 64, 64)) and not winograd.pays((128, 128, 64), (3, 3, 64, 64))


def test_a_network_is_made_ready_for_it_only_where_it_pays(monkeypatch):
    def ready(net):
        return [name for name, x in net.prepared.items() if x.halved is not None]

    monkeypatch.setattr(winograd, "LEAST", 64 * 64 * 9 * 32 * 32)
    net = network(module=WIDE)
    small = net.for_steps((64, 64))
    assert ready(small) == ["conv1_2"]
    assert ready(net.for_steps((63, 64))) == []
    assert ready(small.for_steps((128, 128))) == ["conv1_2", "conv2_1"]
    large = small.for_steps()
    assert ready(large) == list(WIDE.kernel_shapes)[1:]
    assert large.prepared["conv1_2"].halved is small.prepared["conv1_2"].halved
    half = net.with_options(dtype=jnp.bfloat16).for_steps()
    assert ready(half) == [] and half.prepared.keys() == WIDE.kernel_shapes.keys()
