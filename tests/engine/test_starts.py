"""The first image of each kind."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from PIL import Image

from jaxstyle import defaults
from jaxstyle.engine.plan import make_plan
from jaxstyle.engine.preparation import prepare
from jaxstyle.engine.starts import blur, enlarge, starting_image
from jaxstyle.ops.resize import cover, resize
from tiny import OBJECTIVE, network, picture

pytestmark = pytest.mark.quick

KEY = jax.random.key(3)
NET = network()


@pytest.mark.parametrize("sigma", [0.8, 2.0, 5.0])
def test_blur_equals_scipy(sigma):
    image = picture(1, 40, 28)
    radius = int(np.ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    expected = np.asarray(image, np.float64)
    for axis in (0, 1):
        expected = scipy.ndimage.correlate1d(expected, kernel / kernel.sum(), axis=axis, mode="nearest")
    np.testing.assert_allclose(blur(image, sigma), expected, atol=2e-6)


def start(init, shape=(24, 32), key=KEY, styles=None):
    image = starting_image(key, init, picture(4, 48, 64), styles or [picture(5, 60, 60), picture(6)], shape)
    assert image.shape == (*shape, 3) and image.dtype == jnp.float32
    assert image.min() >= 0 and image.max() <= 1
    return image


def test_a_start_from_the_content_is_the_content_at_that_size():
    np.testing.assert_array_equal(start("content"), resize(picture(4, 48, 64), 24, 32))
    np.testing.assert_allclose(start("content", (48, 64)), picture(4, 48, 64), atol=1e-6)


def test_a_start_from_blur_is_the_content_without_detail():
    content, blurred = start("content", (48, 64)), start("blur", (48, 64))
    np.testing.assert_allclose(blurred, blur(content, 2.0), atol=1e-6)  # a 32nd of the long side
    np.testing.assert_allclose(blurred.mean((0, 1)), content.mean((0, 1)), atol=0.02)
    assert np.std(np.diff(blurred, axis=0)) < 0.3 * np.std(np.diff(content, axis=0))


def test_a_start_from_noise_has_the_stated_statistics_and_follows_its_key():
    noise = np.asarray(start("noise", (128, 128)))
    np.testing.assert_allclose(noise.mean((0, 1)), 0.5, atol=0.005)
    np.testing.assert_allclose(noise.std((0, 1)), 0.15, atol=0.005)
    assert abs(np.corrcoef(noise[1:].ravel(), noise[:-1].ravel())[0, 1]) < 0.02  # independent pixels
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.03
    np.testing.assert_array_equal(start("noise"), start("noise"))
    assert np.abs(start("noise") - start("noise", key=jax.random.key(4))).max() > 0.1


def test_a_start_from_the_style_is_the_first_of_them_cropped():
    np.testing.assert_array_equal(start("style"), cover(picture(5, 60, 60), 24, 32))
    small = start("style", (96, 64), styles=[picture(7, 20, 20)])
    np.testing.assert_allclose(small, resize(picture(7, 20, 20), 96, 96)[:, 16:80], atol=1e-6)


def test_a_start_from_a_picture_takes_numpy_too():
    given = picture(8, 24, 32)
    np.testing.assert_allclose(start(given), given, atol=1e-6)
    np.testing.assert_array_equal(start(np.asarray(given)), start(given))
    np.testing.assert_array_equal(start(given, (40, 40)), resize(given, 40, 40))


def test_every_named_start_exists():
    for name in defaults.STARTS:
        start(name)


def test_an_enlarged_image_has_the_sources_details_beside_its_own():
    """Against Pillow's Lanczos filter, in double precision but for its own: NumPy only adds."""
    source, image = picture(9, 40, 56), picture(10, 20, 28)

    def resized(x, size):
        planes = [
            Image.fromarray(np.asarray(x[..., c], np.float32)).resize(size[::-1], Image.Resampling.LANCZOS)
            for c in range(3)
        ]
        return np.clip(np.stack([np.asarray(plane, np.float64) for plane in planes], -1), 0, 1)

    coarse = resized(resized(source, (20, 28)), (40, 56))
    expected = np.clip(resized(image, (40, 56)) + np.asarray(source, np.float64) - coarse, 0, 1)
    np.testing.assert_allclose(enlarge(image, source, size=(40, 56)), expected, atol=5e-6)
    np.testing.assert_array_equal(enlarge(image, None, size=(40, 56)), resize(image, 40, 56))
    inside = 0.5 + 0.2 * (source - 0.5)  # a source that did not move is itself again, as nothing is clipped
    np.testing.assert_allclose(enlarge(resize(inside, 20, 28), inside, size=(40, 56)), inside, atol=1e-6)


@pytest.mark.parametrize("init", ["content", "noise", "style", "blur", "a picture"])
def test_a_finer_scale_has_the_details_of_a_start_that_is_a_picture(init):
    content, before, given = picture(11, 40, 56), picture(12, 28, 40), picture(13, 50, 60)
    start = given if init == "a picture" else init
    plan, _ = make_plan(content, picture(14), network=NET, objective=OBJECTIVE, init=start, min_size=40)
    sources = {"content": content, "a picture": given}
    _, image = prepare(plan.network, plan.inputs, before, program=plan.program, scale=plan.scales[-1], batch=None)
    np.testing.assert_allclose(image, enlarge(before, sources.get(init), size=(40, 56)), atol=1e-6)


def test_in_a_batch_each_lane_has_those_of_its_own_content():
    contents, before = jnp.stack([picture(n, 40, 56) for n in (15, 16)]), picture(17, 28, 40)
    usual = {"network": NET, "objective": OBJECTIVE, "min_size": 40}
    plan, _ = make_plan(contents, picture(14), batch=True, **usual)
    lanes = jnp.stack([before, before])
    _, images = prepare(plan.network, plan.inputs, lanes, program=plan.program, scale=plan.scales[-1], batch=plan.batch)
    for image, content in zip(images, contents, strict=True):
        np.testing.assert_allclose(image, enlarge(before, content, size=(40, 56)), atol=1e-6)
