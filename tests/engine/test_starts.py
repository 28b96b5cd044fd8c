"""The first image of each kind."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from jaxstyle import defaults
from jaxstyle.engine.starts import blur, starting_image
from jaxstyle.ops.resize import cover, resize
from tiny import picture

pytestmark = pytest.mark.quick

KEY = jax.random.key(3)


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
