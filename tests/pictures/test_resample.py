"""Pictures resampled, in float and weighed by alpha: against a naive twin in float64."""

import numpy as np
import pytest

from jaxstyle.pictures.read import load_image, load_picture
from jaxstyle.pictures.resample import resize
from picture_files import close, grey, noise, put

pytestmark = pytest.mark.quick

# Resizing


def lanczos_twin(image, height, width):
    """Every output value as the normalised sum over every input value, in float64."""

    def weights(old, new):
        stretch = max(old / new, 1)
        centres = (np.arange(new) + 0.5) * old / new
        x = (np.arange(old) + 0.5 - centres[:, None]) / stretch
        table = np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)
        return table / table.sum(axis=1, keepdims=True)

    rows, columns = weights(image.shape[0], height), weights(image.shape[1], width)
    return np.einsum("ih,jw,hw...->ij...", rows, columns, image.astype(np.float64))


SHAPES = [(7, 11), (20, 30), (47, 61), (13, 64), (1, 1)]


@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_resize_is_lanczos(rng, height, width):
    image = rng.random((20, 30, 3), dtype=np.float32)
    resized = resize(image, height, width)
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, np.clip(lanczos_twin(image, height, width), 0, 1), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_a_constant_stays_constant(height, width):
    image = np.tile(np.float32([0.1, 0.5, 1.0]), (20, 30, 1))
    close(resize(image, height, width), np.broadcast_to(image[:1, :1], (height, width, 3)))


def test_shrinking_does_not_alias():
    checks = np.indices((64, 64)).sum(axis=0) % 2
    shrunk = resize(grey(checks.astype(np.float32)), 16, 16)
    np.testing.assert_allclose(shrunk[4:-4, 4:-4], 0.5, atol=0.01)


def test_resize_stays_in_range():
    step = np.zeros((20, 30, 3), np.float32)
    step[:, 15:] = 1
    resized = resize(step, 40, 60)
    assert lanczos_twin(step, 40, 60).max() > 1.01
    assert resized.min() == 0
    assert resized.max() == 1


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((20, 30), 60, (40, 60)),
        ((30, 20), 60, (60, 40)),
        ((100, 298), 100, (34, 100)),
        ((298, 100), 100, (100, 34)),
        ((40, 40), 16, (16, 16)),
        ((33, 47), 47, (33, 47)),
    ],
)
def test_size_is_the_long_side(tmp_path, rng, shape, size, expected):
    samples = noise(rng, *shape)
    loaded = load_image(put(tmp_path / "a.png", samples), size)
    assert loaded.shape == (*expected, 3)
    twin = np.clip(lanczos_twin(samples / 255, *expected), 0, 1)
    np.testing.assert_allclose(loaded, twin, rtol=0, atol=1e-5)


# Alpha


@pytest.mark.parametrize("size", [None, 17, 40, 90])
def test_no_fringe_from_hidden_colours(tmp_path, size):
    """A soft red disc on transparent black is red everywhere, at any size."""
    y, x = np.indices((40, 40)) - 19.5
    alpha = np.clip(12 - np.hypot(x, y), 0, 1)
    samples = np.zeros((40, 40, 4), np.uint8)
    samples[..., 3] = np.rint(alpha * 255)
    samples[..., 0] = np.where(samples[..., 3] > 0, 255, 0)
    picture = load_picture(put(tmp_path / "a.png", samples), size)
    side = size or 40
    red = np.broadcast_to(np.float32([1, 0, 0]), (side, side, 3))
    np.testing.assert_allclose(picture.pixels, red, rtol=0, atol=1e-3)
    twin = np.clip(lanczos_twin(samples[..., 3] / 255, side, side), 0, 1)
    np.testing.assert_allclose(picture.alpha, twin, rtol=0, atol=1e-5)


def test_resizing_weighs_colours_by_alpha(tmp_path, rng):
    samples = noise(rng, channels=4)
    samples[..., 3] |= 64
    picture = load_picture(put(tmp_path / "a.png", samples), size=24)
    colour, alpha = samples[..., :3] / 255, samples[..., 3:] / 255
    cover = lanczos_twin(alpha, 16, 24)
    twin = np.clip(lanczos_twin(colour * alpha, 16, 24) / cover, 0, 1)
    np.testing.assert_allclose(picture.pixels, twin, rtol=0, atol=1e-5)
    np.testing.assert_allclose(picture.alpha, np.clip(cover[..., 0], 0, 1), rtol=0, atol=1e-5)


def test_what_can_hardly_be_seen_is_near_the_mean(tmp_path, rng):
    """Lanczos rings outside a hard edge, where colour over alpha would be anything."""
    samples = noise(rng, 40, 40, 4)
    samples[..., 3] = np.where(np.hypot(*(np.indices((40, 40)) - 19.5)) < 12, 255, 0)
    seen = samples[samples[..., 3] > 0][:, :3] / 255
    picture = load_picture(put(tmp_path / "a.png", samples), 97)
    far = np.abs(picture.pixels - seen.mean(axis=0)).max(axis=2)
    faint = picture.alpha < 1 / 255
    assert np.count_nonzero(faint & (picture.alpha > 0)) > 20
    farthest = np.maximum(seen.mean(axis=0), 1 - seen.mean(axis=0)).max()
    assert np.all(far[faint] <= farthest * picture.alpha[faint] * 255 + 1e-5)


def test_hidden_colours_become_the_mean_of_the_visible(tmp_path):
    samples = np.zeros((30, 20, 4), np.uint8)
    samples[:10] = (200, 40, 0, 255)
    samples[10:20] = (100, 240, 0, 51)
    samples[20:] = (9, 9, 255, 0)
    picture = load_picture(put(tmp_path / "a.png", samples))
    mean = (np.array([200, 40, 0]) + 0.2 * np.array([100, 240, 0])) / 1.2 / 255
    close(picture.pixels[20:], np.broadcast_to(mean, (10, 20, 3)))
    close(picture.pixels[:20], samples[:20, :, :3] / 255)


def test_opaque_alpha_is_no_alpha(tmp_path, rng):
    samples = noise(rng, channels=4)
    samples[..., 3] = 255
    picture = load_picture(put(tmp_path / "a.png", samples))
    assert picture.alpha is None
    close(picture.pixels, samples[..., :3] / 255)
