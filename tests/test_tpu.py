"""The shapes for a TPU give the numbers of the plain ones, on any device; and a CPU's programs hold nothing of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import OBJECTIVE, network, picture, primitives
from tiny import features as all_features

from jaxstyle import tpu
from jaxstyle.compiling import compiled
from jaxstyle.losses import gram_matrix
from jaxstyle.networks.vgg import VGG
from jaxstyle.objective import Weights, loss_terms, make_targets

WIDE = VGG(depths=(2, 2, 1, 1, 1), widths=(16, 32, 64, 8, 128))


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


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


@pytest.mark.parametrize("padding", ["zero", "edge", "reflect", "periodic"])
def test_a_network_is_the_same_network(padding):
    net = network(module=WIDE, padding=padding)
    image = picture(1, 32, 48)
    plain = all_features(net, image, net.layer_names)
    with tpu.traced_for("tpu"):
        folded = net.features(image, net.layer_names)
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

    loss, gradient = evaluate(net, *arrays)
    jax.clear_caches()  # or the choices made so far stay
    with tpu.traced_for("tpu"):
        same_loss, same_gradient = evaluate(net, *arrays)
    np.testing.assert_allclose(same_loss, loss, rtol=1e-5)
    np.testing.assert_allclose(same_gradient, gradient, atol=1e-4 * np.abs(gradient).max())


def test_gram_matrices_of_folded_features():
    x = normal(5, 6, 16, 32)
    with tpu.traced_for("tpu"):
        gram = gram_matrix(jnp.asarray(x))
    np.testing.assert_allclose(gram, np.einsum("hwc,hwd->cd", x, x) / 96, atol=1e-5)


def test_where_the_device_is_known_its_shapes_alone_are_traced():
    """Both are where it is not, as in somebody's own `jax.jit`."""

    def chosen(x):
        return tpu.on_tpu(jnp.sin, jnp.cos, x)

    assert primitives(chosen, 1.0)["cond"] == 1 == primitives(chosen, 1.0)["sin"] == primitives(chosen, 1.0)["cos"]
    for platform, function in (("tpu", "sin"), ("cpu", "cos"), ("gpu", "cos")):
        with tpu.traced_for(platform):
            assert primitives(lambda x: chosen(x), 1.0) == {function: 1}
    np.testing.assert_allclose(compiled()(lambda x: chosen(x))(jnp.ones(3)), np.cos(np.ones(3)), rtol=1e-6)
    seen = []
    compiled()(lambda x: seen.append(primitives(lambda y: chosen(y), x)) or x)(jnp.ones(3))
    assert seen == [{"cos": 1}]


def test_a_program_for_a_cpu_holds_neither_choice_nor_window():
    net = network(module=WIDE)

    def loss(image):
        return sum(gram_matrix(x).sum() for x in net.features(image, ["relu1_1", "relu3_1"]).values())

    lowered = jax.jit(jax.grad(loss)).lower(picture(1, 32, 32))
    text, compiled = lowered.as_text(), lowered.compile().as_text()
    assert "reduce_window" not in text and "select_and_scatter" not in text
    assert "conditional" not in compiled
