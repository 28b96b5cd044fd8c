"""The shapes for a TPU give the numbers of the plain ones, on any device; and a CPU's programs hold nothing of them."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.losses import gram_matrix
from jaxstyle.networks.vgg import VGG
from jaxstyle.objective import Weights, loss_terms, make_targets
from jaxstyle.ops import tpu
from tiny import OBJECTIVE, network, picture, primitives
from tiny import features as all_features

WIDE = VGG(depths=(2, 2, 1, 1, 1), widths=(16, 32, 64, 8, 128))


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("width", "channels", "count"), [(16, 64, 2), (16, 16, 8), (12, 16, 1), (16, 48, 1), (16, 128, 1)]
)
def test_columns_fill_a_tile_or_stay_alone(width, channels, count):
    assert tpu.columns(width, channels) == count


@pytest.mark.parametrize(("channels", "out"), [(3, 64), (64, 64), (5, 16), (16, 32), (64, 128)])
@pytest.mark.parametrize("bordered", [False, True])
def test_a_folded_convolution_is_the_convolution(channels, out, bordered):
    kernel, x = normal(1, 3, 3, channels, out), normal(2, 9 + 2 * bordered, 16 + 2 * bordered, channels)
    expected = jax.lax.conv_general_dilated(
        x[None], kernel, (1, 1), "VALID" if bordered else "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )[0]
    actual = tpu.convolution(jnp.asarray(x), jnp.asarray(kernel), bordered=bordered)
    np.testing.assert_allclose(actual, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("shape", [(8, 16, 64), (9, 16, 16), (7, 13, 16), (6, 6, 128)])
def test_pooling_by_windows_equals_that_of_numpy_and_its_gradient_goes_where_the_value_came_from(pooling, shape):
    x = normal(3, *shape)
    h, w = shape[0] // 2, shape[1] // 2
    cells = x[: 2 * h, : 2 * w].reshape(h, 2, w, 2, shape[2])
    actual, pull_back = jax.vjp(lambda x: tpu.pool(x, pooling), jnp.asarray(x))
    np.testing.assert_allclose(actual, cells.max((1, 3)) if pooling == "max" else cells.mean((1, 3)), atol=1e-6)
    cotangent = normal(4, *actual.shape)
    spread = cells == cells.max((1, 3), keepdims=True) if pooling == "max" else np.full(cells.shape, 0.25)
    expected = np.zeros_like(x)
    expected[: 2 * h, : 2 * w] = (spread * cotangent[:, None, :, None]).reshape(2 * h, 2 * w, shape[2])
    np.testing.assert_allclose(pull_back(jnp.asarray(cotangent))[0], expected, atol=1e-6)


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_where_several_are_largest_the_gradient_is_shared_out_once(pooling):
    gradient = jax.grad(lambda x: tpu.pool(x, pooling).sum())(jnp.ones((4, 16, 64)))
    np.testing.assert_allclose(gradient.reshape(2, 2, 8, 2, 64).sum((1, 3)), 1, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("padding", ["zero", "edge", "reflect", "periodic"])
def test_a_network_is_the_same_network(padding):
    net = network(module=WIDE, padding=padding)
    image = picture(1, 32, 48)
    plain = all_features(net, image, net.layer_names)
    folded = net.for_device("tpu").features(image, net.layer_names)
    for name, actual in folded.items():
        np.testing.assert_allclose(actual, plain[name], atol=2e-6 * np.abs(plain[name]).max(), err_msg=name)


def test_loss_and_gradient_are_the_same():
    net = network(module=WIDE)
    arrays = picture(1, 32, 32), picture(2, 48, 32), picture(3, 32, 32)

    # All as arguments, as everywhere: constants are folded, which takes a minute, and by XLA of jax 0.7.2 wrongly.
    @jax.jit
    def evaluate(net, content, style, image):
        targets = make_targets(net, content, [style], objective=OBJECTIVE)
        weights = jax.tree.map(jnp.asarray, Weights(variation=0.0))
        return jax.value_and_grad(lambda image: loss_terms(image, net, targets, weights, objective=OBJECTIVE).total)(
            image
        )

    (loss, gradient), (same_loss, same_gradient) = (evaluate(net.for_device(x), *arrays) for x in ("cpu", "tpu"))
    np.testing.assert_allclose(same_loss, loss, rtol=1e-5)
    np.testing.assert_allclose(same_gradient, gradient, atol=1e-4 * np.abs(gradient).max())


@pytest.mark.parametrize("padding", ["zero", "reflect"])
def test_a_network_for_one_device_gives_the_numbers_of_one_for_any(padding):
    net, image = network(module=WIDE, padding=padding), picture(4, 32, 48)

    @jax.jit
    def evaluate(net, image):
        return jax.value_and_grad(lambda x: sum(jnp.sum(f**2) for f in net.features(x, ("relu2_1", "pool4")).values()))(
            image
        )

    known, unknown = evaluate(net.for_device("cpu"), image), evaluate(net, image)
    jax.tree.map(np.testing.assert_array_equal, known, unknown)


def contract(a, b):
    return a.reshape(-1, a.shape[2]).T @ b.reshape(-1, b.shape[2])


def test_gram_matrices_of_folded_features():
    x, factors = jnp.asarray(normal(5, 6, 16, 32)), normal(6, 32, 32)
    np.testing.assert_allclose(tpu.products(x, x, contract), np.einsum("hwc,hwd->cd", x, x), rtol=1e-5, atol=1e-4)
    folded, plain = (
        jax.grad(lambda x: jnp.sum(factors * product(x, x)))(x)  # noqa: B023
        for product in (lambda a, b: tpu.products(a, b, contract), contract)
    )
    np.testing.assert_allclose(folded, plain, atol=1e-5 * np.abs(plain).max())


@pytest.mark.parametrize(("platform", "channels"), [("tpu", 128), ("cpu", 32)])
def test_a_gram_matrix_is_lowered_in_the_shape_of_the_device(platform, channels):
    traced = jax.jit(gram_matrix).trace(jnp.zeros((6, 16, 32)))
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    assert re.findall(r"stablehlo.dot_general .*-> tensor<(\d+)x\1xf32>", text) == [str(channels)]


@pytest.mark.quick
def test_where_the_device_is_known_its_shapes_alone_are_traced():
    """Both are where it is not, as in somebody's own `jax.jit`."""

    def chosen(platform):
        return primitives(lambda x: tpu.by_platform(platform, jnp.sin, jnp.cos, x), 1.0)

    unknown = chosen(None)
    assert unknown["cond"] == 1 == unknown["sin"] == unknown["cos"]
    assert chosen("tpu") == {"sin": 1} and chosen("cpu") == chosen("gpu") == {"cos": 1}
    run = jax.jit(lambda x: tpu.by_platform(None, jnp.sin, jnp.cos, x))
    np.testing.assert_allclose(run(jnp.ones(3)), np.cos(np.ones(3)), rtol=1e-6)


def test_a_network_ready_for_steps_is_traced_for_its_device_alone():
    net, image = network(module=WIDE), picture(1, 32, 32)

    def conditions(net):
        return primitives(lambda x: net.features(x, ("relu2_1",)), image)["cond"]

    assert conditions(net) > 0 == conditions(net.for_steps()) == conditions(net.for_device("tpu"))


def test_a_program_for_a_cpu_holds_neither_choice_nor_window():
    net = network(module=WIDE)

    def loss(image):
        return sum(gram_matrix(x).sum() for x in net.features(image, ["relu1_1", "relu3_1"]).values())

    lowered = jax.jit(jax.grad(loss)).lower(picture(1, 32, 32))
    text, compiled = lowered.as_text(), lowered.compile().as_text()
    assert "reduce_window" not in text and "select_and_scatter" not in text
    assert "conditional" not in compiled
