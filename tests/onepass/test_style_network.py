"""The network that paints in one pass, against its definition in NumPy float64; and what painters make of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxstyle
from jaxstyle.errors import InputError
from jaxstyle.onepass.painters import StylePainter
from jaxstyle.onepass.style_network import FIELD, MARGIN, StyleNetwork
from jaxstyle.onepass.tiles import paint_in_parts, paint_whole
from marks import slow

WIDTH, BLOCKS, STYLES = 3, 2, ("bold", "calm")


def random_params(module, seed=0):
    """All different from what they begin with."""
    key = jax.random.key(seed)
    params = jax.jit(module.init)(key, jnp.zeros((16, 16, 3)), jnp.ones(module.count))["params"]
    moved = {}
    for k, (name, x) in enumerate(params.items()):
        noise = jax.random.normal(jax.random.fold_in(key, k), x.shape)
        moved[name] = x + (0.05 if name.endswith("kernel") else 0.3) * noise
    return moved


stylize = jax.jit(jaxstyle.stylize, static_argnames="style")
paint_part = jax.jit(StylePainter.paint_part)


@pytest.fixture(scope="module")
def painter():
    module = StyleNetwork(len(STYLES), width=WIDTH, blocks=BLOCKS)
    return StylePainter(random_params(module), module, STYLES)


def picture(height, width, seed=0):
    smooth = np.random.default_rng(seed).random((height // 4 + 2, width // 4 + 2, 3))
    return jnp.asarray(np.repeat(np.repeat(smooth, 4, 0), 4, 1)[:height, :width], jnp.float32)


# --------------------------------------------------------------------------------------------------------- its twin


def twin(params, image, shares, strength=1.0):
    """The network as the papers describe it, in float64, pixel by pixel."""
    p = {name: np.asarray(x, np.float64) for name, x in params.items()}
    shares = np.asarray(shares, np.float64)

    def convolved(x, kernel, stride=1):
        n = kernel.shape[0] // 2
        x = np.pad(x, ((n, n), (n, n), (0, 0)), mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], (0, 1))[::stride, ::stride]
        return np.einsum("hwcij,ijcd->hwd", windows, kernel)

    def layer(x, name, stride=1):
        x = convolved(x, p[f"{name}_kernel"], stride)
        x = (x - x.mean((0, 1))) / np.sqrt(x.var((0, 1)) + 1e-5)
        return x * (shares @ p[f"{name}_scale"]) + shares @ p[f"{name}_offset"]

    def larger(x):
        return np.repeat(np.repeat(x, 2, 0), 2, 1)

    relu = lambda x: np.maximum(x, 0)  # noqa: E731
    image = np.asarray(image, np.float64)
    x = relu(layer(4 * (image - 0.5), "in"))
    x = relu(layer(x, "down1", 2))
    x = relu(layer(x, "down2", 2))
    for k in range(1, BLOCKS + 1):
        x = x + layer(relu(layer(x, f"block{k}_1")), f"block{k}_2")
    x = relu(layer(larger(x), "up1"))
    x = relu(layer(larger(x), "up2"))
    x = convolved(x, p["out_kernel"])
    clipped = np.clip(image, 0.5 / 255, 1 - 0.5 / 255)
    own = np.log(clipped / (1 - clipped))
    colors = np.einsum("n,ncd->cd", shares, p["out_color"])
    painted = x + own @ colors + shares @ p["out_bias"]
    return 1 / (1 + np.exp(-(strength * painted + (1 - strength) * own)))


@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_twin_in_float64(painter, strength):
    image, shares = picture(20, 28), jnp.asarray([0.7, 0.3])
    found, _ = paint_part(painter, image, shares, strength)
    np.testing.assert_allclose(found, twin(painter.params, image, shares, strength), atol=2e-5)


def test_gradients_by_finite_differences(painter):
    image, shares = picture(16, 16), jnp.asarray([0.7, 0.3])

    def loss(params):
        return jnp.mean((StylePainter(params, painter.module, STYLES).paint_part(image, shares)[0] - 0.3) ** 2)

    gradient = jax.jit(jax.grad(loss))(painter.params)
    rng = np.random.default_rng(1)
    for name in ("in_kernel", "down1_kernel", "block1_2_scale", "up2_kernel", "out_kernel", "out_color", "out_bias"):
        direction = rng.standard_normal(painter.params[name].shape)

        def along(t, name=name, direction=direction):
            params = dict(painter.params)
            params[name] = np.asarray(params[name], np.float64) + t * direction
            return np.mean((twin(params, image, shares) - 0.3) ** 2)

        slope = (along(1e-6) - along(-1e-6)) / 2e-6
        assert np.vdot(gradient[name], direction) == pytest.approx(slope, rel=2e-3, abs=1e-7)


# ----------------------------------------------------------------------------------------------------- what it paints


@pytest.mark.parametrize("size", [slow((16, 16)), (17, 19), slow((33, 50)), slow((64, 18)), (8, 9)])
def test_any_size(painter, size):
    painted = stylize(picture(*size), "bold", network=painter)
    assert painted.shape == (*size, 3)
    assert bool(jnp.isfinite(painted).all()) and float(painted.min()) >= 0 and float(painted.max()) <= 1


def test_at_strength_0_the_picture_stays(painter):
    image = picture(24, 32)
    np.testing.assert_allclose(stylize(image, "bold", network=painter, strength=0.0), image, atol=0.51 / 255)
    assert np.abs(stylize(image, "bold", network=painter) - image).max() > 0.05


def test_a_mix_lies_between_and_weights_need_not_sum_to_one(painter):
    image = picture(24, 32)
    bold, calm = (stylize(image, name, network=painter) for name in STYLES)
    np.testing.assert_array_equal(painter.shares({"bold": 3.0}), painter.shares("bold"))
    np.testing.assert_array_equal(painter.shares({"bold": 2.0, "calm": 2.0}), np.float32([0.5, 0.5]))
    half = jax.jit(painter.paint)(image, painter.shares({"bold": 1.0, "calm": 1.0}))
    assert min(float(jnp.abs(half - x).max()) for x in (bold, calm)) > 1e-3


def test_lanes_are_solo_runs(painter):
    image, strengths = picture(24, 32), jnp.asarray([0.0, 0.5, 1.0])
    shares = jnp.stack([painter.shares(x) for x in ("bold", "calm", {"bold": 1.0, "calm": 1.0})])
    lanes = jax.jit(jax.vmap(painter.paint, (None, 0, 0)))(image, shares, strengths)
    for lane, own, strength in zip(lanes, shares, strengths, strict=True):
        np.testing.assert_allclose(lane, jax.jit(painter.paint)(image, own, strength), atol=2e-6)


def test_new_styles_and_strengths_do_not_compile_again(painter):
    compiled = jax.jit(StylePainter.paint)
    for name, strength in (("bold", 1.0), ("calm", 0.5), ({"bold": 1.0, "calm": 2.0}, 0.25)):
        compiled(painter, picture(24, 32), painter.shares(name), strength)
    assert compiled._cache_size() == 1


def test_flat_pictures(painter):
    """No deviation is divided by zero."""
    for value in (0.0, 0.3, 1.0):
        flat = jnp.full((24, 24, 3), value)
        assert bool(jnp.isfinite(stylize(flat, "calm", network=painter)).all())


def test_wrong_input(painter):
    with pytest.raises(
        InputError, match=r"no style 'bald'; there are bold, calm; did you mean 'bold'\?|no style 'bald'"
    ):
        jaxstyle.stylize(picture(16, 16), "bald", network=painter)
    for weights in ({"bold": -1.0}, {"bold": 0.0}, {"bold": float("nan")}, {}):
        with pytest.raises(InputError, match="weights of styles"):
            jaxstyle.stylize(picture(16, 16), weights, network=painter)
    with pytest.raises(InputError, match="7 x 16 pixels; at least 8"):
        jaxstyle.stylize(np.zeros((16, 7, 3), np.float32), "bold", network=painter)
    with pytest.raises(InputError, match="in its own styles, by name"):
        jaxstyle.stylize(picture(16, 16), picture(16, 16), network=painter)


# -------------------------------------------------------------------------------------------------------------- parts


@pytest.mark.parametrize("size", [slow((200, 300)), slow((203, 333)), slow((96, 410))])
def test_parts_are_the_whole(painter, size):
    """Where statistics are of the picture itself, which is not larger than what they are measured on."""
    image, shares, seen = picture(*size), painter.shares("bold"), []
    parts = paint_in_parts(
        painter, np.asarray(image), shares, 0.8, side=64, on_part=lambda done, count: seen.append((done, count))
    )
    np.testing.assert_allclose(parts, paint_whole(painter, np.asarray(image), shares, 0.8), atol=2e-5)
    assert seen[-1][0] == seen[-1][1] == len(seen) > 4


def test_what_is_beyond_the_field_is_not_seen(painter):
    image, shares = picture(16, 4 * FIELD), painter.shares("bold")
    _, statistics = paint_part(painter, image, shares)
    changed = image.at[:, 2 * FIELD :].set(1 - image[:, 2 * FIELD :])
    here, there = (paint_part(painter, x, shares, 1.0, statistics)[0] for x in (image, changed))
    reach = 4 + 4 + 4 + 4 * 2 * BLOCKS + 4 + 4 + 4  # in, ups, blocks, downs, out: no more than that
    assert float(jnp.abs(here - there)[:, : 2 * FIELD - reach].max()) < 1e-6
    assert reach < FIELD and MARGIN % 4 == 0


@pytest.mark.slow
def test_the_full_depth_sees_no_further_than_the_field():
    module = StyleNetwork(1, width=1)
    painter = StylePainter(random_params(module), module, ("one",))
    image, shares = picture(16, 4 * FIELD), jnp.ones(1)
    _, statistics = paint_part(painter, image, shares)
    at = 2 * FIELD
    gradient = jax.jit(jax.grad(lambda x: painter.paint_part(x, shares, 1.0, statistics)[0][8, at].sum()))(image)
    touched = np.flatnonzero(np.abs(np.asarray(gradient)).max((0, 2)))
    assert at - FIELD <= touched.min() and touched.max() <= at + FIELD
