"""Resampling, cropping and continuing."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.ops.resize import cover, resize
from tiny import picture

pytestmark = pytest.mark.quick


def test_resize_keeps_constants_the_range_and_smooth_pictures():
    assert np.abs(resize(jnp.full((20, 30, 3), 0.3), 33, 17) - 0.3).max() < 1e-6
    step = jnp.zeros((16, 20, 3)).at[:, 10:].set(1.0)  # a filter with lobes overshoots at a step
    for size in ((40, 50), (16, 13)):
        found = resize(step, *size)
        assert found.shape == (*size, 3) and found.dtype == jnp.float32
        assert found.min() >= 0 and found.max() <= 1
    y, x = np.mgrid[:64, :48]
    smooth = np.float32(0.5 + 0.4 * np.sin((y[..., None] + 0.5) / 64 * [1, 2, 3]) * np.cos((x[..., None] + 0.5) / 48))
    back = resize(resize(jnp.asarray(smooth), 32, 24), 64, 48)
    assert np.abs(back - smooth)[4:-4, 4:-4].max() < 2e-3


def test_shrinking_averages_rather_than_picks():
    noise = np.float32(np.random.default_rng(0).random((128, 128, 3)))
    found = np.asarray(resize(jnp.asarray(noise), 32, 32))
    assert 0.8 * noise.std() / 4 < found.std() < 1.3 * noise.std() / 4  # of 16 pixels each
    means = noise.reshape(32, 4, 32, 4, 3).mean((1, 3))
    assert np.corrcoef(found.ravel(), means.ravel())[0, 1] > 0.8


def test_cover_crops_about_the_centre():
    image = picture(2, 40, 80)
    np.testing.assert_array_equal(cover(image, 40, 80), image)
    np.testing.assert_allclose(cover(image, 40, 40), image[:, 20:60], atol=1e-6)
    np.testing.assert_allclose(cover(image, 20, 80), image[10:30], atol=1e-6)
    enlarged = cover(image, 100, 30)
    assert enlarged.shape == (100, 30, 3)
    np.testing.assert_allclose(enlarged, resize(image, 100, 200)[:, 85:115], atol=1e-6)
