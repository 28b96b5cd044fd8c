"""Sizes from coarse to fine, resampling, and the first image of each kind."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from tiny import picture

from jaxstyle import defaults
from jaxstyle.starts import MIN_SIDE, blur, cover, resize, scale_sizes, starting_image

KEY = jax.random.key(3)


@pytest.mark.parametrize(
    ("size", "min_size", "expected"),
    [
        ((512, 512), None, [128, 184, 256, 360, 512]),  # 512 / sqrt(2)^k, to the nearest multiple of 8
        ((512, 512), 256, [256, 360, 512]),
        ((512, 512), 512, [512]),
        ((512, 512), 511, [512]),
        ((256, 256), 182, [184, 256]),  # 181.02 is near enough
        ((100, 100), None, [100]),
        ((1024, 1024), 128, [128, 184, 256, 360, 512, 728, 1024]),
    ],
)
def test_sizes_grow_by_the_root_of_two(size, min_size, expected):
    found = [h for h, _ in scale_sizes(*size, min_size=min_size)]
    assert found == expected


@pytest.mark.parametrize("size", [(384, 512), (512, 384), (97, 300), (1000, 17), (16, 16), (23, 23), (131, 129)])
@pytest.mark.parametrize("min_size", [None, 16, 40])
def test_sizes_keep_the_shape_and_never_shrink(size, min_size):
    sizes = scale_sizes(*size, min_size=min_size)
    assert sizes[-1] == size
    areas = [h * w for h, w in sizes]
    assert areas == sorted(set(areas))
    coarsest = min(max(size), min_size or defaults.COARSEST)
    assert max(sizes[0]) >= min(coarsest, max(size)) - 4
    assert max(sizes[0]) < coarsest * np.sqrt(2) + 8
    for k, (h, w) in enumerate(reversed(sizes)):
        assert min(h, w) >= min(MIN_SIDE, *size)
        for found, side in zip((h, w), size, strict=True):
            exact = side * 2 ** (-k / 2)
            assert abs(found - exact) <= 4 or found == MIN_SIDE > exact
            assert k == 0 or found % 8 == 0


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


@pytest.mark.parametrize("sigma", [0.8, 2.0, 5.0])
def test_blur_equals_scipy(sigma):
    image = picture(1, 40, 28)
    radius = int(np.ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    expected = np.asarray(image, np.float64)
    for axis in (0, 1):
        expected = scipy.ndimage.correlate1d(expected, kernel / kernel.sum(), axis=axis, mode="nearest")
    np.testing.assert_allclose(blur(image, sigma), expected, atol=2e-6)


def test_cover_crops_about_the_centre():
    image = picture(2, 40, 80)
    np.testing.assert_array_equal(cover(image, 40, 80), image)
    np.testing.assert_allclose(cover(image, 40, 40), image[:, 20:60], atol=1e-6)
    np.testing.assert_allclose(cover(image, 20, 80), image[10:30], atol=1e-6)
    enlarged = cover(image, 100, 30)
    assert enlarged.shape == (100, 30, 3)
    np.testing.assert_allclose(enlarged, resize(image, 100, 200)[:, 85:115], atol=1e-6)


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
